r"""Objectives on pairs that hold each answer's own log-ratio against an anchor, not only their difference.

Notation: :math:`\rho_w, \rho_l` log-ratios :math:`\log\pi/\pi_{ref}` of the chosen and rejected answer, summed over
the answer's tokens, in nats; :math:`\sigma` the logistic function.
"""

from __future__ import annotations

from penchant.arrays import reduce, sigmoid
from penchant.objectives.door import objective
from penchant.objectives.surrogates import logistic, squared
from penchant.records import Array


@objective
def apo_zero_loss(log_ratio_w: Array, log_ratio_l: Array, beta: float = 0.1, *, reduction: str = "mean") -> Array:
    r"""Anchored Preference Optimization, zero: the chosen answer up from the reference, the rejected one down.

    .. math:: \sigma(-\beta\rho_w) + \sigma(\beta\rho_l)

    For data whose chosen answers are better than what the model says. Both terms are bounded, so an answer far from
    the reference no longer pulls. It is twice the mean of KTO's value function over a pair with the baseline at 0.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.1 in the paper.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        Between 0 and 2; 1 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Karel D'Oosterlinck et al., "Anchored Preference Optimization and Contrastive Revisions", 2024,
        arXiv:2408.06266.

    Example:
        >>> round(apo_zero_loss(2.0, -1.0), 12)
        0.925186815209
    """
    return reduce(sigmoid(-beta * log_ratio_w) + sigmoid(beta * log_ratio_l), reduction)


@objective
def nca_loss(log_ratio_w: Array, log_ratio_l: Array, beta: float = 0.01, *, reduction: str = "mean") -> Array:
    r"""Noise Contrastive Alignment of a pair: absolute likelihoods count, so the chosen answer's cannot fall away.

    .. math:: -\log\sigma(\beta\rho_w) - \tfrac12\log\sigma(-\beta\rho_w) - \tfrac12\log\sigma(-\beta\rho_l)

    The chosen answer stands in both roles, data and noise, which anchors its reward at log 2: below it is pulled
    up, above pushed down. The rejected answer is pushed down without end.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.01 in the paper.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        2 log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Huayu Chen et al., "Noise Contrastive Alignment of Language Models with Explicit Rewards", 2024,
        arXiv:2402.05369.

    Example:
        >>> round(nca_loss(2.0, -1.0, beta=0.1), 12)
        1.319406634109
    """
    chosen, rejected = beta * log_ratio_w, beta * log_ratio_l
    return reduce(logistic(chosen) + 0.5 * logistic(-chosen) + 0.5 * logistic(-rejected), reduction)


@objective
def sppo_loss(log_ratio_w: Array, log_ratio_l: Array, beta: float = 0.001, *, reduction: str = "mean") -> Array:
    r"""Self-Play Preference Optimization with hard labels: each answer's log-ratio is regressed to its own target.

    .. math:: \Big(\rho_w - \tfrac{1}{2\beta}\Big)^2 + \Big(\rho_l + \tfrac{1}{2\beta}\Big)^2

    The win rates are taken as 1 and 0. It equals ((difference - 1/beta)² + sum²) / 2: IPO's square with an
    anchor on the sum, which keeps both answers from falling together. The authors' code averages the two terms,
    half of this.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the paper's 1/eta, 0.001 there.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats²; 1/(2 beta²) when policy and reference agree, 500000 at beta = 0.001.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Yue Wu et al., "Self-Play Preference Optimization for Language Model Alignment", 2024, arXiv:2405.00675.

    Example:
        >>> sppo_loss(2.0, -1.0, beta=0.1)
        25.0
    """
    return reduce((log_ratio_w - 1 / (2 * beta)) ** 2 + (log_ratio_l + 1 / (2 * beta)) ** 2, reduction)


@objective
def bco_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    log_ratio_baseline: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Binary Classifier Optimization on pairs: each answer is held against the running mean of rewards.

    .. math:: -\log\sigma(\beta\rho_w - \delta) - \log\sigma(\delta - \beta\rho_l), \quad \delta = \beta\bar\rho

    The logistic loss of a classifier that tells chosen from rejected answers by their reward; delta centres the
    rewards, and carries no gradient. Never below DPO's loss, whatever delta. It is the
    ``log_sigmoid`` form of :func:`penchant.kto_loss`, with that mean for z_ref.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        log_ratio_baseline: Running mean of the log-ratios of all answers, scalar or same shape; nats, no gradient.
        beta: > 0; 0.01 to 0.1 in the paper.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss of both answers together, in nats; 2 log 2 when policy and reference agree and delta is 0.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Seungjae Jung, Gunsoo Han, Daniel Wontae Nam, Kyoung-Woon On, "Binary Classifier Optimization for Large Language
        Model Alignment", 2024, arXiv:2404.04656.

    Example:
        >>> round(bco_loss(2.0, -1.0, 0.5), 9)
        1.241914096
    """
    chosen = logistic(beta * (log_ratio_w - log_ratio_baseline))
    return reduce(chosen + logistic(beta * (log_ratio_baseline - log_ratio_l)), reduction)


@objective
def cal_dpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Calibrated DPO: the two rewards are also held to +1/2 and -1/2.

    .. math:: -\log\sigma(\rho_w - \rho_l) + \Big(\rho_w - \frac{1}{2\beta}\Big)^2 + \Big(\rho_l +
              \frac{1}{2\beta}\Big)^2

    DPO's loss knows only the difference; the squares give each log-ratio a size of its own, so that chosen answers
    rise. There is no beta inside the logistic, as the paper has it.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the log-ratios go to 1/(2 beta) and minus that.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, in nats and nats²; log 2 + 1/(2 beta²) when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Teng Xiao, Yige Yuan, Huaisheng Zhu, Mingxiao Li, Vasant G. Honavar, "Cal-DPO: Calibrated Direct Preference
        Optimization for Language Model Alignment", 2024, arXiv:2412.14516.

    Example:
        >>> round(cal_dpo_loss(2.0, -1.0), 9)
        25.048587352
    """
    half = 1 / (2 * beta)
    anchors = squared(log_ratio_w, half) + squared(log_ratio_l, -half)
    return reduce(logistic(log_ratio_w - log_ratio_l) + anchors, reduction)


@objective
def apo_down_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Anchored Preference Optimization, down: both answers fall, the rejected one faster.

    .. math:: \sigma(\beta\rho_w) + \sigma\big(-\beta(\rho_w - \rho_l)\big)

    For a model that is better than the chosen answers of its data: even those are made less likely, which is meant,
    while the difference is kept.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, between 0 and 2; 1 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Karel D'Oosterlinck, Winnie Xu, Chris Develder et al., "Anchored Preference Optimization and Contrastive
        Revisions: Addressing Underspecification in Alignment", 2024, arXiv:2408.06266.

    Example:
        >>> round(apo_down_loss(2.0, -1.0), 9)
        0.975391481
    """
    chosen, gap = sigmoid(beta * log_ratio_w), sigmoid(-beta * (log_ratio_w - log_ratio_l))
    return reduce(chosen + gap, reduction)
