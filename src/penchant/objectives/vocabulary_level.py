r"""Losses that weigh pairs by sums over the whole vocabulary: how likely, or how varied, their answers are.

Notation: r log-ratio of policy and reference, w the chosen answer, l the rejected one; m, n their numbers of tokens.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import reduce, stop_gradient
from penchant.objectives.door import objective
from penchant.objectives.scores import mean_logps
from penchant.objectives.surrogates import logistic
from penchant.records import Array


@objective
def wpo_loss(
    policy_chosen_logps: Array,
    policy_rejected_logps: Array,
    ref_chosen_logps: Array,
    ref_rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    chosen_mean_log_collision: Array,
    rejected_mean_log_collision: Array,
    beta: float = 0.01,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Weighted preference optimisation: pairs that the policy itself would write count for more.

    .. math:: -\min(1, \mathrm{sg}[w_w w_l])\,\log\sigma\big(\beta[r_w - r_l]\big), \quad
              w = \exp\Big(\frac1m\sum_t \Big[\log\pi(y_t) - \log\sum_v \pi(v)^2\Big]\Big)

    w compares each token's probability with that of a token drawn from the policy, so that an answer drawn from a
    uniform policy weighs exactly 1. The weight carries no gradient, and is at most 1 as in the authors' code.

    Args:
        policy_chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        policy_rejected_logps: The same for the rejected answer.
        ref_chosen_logps: The same under the reference; carries no gradient.
        ref_rejected_logps: The same for the rejected answer; carries no gradient.
        chosen_lengths: Tokens of the chosen answer, exactly those summed.
        rejected_lengths: The same for the rejected answer.
        chosen_mean_log_collision: Mean over the chosen answer's tokens of log Σ_v π(v)², nats.
        rejected_mean_log_collision: The same for the rejected answer.
        beta: > 0; 0.01 in the paper.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, at most DPO's; the weight times log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, a length is below 1, or beta is not positive.

    References:
        Wenxuan Zhou et al., "WPO: Enhancing RLHF with Weighted Preference Optimization", 2024, arXiv:2406.11827.

    Example:
        >>> round(wpo_loss(-12.0, -30.0, -14.0, -29.0, 8, 15, -1.25, -1.5), 9)
        0.320387185
    """
    xp = compat.array_namespace(policy_chosen_logps)
    chosen_log_weight = mean_logps(policy_chosen_logps, chosen_lengths) - chosen_mean_log_collision
    rejected_log_weight = mean_logps(policy_rejected_logps, rejected_lengths) - rejected_mean_log_collision
    log_weight = stop_gradient(chosen_log_weight + rejected_log_weight)
    weight = xp.exp(xp.where(log_weight < 0, log_weight, xp.zeros_like(log_weight)))
    z = beta * ((policy_chosen_logps - ref_chosen_logps) - (policy_rejected_logps - ref_rejected_logps))
    return reduce(weight * logistic(z), reduction)


@objective
def mallowspo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    ref_chosen_mean_entropy: Array,
    ref_rejected_mean_entropy: Array,
    beta: float = 0.1,
    dispersion: float = 0.29,
    *,
    reduction: str = "mean",
) -> Array:
    r"""MallowsPO: prompts on which answers differ little pull harder than those that leave everything open.

    .. math:: -\log\sigma\big(\beta\,\phi(x)[r_w - r_l]\big), \quad \phi(x) = -\phi^*\log\frac{H_w + H_l}{2}

    H is the mean entropy at the answer's tokens over the logarithm of the vocabulary's size, under the reference: a
    number in (0, 1). With the same entropy everywhere this is DPO with another beta.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        ref_chosen_mean_entropy: Mean normalised entropy at the chosen answer's tokens, in (0, 1).
        ref_rejected_mean_entropy: The same for the rejected answer.
        beta: > 0; the strength of the pull to the reference.
        dispersion: > 0; the paper's φ*, 0.29 in the authors' code.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is not positive.

    References:
        Haoxian Chen, Hanyang Zhao, Henry Lam, David Yao, Wenpin Tang, "MallowsPO: Fine-Tune Your LLM with Preference
        Dispersions", 2024, arXiv:2405.14953.

    Example:
        >>> round(mallowspo_loss(2.0, -1.0, 0.1, 0.3), 9)
        0.62558537
    """
    xp = compat.array_namespace(log_ratio_w)
    openness = -dispersion * xp.log((ref_chosen_mean_entropy + ref_rejected_mean_entropy) / 2)
    return reduce(logistic(beta * openness * (log_ratio_w - log_ratio_l)), reduction)
