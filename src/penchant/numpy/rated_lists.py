r"""The oracle's losses on lists of answers with ratings; the last axis of an input is the list."""

from __future__ import annotations

import numpy as np

from penchant.errors import InputError
from penchant.numpy.common import Array, Result, Values, check_lengths, floats, number, reduce, sigmoid, softplus
from penchant.numpy.listwise import ListGrad


def info_nca_loss(
    policy_list_logps: Values,
    ref_list_logps: Values,
    list_scores: Values,
    beta: float = 0.01,
    temperature: float = 1e-4,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Cross-entropy of the implicit rewards' softmax against the ratings'.

    Arguments, units and errors are those of :func:`penchant.info_nca_loss`.

    .. math:: L = -\sum_k q_k\log p_k, \quad p = \mathrm{softmax}(\beta\rho),\ q = \mathrm{softmax}(r/\alpha)

    References:
        Chen, He, Yuan, Cui, Su, Zhu (2024), Noise Contrastive Alignment of Language Models with Explicit Rewards,
        arXiv:2402.05369.

    >>> round(info_nca_loss([7.0, -2.0, 4.0], [0.0, 0.0, 0.0], [2.0, 1.0, 0.0], beta=0.1, temperature=1.0), 12)
    1.011516960064
    """
    _, s, r = _rewards("info_nca_loss", policy_list_logps, ref_list_logps, list_scores, beta, temperature)
    return reduce("info_nca_loss", (np.exp(-_surprise(r)) * _surprise(s)).sum(-1), reduction)


def info_nca_grad(
    policy_list_logps: Values,
    ref_list_logps: Values,
    list_scores: Values,
    beta: float = 0.01,
    temperature: float = 1e-4,
) -> ListGrad:
    r"""Derivatives of :func:`info_nca_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_k = \beta(p_k - q_k)
    """
    scale, s, r = _rewards("info_nca_grad", policy_list_logps, ref_list_logps, list_scores, beta, temperature)
    return ListGrad(scale * (np.exp(-_surprise(s)) - np.exp(-_surprise(r))))


def nca_list_loss(
    policy_list_logps: Values,
    ref_list_logps: Values,
    list_scores: Values,
    beta: float = 0.01,
    temperature: float = 1e-4,
    *,
    reduction: str = "mean",
) -> Result:
    r"""A classifier of each answer, weighted by the ratings' softmax, against all answers as noise.

    Arguments, units and errors are those of :func:`penchant.nca_list_loss`.

    .. math:: L = \sum_k\big[q_k\,\ell(s_k) + \ell(-s_k)/K\big]

    References:
        Chen, He, Yuan, Cui, Su, Zhu (2024), Noise Contrastive Alignment of Language Models with Explicit Rewards,
        arXiv:2402.05369.

    >>> round(nca_list_loss([7.0, -2.0, 4.0], [0.0, 0.0, 0.0], [2.0, 1.0, 0.0], beta=0.1, temperature=1.0), 12)
    1.381176958483
    """
    _, s, r = _rewards("nca_list_loss", policy_list_logps, ref_list_logps, list_scores, beta, temperature)
    return reduce("nca_list_loss", (np.exp(-_surprise(r)) * softplus(-s)).sum(-1) + softplus(s).mean(-1), reduction)


def nca_list_grad(
    policy_list_logps: Values,
    ref_list_logps: Values,
    list_scores: Values,
    beta: float = 0.01,
    temperature: float = 1e-4,
) -> ListGrad:
    r"""Derivatives of :func:`nca_list_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_k = \beta\big[\sigma(s_k)/K - q_k\,\sigma(-s_k)\big]
    """
    scale, s, r = _rewards("nca_list_grad", policy_list_logps, ref_list_logps, list_scores, beta, temperature)
    pull = np.exp(-_surprise(r)) * np.asarray(sigmoid(-s))
    return ListGrad(scale * (np.asarray(sigmoid(s)) / s.shape[-1] - pull))


def exo_list_loss(
    policy_list_logps: Values,
    ref_list_logps: Values,
    list_scores: Values,
    beta: float = 0.5,
    temperature: float = 0.5,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Divergence of the implicit rewards' softmax from the ratings'.

    Arguments, units and errors are those of :func:`penchant.exo_list_loss`.

    .. math:: L = \sum_k p_k\log\frac{p_k}{q_k}

    References:
        Ji et al. (2024), Towards Efficient Exact Optimization of Language Model Alignment, arXiv:2402.00856.

    >>> round(exo_list_loss([7.0, -2.0, 4.0], [0.0, 0.0, 0.0], [2.0, 1.0, 0.0], beta=0.1, temperature=1.0), 12)
    0.248762796478
    """
    _, s, r = _rewards("exo_list_loss", policy_list_logps, ref_list_logps, list_scores, beta, temperature)
    return reduce("exo_list_loss", (np.exp(-_surprise(s)) * (_surprise(r) - _surprise(s))).sum(-1), reduction)


def exo_list_grad(
    policy_list_logps: Values,
    ref_list_logps: Values,
    list_scores: Values,
    beta: float = 0.5,
    temperature: float = 0.5,
) -> ListGrad:
    r"""Derivatives of :func:`exo_list_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_k = \beta p_k\Big(\log\frac{p_k}{q_k} - L\Big)
    """
    scale, s, r = _rewards("exo_list_grad", policy_list_logps, ref_list_logps, list_scores, beta, temperature)
    shares, ratio = np.exp(-_surprise(s)), _surprise(r) - _surprise(s)
    return ListGrad(scale * shares * (ratio - (shares * ratio).sum(-1, keepdims=True)))


def lipo_loss(
    policy_list_logps: Values,
    ref_list_logps: Values,
    list_scores: Values,
    beta: float = 0.05,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO on all pairs of a list, weighted by gains and discounts.

    Arguments, units and errors are those of :func:`penchant.lipo_loss`.

    .. math:: L = \sum_{r_i > r_j} w_{ij}\,\ell(s_i - s_j), \quad
        w_{ij} = (2^{r_i} - 2^{r_j})\Big|\frac{1}{\log_2(1+\tau_i)} - \frac{1}{\log_2(1+\tau_j)}\Big|

    References:
        Liu et al. (2024), LiPO: Listwise Preference Optimization through Learning-to-Rank, arXiv:2402.01878.

    >>> round(lipo_loss([-12.0, -30.0], [-14.0, -29.0], [1.0, 0.0], beta=0.1), 12)
    0.204596026685
    """
    _, s, r = _rewards("lipo_loss", policy_list_logps, ref_list_logps, list_scores, beta, 1.0)
    return reduce("lipo_loss", (_swap_gains(s, r) * softplus(_across(s))).sum((-1, -2)), reduction)


def lipo_grad(policy_list_logps: Values, ref_list_logps: Values, list_scores: Values, beta: float = 0.05) -> ListGrad:
    r"""Derivatives of :func:`lipo_loss` by the policy's log-probs, ranks held; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_i = \beta\Big[\sum_{r_k > r_i} w_{ki}\sigma(s_i - s_k) -
        \sum_{r_i > r_j} w_{ij}\sigma(s_j - s_i)\Big]
    """
    scale, s, r = _rewards("lipo_grad", policy_list_logps, ref_list_logps, list_scores, beta, 1.0)
    pulls = _swap_gains(s, r) * np.asarray(sigmoid(_across(s)))
    return ListGrad(scale * (pulls.sum(-2) - pulls.sum(-1)))


def pro_loss(
    policy_list_logps: Values,
    list_lengths: Values,
    list_scores: Values,
    alpha: float = 0.05,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Each answer against all worse ones, at temperatures from the ratings.

    Arguments, units and errors are those of :func:`penchant.pro_loss`.

    .. math:: L = \sum_k\log\Big(1 + \sum_{r_i<r_k} e^{(r_k-r_i)\bar p_i - (r_k-\min r)\bar p_k}\Big) -
        \alpha\bar p_{best}

    References:
        Song et al. (2023), Preference Ranking Optimization for Human Alignment, arXiv:2306.17492.

    >>> round(pro_loss([-12.0, -30.0], [8, 15], [1.0, 0.0]), 12)
    0.54907698418
    """
    means, _, r = _per_token("pro_loss", policy_list_logps, list_lengths, list_scores)
    imitation = number("pro_loss", "alpha", alpha, "") * (means * _first_best(r)).sum(-1)
    return reduce("pro_loss", _log1p_sum(_temperate(means, r)[0]).sum(-1) - imitation, reduction)


def pro_grad(policy_list_logps: Values, list_lengths: Values, list_scores: Values, alpha: float = 0.05) -> ListGrad:
    r"""Derivatives of :func:`pro_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: |y_i|\,\frac{\partial L}{\partial\log\pi_i} = \sum_{r_k>r_i}(r_k-r_i)u_{ki} - (r_i-\min r)\sum_j u_{ij} -
        \alpha[i\text{ best}]

    with :math:`u_{ki}` the share of answer i among those below k.
    """
    means, lengths, r = _per_token("pro_grad", policy_list_logps, list_lengths, list_scores)
    exponents, gaps, own = _temperate(means, r)
    shares = np.exp(exponents - _log1p_sum(exponents)[..., None])
    slopes = (np.maximum(gaps, 0.0) * shares).sum(-2) - own * shares.sum(-1)
    return ListGrad((slopes - number("pro_grad", "alpha", alpha, "") * _first_best(r)) / lengths)


def rrhf_loss(
    policy_list_logps: Values,
    list_lengths: Values,
    list_scores: Values,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""A hinge on every pair of a list that is ordered wrongly, and fine-tuning on the best answer.

    Arguments, units and errors are those of :func:`penchant.rrhf_loss`.

    .. math:: L = \sum_{r_i<r_j}\max(0, \bar p_i - \bar p_j) - \alpha\bar p_{best}

    References:
        Yuan et al. (2023), RRHF: Rank Responses to Align Language Models with Human Feedback without tears,
        arXiv:2304.05302.

    >>> rrhf_loss([-12.0, -30.0], [8, 15], [1.0, 0.0])
    1.5
    """
    means, _, r = _per_token("rrhf_loss", policy_list_logps, list_lengths, list_scores)
    wrong = np.where(_across(r) < 0, np.maximum(0.0, _across(means)), 0.0).sum((-1, -2))
    imitation = number("rrhf_loss", "alpha", alpha, "") * (means * _first_best(r)).sum(-1)
    return reduce("rrhf_loss", wrong - imitation, reduction)


def rrhf_grad(policy_list_logps: Values, list_lengths: Values, list_scores: Values, alpha: float = 1.0) -> ListGrad:
    r"""Derivatives of :func:`rrhf_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: |y_i|\,\frac{\partial L}{\partial\log\pi_i} = \#\{j: r_i<r_j, \bar p_i>\bar p_j\} -
        \#\{j: r_j<r_i, \bar p_j>\bar p_i\} - \alpha[i\text{ best}]
    """
    means, lengths, r = _per_token("rrhf_grad", policy_list_logps, list_lengths, list_scores)
    wrong = ((_across(r) < 0) & (_across(means) > 0)).astype(float)  # entry (j, i): i is worse than j, and likelier
    slopes = wrong.sum(-2) - wrong.sum(-1)
    return ListGrad((slopes - number("rrhf_grad", "alpha", alpha, "") * _first_best(r)) / lengths)


def _rewards(
    where: str, policy: Values, reference: Values, ratings: Values, beta: float, temperature: float
) -> tuple[float, Array, Array]:
    """beta, the implicit rewards, and the ratings over their temperature."""
    named = {"policy_list_logps": policy, "ref_list_logps": reference, "list_scores": ratings}
    logps, refs, scores = _lists(where, named)
    scale, width = number(where, "beta", beta, "above 0"), number(where, "temperature", temperature, "above 0")
    with np.errstate(all="ignore"):
        return scale, scale * (logps - refs), scores / width


def _per_token(where: str, policy: Values, lengths: Values, ratings: Values) -> tuple[Array, Array, Array]:
    named = {"policy_list_logps": policy, "list_lengths": lengths, "list_scores": ratings}
    logps, counts, scores = _lists(where, named)
    check_lengths(where, list_lengths=counts)
    return logps / counts, counts, scores


def _lists(where: str, named: dict[str, Values]) -> list[Array]:
    arrays = [floats(where, name, value) for name, value in named.items()]
    shape = arrays[0].shape
    if any(array.shape != shape for array in arrays) or len(shape) not in (1, 2) or not arrays[0].size:
        got = " and ".join(str(array.shape) for array in arrays)
        raise InputError("lists must have one shape, (answers,) or (lists, answers)", where=where, got=got)
    return arrays


def _across(x: Array) -> Array:
    """Entry (i, j): x_j - x_i."""
    return x[..., None, :] - x[..., :, None]


def _log1p_sum(x: Array) -> Array:
    """log(1 + Σ e^x), exact where the sum is small."""
    top = np.maximum(0.0, x.max(-1, keepdims=True))
    total: Array = np.squeeze(top, -1) + np.log1p(np.expm1(-np.squeeze(top, -1)) + np.exp(x - top).sum(-1))
    return total


def _surprise(x: Array) -> Array:
    """-log softmax(x)."""
    others = np.where(np.eye(x.shape[-1], dtype=bool), -np.inf, _across(x))
    return _log1p_sum(others)


def _swap_gains(s: Array, r: Array) -> Array:
    """Entry (i, j): what swapping i and a worse j would change; 0 where j is not worse."""
    order = np.argsort(-s, axis=-1, kind="stable")
    ranks = np.argsort(order, axis=-1, kind="stable") + 1
    gains = np.where(_across(r) < 0, 2.0 ** r[..., :, None] - 2.0 ** r[..., None, :], 0.0)
    weights: Array = gains * np.abs(_across(1 / np.log2(1 + ranks)))
    return weights


def _first_best(r: Array) -> Array:
    first: Array = (np.arange(r.shape[-1]) == r.argmax(-1)[..., None]).astype(np.float64)
    return first


def _temperate(means: Array, r: Array) -> tuple[Array, Array, Array]:
    """Exponents (k, i) of answers i below k, the ratings' gaps, and each answer's own inverse temperature."""
    gaps = r[..., :, None] - r[..., None, :]
    own = r - r.min(-1, keepdims=True)
    exponents = gaps * means[..., None, :] - (own * means)[..., :, None]
    return np.where(gaps > 0, exponents, -np.inf), gaps, own
