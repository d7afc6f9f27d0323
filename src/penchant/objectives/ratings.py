r"""Losses on pairs whose answers carry ratings, or a margin made of them.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\rho_w = \log\pi(y_w|x)/\pi_{ref}(y_w|x)`, :math:`\rho_l` likewise, :math:`\sigma` the logistic function,
:math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import peek, reduce
from penchant.errors import InputError
from penchant.objectives.door import objective
from penchant.objectives.surrogates import bernoulli_kl, logistic, squared
from penchant.records import Array


@objective
def odpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    chosen_scores: Array,
    rejected_scores: Array,
    beta: float = 0.1,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DPO with an Offset: a pair must be further apart the further apart its ratings are.

    .. math:: -\log\sigma\big(\beta(\rho_w - \rho_l) - \alpha\log(s_w - s_l)\big)

    s are ratings of the two answers; the paper's offset is an increasing function of their gap, here its logarithm, as
    in the authors' code. Equal ratings have no offset that is finite, and are refused.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        chosen_scores: Rating of the chosen answer, same shape; higher is better, in the ratings' own unit.
        rejected_scores: The same for the rejected answer.
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        alpha: Weight of the offset; 1 in the paper, 0 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log(1 + gap^alpha) when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, a constant is out of its domain, or a chosen answer is not
            rated above the rejected one.

    References:
        Afra Amini, Tim Vieira, Ryan Cotterell, "Direct Preference Optimization with an Offset", 2024, arXiv:2402.10571.

    Example:
        >>> round(odpo_loss(2.0, -1.0, 4.0, 2.0), 9)
        0.908918198
    """
    gaps = chosen_scores - rejected_scores
    known = peek(gaps)
    if known is not None and not (known > 0).all():
        fix = "Drop pairs whose ratings are equal; swap those rated the other way"
        raise InputError("a chosen answer is not rated above the rejected one", where="odpo_loss", fix=fix)
    offset = alpha * compat.array_namespace(gaps).log(gaps)
    return reduce(logistic(beta * (log_ratio_w - log_ratio_l) - offset), reduction)


@objective
def modpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    margin: Array,
    beta: float = 0.1,
    objective_weight: float = 1.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Multi-objective DPO: a margin takes the other objectives' rewards out of the preference.

    .. math:: -\log\sigma\Big(\frac1{w}\big[\beta(\rho_w - \rho_l) - m\big]\Big)

    m is the difference of the other objectives' weighted rewards between chosen and rejected answer, and w this
    objective's own weight. With w = 1 this is DPO with a margin per pair, whatever the margin stands for.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        margin: What the chosen answer's score must lead by, same shape; in the unit of beta times nats.
        beta: > 0; 0.1 in the authors' code.
        objective_weight: In (0, 1]; this objective's share among all, the paper's w_k.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree and the margin is 0.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Zhanhui Zhou, Jie Liu, Jing Shao et al., "Beyond One-Preference-Fits-All Alignment: Multi-Objective Direct
        Preference Optimization", 2023, arXiv:2310.03708.

    Example:
        >>> round(modpo_loss(2.0, -1.0, 0.3), 9)
        0.693147181
    """
    z = (beta * (log_ratio_w - log_ratio_l) - margin) / objective_weight
    return reduce(logistic(z), reduction)


@objective
def rebel_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    chosen_scores: Array,
    rejected_scores: Array,
    eta: float = 1.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""REBEL: the difference of log-ratios is regressed to the difference of rewards.

    .. math:: \Big(\frac{\rho_w - \rho_l}{\eta} - (s_w - s_l)\Big)^2

    No preference model: ratings are taken at their value, so that it matters by how much an answer is better. With a
    gap of 1/2 and eta = 1/beta it is beta² times IPO.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        chosen_scores: Rating of the chosen answer, same shape; higher is better, in the ratings' own unit.
        rejected_scores: The same for the rejected answer.
        eta: > 0; nats of log-ratio per unit of rating, the inverse of beta; 1 in the code of REBEL's authors.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, in squared units of the ratings; the squared gap when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Zhaolin Gao, Jonathan D. Chang, Wenhao Zhan et al., "REBEL: Reinforcement Learning via Regressing Relative
        Rewards", 2024, arXiv:2404.16767. With eta = 1/beta: Adam Fisch et al., "Robust Preference Optimization through
        Reward Model Distillation", 2024, arXiv:2405.19316.

    Example:
        >>> rebel_loss(2.0, -1.0, 1.0, 0.0)
        4.0
    """
    return reduce(squared((log_ratio_w - log_ratio_l) / eta, target=chosen_scores - rejected_scores), reduction)


@objective
def reward_aware_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    chosen_scores: Array,
    rejected_scores: Array,
    beta: float = 0.1,
    eta: float = 1.0,
    *,
    distance: str = "backward_kl",
    reduction: str = "mean",
) -> Array:
    r"""Reward-aware preference optimisation: implicit and given reward gaps are brought together by a distance.

    .. math:: D\big(\beta(\rho_w - \rho_l)\,,\ \eta(s_w - s_l)\big)

    The distance is the square, or the divergence between the two Bernoulli preferences that the gaps stand for, under
    NVIDIA's names: ``backward_kl``, the report's, is KL(ratings, policy), which is DPO on soft labels less their
    entropy; ``forward_kl`` is KL(policy, ratings). This function had the two the other way round before its first
    release: what was ``backward_kl`` then, the default, is ``forward_kl`` now. Other papers call other losses RPO.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        chosen_scores: Rating of the chosen answer, same shape; higher is better, in the ratings' own unit.
        rejected_scores: The same for the rejected answer.
        beta: > 0; 0.1 is our choice: the report tunes it in [1e-3, 1]; NeMo-Aligner has 0.2, Llama-Nemotron 1e-5.
        eta: > 0; nats of preference per unit of rating; 1 in the report and in NeMo-Aligner, 3 in Llama-Nemotron.
        distance: ``"backward_kl"``, ``"forward_kl"`` or ``"squared"``.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats (nats² for the square), at least 0 up to rounding; 0 where the gaps agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        NVIDIA, "Nemotron-4 340B Technical Report", 2024, arXiv:2406.11704, the equation of L_rpo in its section on
        preference fine-tuning; Shengyang Sun et al., "Reward-aware Preference Optimization: A Unified Mathematical
        Framework for Model Alignment", 2025, arXiv:2502.00203, has all three distances. The names are those of
        NeMo-Aligner's ``rpo_bwd_kl``, ``rpo_fwd_kl`` and ``rpo_sq``.

    Example:
        >>> round(reward_aware_loss(2.0, -1.0, 1.0, 0.0), 9)
        0.052834562
    """
    z, target = beta * (log_ratio_w - log_ratio_l), eta * (chosen_scores - rejected_scores)
    if distance == "squared":
        losses = squared(z, target)
    elif distance == "forward_kl":
        losses = bernoulli_kl(z, target)
    else:
        losses = bernoulli_kl(target, z)
    return reduce(losses, reduction)
