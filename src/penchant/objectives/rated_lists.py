r"""Losses on lists of answers with ratings.

Notation: :math:`s_k = \beta[\log\pi(y_k|x) - \log\pi_{ref}(y_k|x)]`, the implicit reward of answer k; :math:`r_k` its
rating; :math:`\bar p_k` its log-prob per token; K the number of answers, which all lists of a batch share. The order in
which the answers stand is of no consequence.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import reduce, stop_gradient
from penchant.objectives.door import objective
from penchant.objectives.scores import list_nll, log1p_sum_exp, mean_logps, nll, shares_of
from penchant.objectives.surrogates import logistic, positive_part
from penchant.records import Array


@objective
def info_nca_loss(
    policy_list_logps: Array,
    ref_list_logps: Array,
    list_scores: Array,
    beta: float = 0.01,
    temperature: float = 1e-4,
    *,
    reduction: str = "mean",
) -> Array:
    r"""InfoNCA: the softmax of the implicit rewards is to be the softmax of the ratings.

    .. math:: -\sum_k q_k \log\frac{e^{s_k}}{\sum_j e^{s_j}}, \quad q = \mathrm{softmax}(r/\alpha)

    Two answers are DPO on soft labels, with probability :math:`\sigma((r_1 - r_2)/\alpha)`; a low temperature makes
    them DPO. Only differences of log-ratios count: all answers may fall, the best one included; see ``nca_list``.

    Args:
        policy_list_logps: Shape ``(lists, answers)``, or ``(answers,)`` for one list; nats, summed over each answer's
            tokens.
        ref_list_logps: The same under the reference; carries no gradient.
        list_scores: Ratings of the answers, same shape; higher is better.
        beta: > 0; 0.01 in the paper.
        temperature: > 0; alpha, in the ratings' unit. 1e-4 in the authors' recipe (``yamls/reward_qlora.yaml``), at
            which the best answer is all of the target; equally good ones share it, where the authors' code takes the
            first. 1 takes the ratings for nats.
        reduction: ``"none"`` for shape ``(lists,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, at least the entropy of q; log K when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is not positive.

    References:
        Huayu Chen, Guande He, Lifan Yuan, Ganqu Cui, Hang Su, Jun Zhu, "Noise Contrastive Alignment of Language Models
        with Explicit Rewards", 2024, arXiv:2402.05369.

    Example:
        >>> round(info_nca_loss([7.0, -2.0, 4.0], [0.0, 0.0, 0.0], [2.0, 1.0, 0.0], beta=0.1, temperature=1.0), 9)
        1.01151696
    """
    xp = compat.array_namespace(policy_list_logps)
    targets = shares_of(list_scores / temperature)
    return reduce(xp.sum(targets * list_nll(beta * (policy_list_logps - ref_list_logps)), axis=-1), reduction)


@objective
def nca_list_loss(
    policy_list_logps: Array,
    ref_list_logps: Array,
    list_scores: Array,
    beta: float = 0.01,
    temperature: float = 1e-4,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Noise contrastive alignment of any number of answers: each one's own likelihood moves, not only differences.

    .. math:: -\sum_k \Big[q_k \log\sigma(s_k) + \frac1K \log\sigma(-s_k)\Big], \quad q = \mathrm{softmax}(r/\alpha)

    With two answers and a low temperature this is ``nca``. The optimum has :math:`s_k = \log(K q_k)`: answers whose
    share q of the softmax is above 1/K rise in absolute terms, all others fall. Of ratings 10, 9 and 1 at a temperature
    of 1 the 9 falls.

    Args:
        policy_list_logps: Shape ``(lists, answers)``, or ``(answers,)`` for one list; nats, summed over each answer's
            tokens.
        ref_list_logps: The same under the reference; carries no gradient.
        list_scores: Ratings of the answers, same shape; higher is better.
        beta: > 0; 0.01 in the paper.
        temperature: > 0; alpha, in the ratings' unit. 1e-4 in the authors' recipe (``yamls/reward_qlora.yaml``), at
            which the best answer is all of the target; equally good ones share it, where the authors' code takes the
            first. 1 takes the ratings for nats.
        reduction: ``"none"`` for shape ``(lists,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; 2 log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is not positive.

    References:
        Huayu Chen, Guande He, Lifan Yuan, Ganqu Cui, Hang Su, Jun Zhu, "Noise Contrastive Alignment of Language Models
        with Explicit Rewards", 2024, arXiv:2402.05369.

    Example:
        >>> round(nca_list_loss([7.0, -2.0, 4.0], [0.0, 0.0, 0.0], [2.0, 1.0, 0.0], beta=0.1, temperature=1.0), 9)
        1.381176958
    """
    xp = compat.array_namespace(policy_list_logps)
    s = beta * (policy_list_logps - ref_list_logps)
    targets = shares_of(list_scores / temperature)
    return reduce(xp.sum(targets * logistic(s), axis=-1) + xp.mean(logistic(-s), axis=-1), reduction)


@objective
def exo_list_loss(
    policy_list_logps: Array,
    ref_list_logps: Array,
    list_scores: Array,
    beta: float = 0.5,
    temperature: float = 0.5,
    *,
    reduction: str = "mean",
) -> Array:
    r"""EXO on ratings: the reverse divergence of InfoNCA's, which seeks the best answers rather than covering all.

    .. math:: KL\big(\mathrm{softmax}(s)\,\|\,\mathrm{softmax}(r/\beta_r)\big)

    Args:
        policy_list_logps: Shape ``(lists, answers)``, or ``(answers,)`` for one list; nats, summed over each answer's
            tokens.
        ref_list_logps: The same under the reference; carries no gradient.
        list_scores: Ratings of the answers, same shape; higher is better.
        beta: > 0; the paper's beta of the policy; 0.5 in the authors' scripts for HH, TL;DR and data of one's own
            (``exp/custom_exp/train_exo.sh``), 0.1 in that for IMDB.
        temperature: > 0; the paper's beta of the ratings, in their unit; equal to beta in all four scripts.
        reduction: ``"none"`` for shape ``(lists,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, at least 0 up to rounding; 0 where s and the ratings agree up to a constant.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is not positive.

    References:
        Haozhe Ji et al., "Towards Efficient Exact Optimization of Language Model Alignment", 2024, arXiv:2402.00856.

    Example:
        >>> round(exo_list_loss([7.0, -2.0, 4.0], [0.0, 0.0, 0.0], [2.0, 1.0, 0.0], beta=0.1, temperature=1.0), 9)
        0.248762796
    """
    xp = compat.array_namespace(policy_list_logps)
    s = beta * (policy_list_logps - ref_list_logps)
    return reduce(xp.sum(shares_of(s) * (list_nll(list_scores / temperature) - list_nll(s)), axis=-1), reduction)


@objective
def lipo_loss(
    policy_list_logps: Array,
    ref_list_logps: Array,
    list_scores: Array,
    beta: float = 0.05,
    *,
    reduction: str = "mean",
) -> Array:
    r"""LiPO-lambda: DPO on all pairs of a list, each weighted by what swapping it would change in the ranking's gain.

    .. math:: \sum_{r_i > r_j} \big|2^{r_i} - 2^{r_j}\big|\,\Big|\frac{1}{\log_2(1 + \tau_i)} -
              \frac{1}{\log_2(1 + \tau_j)}\Big|\,\big(-\log\sigma(s_i - s_j)\big)

    :math:`\tau` is the answer's rank by s, 1 for the largest; it carries no gradient. Equal s are ranked as they stand,
    which is the one place where the order of a list matters: policy and reference that agree are such a case.

    Args:
        policy_list_logps: Shape ``(lists, answers)``, or ``(answers,)`` for one list; nats, summed over each answer's
            tokens.
        ref_list_logps: The same under the reference; carries no gradient.
        list_scores: Ratings of the answers, same shape; higher is better. The paper's lie in [0, 1]:
            the gain is exponential in them.
        beta: > 0; 0.05 in the paper.
        reduction: ``"none"`` for shape ``(lists,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, weighted.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Tianqi Liu et al., "LiPO: Listwise Preference Optimization through Learning-to-Rank", 2024, arXiv:2402.01878.

    Example:
        >>> round(lipo_loss([-12.0, -30.0], [-14.0, -29.0], [1.0, 0.0], beta=0.1), 9)
        0.204596027
    """
    xp = compat.array_namespace(policy_list_logps)
    s = beta * (policy_list_logps - ref_list_logps)
    discount = xp.log(xp.asarray(2.0, dtype=s.dtype, device=compat.device(s))) / xp.log1p(_ranks(stop_gradient(s)))
    gain = 2**list_scores
    weights = positive_part(_gaps(gain)) * xp.abs(_gaps(discount))
    return reduce(xp.sum(xp.sum(weights * logistic(_gaps(s)), axis=-1), axis=-1), reduction)


@objective
def pro_loss(
    policy_list_logps: Array,
    list_lengths: Array,
    list_scores: Array,
    alpha: float = 0.05,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Preference ranking optimisation: each answer against all worse ones, at temperatures that the ratings set.

    .. math:: \sum_k \log\frac{e^{\bar p_k/T_k^k} + \sum_{r_i < r_k} e^{\bar p_i/T_k^i}}{e^{\bar p_k/T_k^k}} -
              \alpha\,\bar p_{best}, \quad T_k^i = \frac{1}{r_k - r_i},\ T_k^k = \min_i T_k^i

    Answers that are rated far apart are pushed apart harder. Equally rated ones are not compared; the worst answer has
    nothing below it and adds nothing.

    Args:
        policy_list_logps: Shape ``(lists, answers)``, or ``(answers,)`` for one list; nats, summed over each answer's
            tokens.
        list_lengths: Tokens of the answers, exactly those summed.
        list_scores: Ratings of the answers, same shape; higher is better.
        alpha: Weight of fine-tuning on the best answer (the first of the best); 0.05 in all the authors' scripts
            (``PRO/train``). Their code multiplies it by (K - 1)², and that answer's log-prob is summed where this takes
            the mean.
        reduction: ``"none"`` for shape ``(lists,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a length is below 1.

    References:
        Feifan Song et al., "Preference Ranking Optimization for Human Alignment", 2023, arXiv:2306.17492.

    Example:
        >>> round(pro_loss([-12.0, -30.0], [8, 15], [1.0, 0.0]), 9)
        0.549076984
    """
    xp = compat.array_namespace(policy_list_logps)
    means = mean_logps(policy_list_logps, list_lengths)
    gaps = _gaps(list_scores)
    own = means * (list_scores - xp.min(list_scores, axis=-1, keepdims=True))
    over = gaps * means[..., None, :] - own[..., :, None]  # entry (k, i): what answer i scores above k
    above = log1p_sum_exp(xp.where(gaps > 0, over, xp.full_like(gaps, -xp.inf)))
    return reduce(xp.sum(above, axis=-1) + alpha * _best_nll(policy_list_logps, list_lengths, list_scores), reduction)


@objective
def rrhf_loss(
    policy_list_logps: Array,
    list_lengths: Array,
    list_scores: Array,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""RRHF: a better rated answer is to be the likelier one per token, by no margin; and the best one is imitated.

    .. math:: \sum_{r_i < r_j} \max(0, \bar p_i - \bar p_j) - \alpha\,\bar p_{best}

    Args:
        policy_list_logps: Shape ``(lists, answers)``, or ``(answers,)`` for one list; nats, summed over each answer's
            tokens.
        list_lengths: Tokens of the answers, exactly those summed.
        list_scores: Ratings of the answers, same shape; higher is better.
        alpha: Weight of fine-tuning on the best answer (the first of the best). 1 in the authors' scripts, which set
            ``--rrhf_weight 1``, the other term's; where that is not given, their code multiplies by 100.
        reduction: ``"none"`` for shape ``(lists,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats per token.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a length is below 1.

    References:
        Zheng Yuan, Hongyi Yuan, Chuanqi Tan, Wei Wang, Songfang Huang, Fei Huang, "RRHF: Rank Responses to Align
        Language Models with Human Feedback without tears", 2023, arXiv:2304.05302.

    Example:
        >>> rrhf_loss([-12.0, -30.0], [8, 15], [1.0, 0.0])
        1.5
    """
    xp = compat.array_namespace(policy_list_logps)
    means = mean_logps(policy_list_logps, list_lengths)
    gaps = _gaps(list_scores)
    wrong = xp.where(gaps > 0, positive_part(-_gaps(means)), xp.zeros_like(gaps))
    best = alpha * _best_nll(policy_list_logps, list_lengths, list_scores)
    return reduce(xp.sum(xp.sum(wrong, axis=-1), axis=-1) + best, reduction)


def _gaps(values: Array) -> Array:
    """Entry (i, j) of the last two axes: value i minus value j."""
    return values[..., :, None] - values[..., None, :]


def _ranks(scores: Array) -> Array:
    """1 for the largest; equal scores are ranked as they stand."""
    xp = compat.array_namespace(scores)
    places = xp.arange(scores.shape[-1], device=compat.device(scores))
    gaps = _gaps(scores)
    ahead = (gaps < 0) | ((gaps == 0) & (places[None, :] < places[:, None]))
    return 1 + xp.sum(xp.astype(ahead, scores.dtype), axis=-1)


def _best_nll(logps: Array, lengths: Array, ratings: Array) -> Array:
    """Negative log-likelihood per token of the first of the best answers."""
    xp = compat.array_namespace(logps)
    losses = nll(logps, lengths)
    return xp.sum(xp.where(_ranks(ratings) == 1, losses, xp.zeros_like(losses)), axis=-1)
