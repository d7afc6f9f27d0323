r"""Losses that know more of an answer than its summed log-prob: one number per answer from its tokens or vocabulary.

Notation: r log-ratio of policy and reference, w the chosen answer, l the rejected one; D the forward KL divergence
:math:`\sum_t KL(\pi_{ref}(\cdot|x, y_{<t}) \| \pi(\cdot|x, y_{<t}))` along an answer, in nats.
"""

from __future__ import annotations

from penchant.arrays import reduce, stop_gradient
from penchant.objectives.door import objective
from penchant.objectives.surrogates import logistic
from penchant.records import Array


@objective
def tdpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    chosen_sequence_kl: Array,
    rejected_sequence_kl: Array,
    beta: float = 0.1,
    alpha: float = 0.5,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Token-level DPO (TDPO2): the rejected answer is kept from drifting further than the chosen one.

    .. math:: -\log\sigma\Big(\beta\big[r_w - r_l - \alpha\,(D_l - \mathrm{sg}\,D_w)\big]\Big)

    sg holds the chosen answer's divergence constant, so that only the rejected one's is pulled at.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        chosen_sequence_kl: KL(reference, policy) at each token of the chosen answer, summed; nats.
        rejected_sequence_kl: The same for the rejected answer.
        beta: > 0; 0.1 in the paper.
        alpha: Weight of the divergences; 0.5 in the paper, 0 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Yongcheng Zeng et al., "Token-level Direct Preference Optimization", 2024, arXiv:2404.11999.

    Example:
        >>> round(tdpo_loss(2.0, -1.0, 0.4, 0.7), 9)
        0.560766129
    """
    drift = rejected_sequence_kl - stop_gradient(chosen_sequence_kl)
    return reduce(logistic(beta * (log_ratio_w - log_ratio_l - alpha * drift)), reduction)


@objective
def tdpo1_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    chosen_sequence_kl: Array,
    rejected_sequence_kl: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Token-level DPO in its first form (TDPO1): DPO's difference, corrected by the difference of the divergences.

    .. math:: -\log\sigma\big(\beta\big[r_w - r_l - (D_l - D_w)\big]\big)

    What the Bradley-Terry model says of rewards per token. A gradient flows through both divergences; the second form
    holds the chosen one's constant and weighs their difference.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        chosen_sequence_kl: KL(reference, policy) at each token of the chosen answer, summed; nats.
        rejected_sequence_kl: The same for the rejected answer.
        beta: > 0; 0.1 in the paper.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Yongcheng Zeng et al., "Token-level Direct Preference Optimization", 2024, arXiv:2404.11999.

    Example:
        >>> round(tdpo1_loss(2.0, -1.0, 0.4, 0.7), 9)
        0.567232135
    """
    drift = rejected_sequence_kl - chosen_sequence_kl
    return reduce(logistic(beta * (log_ratio_w - log_ratio_l - drift)), reduction)


@objective
def tis_dpo_loss(
    weighted_log_ratio_w: Array,
    weighted_log_ratio_l: Array,
    chosen_weighted_kl: Array,
    rejected_weighted_kl: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""TIS-DPO: DPO whose tokens count by an estimate of their own reward.

    .. math:: -\log\sigma\big(\beta\big[u_w - u_l - (K_w - K_l)\big]\big), \quad
              u = \sum_t w_t \log\frac{\pi(y_t)}{\pi_{ref}(y_t)}, \quad
              K = \sum_t w_t\, KL(\pi(\cdot|x, y_{<t}) \| \pi_{ref}(\cdot|x, y_{<t}))

    The weights come from outside: in the paper :math:`k e^{\mu c_t}` with c the log-ratio of two contrastive models,
    clipped, and :math:`\mu` positive for chosen, negative for rejected answers. With weights of 1 the sums are DPO's
    log-ratios; implementations that leave the divergences out are this function at ``chosen_weighted_kl=0,
    rejected_weighted_kl=0``.

    Args:
        weighted_log_ratio_w: Shape ``(pairs,)`` or scalar; the chosen answer's log-ratios, weighted and summed, nats.
        weighted_log_ratio_l: The same for the rejected answer.
        chosen_weighted_kl: KL(policy, reference) at each token of the chosen answer, weighted alike and summed; nats.
        rejected_weighted_kl: The same for the rejected answer.
        beta: > 0; 0.1 in the authors' code.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Aiwei Liu et al., "TIS-DPO: Token-level Importance Sampling for Direct Preference Optimization With Estimated
        Weights", 2024, arXiv:2410.04350.

    Example:
        >>> tis_dpo_loss(2.0, -1.0, 0.7, 0.4) == tdpo1_loss(2.0, -1.0, 0.4, 0.7)
        True
    """
    drift = chosen_weighted_kl - rejected_weighted_kl
    return reduce(logistic(beta * (weighted_log_ratio_w - weighted_log_ratio_l - drift)), reduction)


@objective
def ld_dpo_loss(
    policy_chosen_logps: Array,
    policy_rejected_logps: Array,
    ref_chosen_logps: Array,
    ref_rejected_logps: Array,
    policy_chosen_shared_logps: Array,
    policy_rejected_shared_logps: Array,
    ref_chosen_shared_logps: Array,
    ref_rejected_shared_logps: Array,
    beta: float = 0.1,
    alpha: float = 0.5,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Length-desensitised DPO: what an answer says beyond the other one's length counts for less.

    .. math:: -\log\sigma\big(\beta[r_w - r_l]\big), \quad r = \alpha\,r^{full} + (1 - \alpha)\,r^{shared}

    with :math:`r^{shared}` the log-ratio of the first min(m, n) tokens. Policy and reference are weighted alike, so
    that the loss is log 2 where they agree; code that weighs the policy alone starts elsewhere.

    Args:
        policy_chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        policy_rejected_logps: The same for the rejected answer.
        ref_chosen_logps: The same under the reference; carries no gradient.
        ref_rejected_logps: The same for the rejected answer; carries no gradient.
        policy_chosen_shared_logps: The chosen answer's, over its first min(m, n) tokens.
        policy_rejected_shared_logps: The same for the rejected answer.
        ref_chosen_shared_logps: The same under the reference; carries no gradient.
        ref_rejected_shared_logps: The same for the rejected answer; carries no gradient.
        beta: > 0; 0.1 in TRL's settings to reproduce the paper, where it is left as DPO's.
        alpha: Weight of the tokens beyond, in [0, 1]; 0.5 was the paper's best for Llama 3 8B; 1 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Wei Liu et al., "Length Desensitization in Direct Preference Optimization", 2024, arXiv:2409.06411.

    Example:
        >>> ld_dpo_loss(-12.0, -30.0, -14.0, -29.0, 0.0, 0.0, 0.0, 0.0, alpha=1.0)
        0.5543552444685271
    """
    full = (policy_chosen_logps - ref_chosen_logps) - (policy_rejected_logps - ref_rejected_logps)
    shared = (policy_chosen_shared_logps - ref_chosen_shared_logps) - (
        policy_rejected_shared_logps - ref_rejected_shared_logps
    )
    return reduce(logistic(beta * (alpha * full + (1 - alpha) * shared)), reduction)


@objective
def sampo_loss(
    sampled_log_ratio_w: Array, sampled_log_ratio_l: Array, beta: float = 0.1, *, reduction: str = "mean"
) -> Array:
    r"""SamPO: DPO on as many tokens of the longer answer, drawn at random, as the shorter one has.

    .. math:: -\log\sigma\big(\beta[\tilde r_w - \tilde r_l]\big), \quad
              \tilde r = \sum_{t \in T} \log\frac{\pi(y_t)}{\pi_{ref}(y_t)},\ |T| = \min(m, n)

    Policy and reference share one draw; with two draws the loss is not log 2 where they agree. On answers of equal
    length it is DPO.

    Args:
        sampled_log_ratio_w: Shape ``(pairs,)`` or scalar; log-ratio of the drawn tokens of the chosen answer, nats.
        sampled_log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.1 is DPO's value.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Junru Lu et al., "Eliminating Biased Length Reliance of Direct Preference Optimization via Down-Sampled KL
        Divergence", 2024, arXiv:2406.10957.

    Example:
        >>> sampo_loss(2.0, -1.0)
        0.5543552444685271
    """
    return reduce(logistic(beta * (sampled_log_ratio_w - sampled_log_ratio_l)), reduction)
