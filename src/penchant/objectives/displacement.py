r"""Losses on pairs that keep the chosen answer from falling along with the rejected one.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\rho_w = \log\pi(y_w|x)/\pi_{ref}(y_w|x)`, :math:`\rho_l` likewise, :math:`\sigma` the logistic function,
:math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.scores import nll
from penchant.objectives.surrogates import logistic, positive_part
from penchant.records import Array


@objective
def dpo_shift_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    rejected_weight: float = 0.75,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DPO-Shift: the rejected answer's log-ratio counts for less, so that the chosen one need not fall.

    .. math:: -\log\sigma\big(\beta(\rho_w - f\rho_l)\big)

    Pushing the rejected answer down drags similar chosen answers with it; a factor below 1 takes some of that pull
    away, at the price of a smaller margin. The paper also varies f over training.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        rejected_weight: In (0, 1]; the paper's f, 0.5 to 0.95; 1 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Xiliang Yang, Feng Jiang, Qianen Zhang et al., "DPO-Shift: Shifting the Distribution of Direct Preference
        Optimization", 2025, arXiv:2502.07599.

    Example:
        >>> round(dpo_shift_loss(2.0, -1.0), 9)
        0.565070668
    """
    z = beta * (log_ratio_w - rejected_weight * log_ratio_l)
    return reduce(logistic(z), reduction)


@objective
def dpop_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.3,
    lambda_: float = 50.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DPO-Positive (Smaug): a penalty while the chosen answer is less likely than under the reference.

    .. math:: -\log\sigma\big(\beta\,[\rho_w - \rho_l - \lambda\max(0, -\rho_w)]\big)

    On pairs that differ in a few tokens DPO lowers both answers; here the margin must be won by raising the chosen one.
    The penalty has a kink where training starts; its slope is 0 there, so that the first step is DPO's (the relu,
    maximum and clamp of array libraries would give 1, 26 or 51 times that at lambda = 50).

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.3 in the paper.
        lambda_: >= 0; the penalty's weight, 50 in the paper; 0 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree, DPO's where the chosen answer has not fallen.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Arka Pal, Deep Karkhanis, Samuel Dooley et al., "Smaug: Fixing Failure Modes of Preference Optimisation with
        DPO-Positive", 2024, arXiv:2402.13228.

    Example:
        >>> round(dpop_loss(2.0, -1.0), 9)
        0.341153875
    """
    fall = positive_part(-log_ratio_w)
    return reduce(logistic(beta * (log_ratio_w - log_ratio_l - lambda_ * fall)), reduction)


@objective
def minor_dpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""MinorDPO: a rejected answer is not pushed below the reference.

    .. math:: -\log\sigma\big(\beta\,[\rho_w - \max(0, \rho_l)]\big)

    Once the rejected answer is less likely than under the reference it stops pulling, and only the chosen one is
    learned from.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree, where the rejected answer's slope is 0.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Shiming Xie, Hong Chen, Fred Yu et al., "Minor DPO reject penalty to increase training robustness", 2024,
        arXiv:2408.09834.

    Example:
        >>> round(minor_dpo_loss(2.0, -1.0), 9)
        0.598138869
    """
    return reduce(logistic(beta * (log_ratio_w - positive_part(log_ratio_l))), reduction)


@objective
def dpo_nll_loss(
    policy_chosen_logps: Array,
    policy_rejected_logps: Array,
    ref_chosen_logps: Array,
    ref_rejected_logps: Array,
    chosen_lengths: Array,
    beta: float = 0.1,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DPO plus the chosen answer's likelihood, as in iterative reasoning preference optimisation.

    .. math:: -\log\sigma\big(\beta(\rho_w - \rho_l)\big) - \frac{\alpha}{|y_w|}\log\pi(y_w|x), \quad \rho =
              \log\frac{\pi(y|x)}{\pi_{ref}(y|x)}

    The second term is supervised fine-tuning on the chosen answer, averaged over that answer's own tokens (other code
    averages over the batch's tokens, or sums): it keeps chosen answers from falling.

    Args:
        policy_chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        policy_rejected_logps: The same for the rejected answer.
        ref_chosen_logps: The same under the reference; carries no gradient.
        ref_rejected_logps: The same for the rejected answer; carries no gradient.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        alpha: Weight of the likelihood, 1 in the paper; 0 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 plus alpha times the chosen answer's nats per token when policy and reference agree.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Richard Yuanzhe Pang, Weizhe Yuan, Kyunghyun Cho et al., "Iterative Reasoning Preference Optimization", 2024,
        arXiv:2404.19733.

    Example:
        >>> round(dpo_nll_loss(-12.0, -30.0, -14.0, -29.0, 8), 9)
        2.054355244
    """
    chosen_log_ratio = policy_chosen_logps - ref_chosen_logps
    rejected_log_ratio = policy_rejected_logps - ref_rejected_logps
    preference = logistic(beta * (chosen_log_ratio - rejected_log_ratio))
    return reduce(preference + alpha * nll(policy_chosen_logps, chosen_lengths), reduction)
