r"""Losses that set a pair against the others: those of its batch, or running statistics of those before.

Notation: :math:`\rho_w = \log\pi(y_w|x)/\pi_{ref}(y_w|x)` for the chosen answer, :math:`\rho_l` for the rejected one,
nats, summed over tokens; sg[.] carries no gradient.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import reduce, stop_gradient
from penchant.objectives.door import objective
from penchant.objectives.scores import mean_logps
from penchant.objectives.surrogates import logistic
from penchant.records import Array

LEAST_BETA = 1e-3
"""Beta-DPO's beta of a batch is not let below this, as in the authors' code."""


@objective
def beta_dpo_loss(
    log_ratio_w: Array, log_ratio_l: Array, gap_mean: Array, beta: float = 0.1, alpha: float = 0.6
) -> Array:
    r"""DPO whose beta follows the batch: batches with wide gaps are held closer to the reference.

    .. math:: -\frac1N\sum_i \log\sigma(\beta' g_i), \quad g = \rho_w - \rho_l, \quad
              \beta' = \max\Big(10^{-3},\ \beta\Big[1 + \alpha\Big(\frac1N\sum_i \mathrm{sg}[g_i] - M\Big)\Big]\Big)

    M is the running mean of the gaps. The authors' code moves it by a tenth of the way to each batch's mean before the
    loss; ``penchant train`` moves it after, so that the bracket's deviation is a ninth larger at the same alpha. Their
    filter keeps 80 % of each batch, drawn at random with weights exp(-((g - M)/s)²/2) (s the gaps' running standard
    deviation), and gives the others no loss. A draw is no function of log-probs: it is not part of this loss, and
    ``penchant train`` does not do it: all pairs count.

    The loss couples the pairs of a batch: it is not a sum over them, and there is nothing to reduce.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        gap_mean: Running mean of the gaps over the steps before, one number, nats; carries no gradient.
        beta: > 0; beta of a batch with the mean gap; 0.1 in the authors' example.
        alpha: How beta follows the gap, per nat; 0.6 in the authors' example, 0 is DPO.

    Returns:
        One number in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Junkang Wu et al., "β-DPO: Direct Preference Optimization with Dynamic β", 2024, arXiv:2407.08639.

    Example:
        >>> round(beta_dpo_loss(3.0, 0.0, 2.0), 9)  # beta is 0.16
        0.481674874
    """
    xp = compat.array_namespace(log_ratio_w)
    gaps = log_ratio_w - log_ratio_l
    follows = beta * (1 + alpha * xp.mean(stop_gradient(gaps) - gap_mean))
    least = xp.full_like(follows, LEAST_BETA)
    return xp.mean(logistic(xp.where(follows > least, follows, least) * gaps))


@objective
def alpha_dpo_loss(
    policy_chosen_logps: Array,
    policy_rejected_logps: Array,
    ref_chosen_logps: Array,
    ref_rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    gap_mean: Array,
    gap_std: Array,
    beta: float = 2.5,
    gamma: float = 0.375,
    alpha: float = 0.125,
    *,
    reduction: str = "mean",
) -> Array:
    r"""AlphaDPO: SimPO with a margin of its own for every pair, wider where policy and reference differ more.

    .. math:: -\log\sigma\Big(\beta[\bar p_w - \bar p_l] - \mathrm{sg}\Big[\gamma + \alpha\frac{g - M}{S}\Big]\Big),
              \quad g = \frac{\rho_w}{m} - \frac{\rho_l}{n}

    :math:`\bar p` is a log-prob per token; M and S are the running mean and standard deviation of g, kept by the loop
    (the authors move them by a tenth of the way to each batch's). gamma and alpha stand outside beta, as in SimPO's
    formula; the authors' code has both inside, so that its numbers times beta are these. The defaults are its recipe
    for Mistral 7B; that for Llama 3 8B has gamma 1.5 and alpha 0.5.

    Args:
        policy_chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        policy_rejected_logps: The same for the rejected answer.
        ref_chosen_logps: The same under the reference; carries no gradient.
        ref_rejected_logps: The same for the rejected answer; carries no gradient.
        chosen_lengths: Tokens of the chosen answer, exactly those summed.
        rejected_lengths: The same for the rejected answer.
        gap_mean: Running mean of the gaps g, one number, nats per token; carries no gradient.
        gap_std: Their running standard deviation, above 0.
        beta: > 0; 2.5 in the authors' recipes.
        gamma: Margin of a pair with the mean gap.
        alpha: Weight of the standardised gap; 0 is SimPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats.

    Raises:
        InputError: if shapes disagree, the batch is empty, a length is below 1, or a constant is out of its domain.

    References:
        Junkang Wu et al., "AlphaDPO: Adaptive Reward Margin is What Direct Preference Optimization Needs", 2024,
        arXiv:2410.10148.

    Example:
        >>> round(alpha_dpo_loss(-12.0, -30.0, -14.0, -29.0, 8, 15, 0.1, 0.2, 2.0, 0.5, 0.1), 9)
        0.516367869
    """
    chosen, rejected = (
        mean_logps(policy_chosen_logps, chosen_lengths),
        mean_logps(policy_rejected_logps, rejected_lengths),
    )
    gaps = chosen - mean_logps(ref_chosen_logps, chosen_lengths)
    gaps = gaps - (rejected - mean_logps(ref_rejected_logps, rejected_lengths))
    margin = gamma + alpha * stop_gradient((gaps - gap_mean) / gap_std)
    return reduce(logistic(beta * (chosen - rejected) - margin), reduction)


@objective
def aot_loss(
    policy_chosen_logps: Array,
    policy_rejected_logps: Array,
    ref_chosen_logps: Array,
    ref_rejected_logps: Array,
    beta: float = 0.01,
) -> Array:
    r"""Alignment via optimal transport, paired: the policy's gaps are to dominate the reference's as a distribution.

    .. math:: -\frac1N\sum_i \log\sigma\big(\beta[g_{(i)} - h_{(i)}]\big), \quad
              g = \log\frac{\pi(y_w|x)}{\pi(y_l|x)},\ h = \log\frac{\pi_{ref}(y_w|x)}{\pi_{ref}(y_l|x)}

    (i) is the i-th smallest: the policy's i-th smallest gap is set against the reference's, whichever pairs they are
    of. The loss couples the pairs of a batch: it is not a sum over them, and there is nothing to reduce. One pair is
    DPO; equal gaps take their slopes in an arbitrary order.

    Args:
        policy_chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        policy_rejected_logps: The same for the rejected answer.
        ref_chosen_logps: The same under the reference; carries no gradient.
        ref_rejected_logps: The same for the rejected answer; carries no gradient.
        beta: > 0; 0.01 in the paper.

    Returns:
        One number in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Igor Melnyk et al., "Distributional Preference Alignment of LLMs via Optimal Transport", 2024, arXiv:2406.05882.

    Example:
        >>> aot_loss(-12.0, -30.0, -14.0, -29.0, beta=0.1)
        0.5543552444685271
    """
    gaps = _ascending(policy_chosen_logps - policy_rejected_logps) - _ascending(ref_chosen_logps - ref_rejected_logps)
    return compat.array_namespace(gaps).mean(logistic(beta * gaps))


@objective
def aot_unpaired_loss(log_ratio_w: Array, log_ratio_l: Array, beta: float = 0.01) -> Array:
    r"""Alignment via optimal transport, unpaired: chosen rewards are to dominate rejected ones as a distribution.

    .. math:: -\frac1N\sum_i \log\sigma\big(\beta[\rho_{w,(i)} - \rho_{l,(i)}]\big)

    (i) is the i-th smallest of the batch, so that chosen and rejected answers need not belong to one prompt. The loss
    couples the pairs of a batch: it is not a sum over them, and there is nothing to reduce. One pair is DPO; equal
    log-ratios take their slopes in an arbitrary order.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.01 in the paper.

    Returns:
        One number in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Igor Melnyk et al., "Distributional Preference Alignment of LLMs via Optimal Transport", 2024, arXiv:2406.05882.

    Example:
        >>> aot_unpaired_loss(2.0, -1.0, beta=0.1)
        0.5543552444685271
    """
    gaps = _ascending(log_ratio_w) - _ascending(log_ratio_l)
    return compat.array_namespace(gaps).mean(logistic(beta * gaps))


def _ascending(values: Array) -> Array:
    xp = compat.array_namespace(values)
    return xp.sort(xp.reshape(values, (-1,)))
