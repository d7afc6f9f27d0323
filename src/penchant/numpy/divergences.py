r"""The oracle's DPO under other divergences."""

from __future__ import annotations

import numpy as np

from penchant.numpy.common import (
    TOP,
    Array,
    PairGrad,
    Result,
    Values,
    batch,
    bent_gap,
    number,
    plain,
    reduce,
    sigmoid,
    softplus,
    straightened_exp,
)

_FAR = 80.0  # nats, beyond which chi_po's exponential of a log-ratio is held


def f_dpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    alpha: float = 0.5,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO under an alpha-divergence from the reference, which takes the place of the reverse KL.

    Arguments, units and errors are those of :func:`penchant.f_dpo_loss`, as is where the exponential goes on straight.

    .. math:: L = -\log\sigma\big(\beta[h(\rho_w) - h(\rho_l)]\big), \quad h(\rho) = \frac{1 - e^{-\alpha\rho}}{\alpha}

    References:
        Chaoqi Wang, Yibo Jiang, Chenghao Yang, Han Liu, Yuxin Chen, "Beyond Reverse KL: Generalizing Direct Preference
        Optimization with Diverse Divergence Constraints", 2023, arXiv:2309.16240.

    >>> round(f_dpo_loss(2.0, -1.0, alpha=0.25), 9)
    0.566800258
    """
    w, lo = batch("f_dpo_loss", log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    z = _f_dpo_z("f_dpo_loss", w, lo, beta, alpha)
    return reduce("f_dpo_loss", softplus(-z), reduction)


def f_dpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    alpha: float = 0.5,
) -> PairGrad:
    r"""Derivatives of :func:`f_dpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta e^{-\alpha\rho_w}\sigma(-z), \quad \partial L/\partial\rho_l = \beta
              e^{-\alpha\rho_l}\sigma(-z)
    """
    w, lo = batch("f_dpo_grad", log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    z = _f_dpo_z("f_dpo_grad", w, lo, beta, alpha)
    steepest = np.maximum(-alpha * w, -alpha * lo)
    shrunk = np.exp(-np.abs(alpha) * np.abs(w - lo))
    lesser = straightened_exp(steepest) * shrunk
    greater = lesser + (1 - shrunk) * np.exp(np.minimum(steepest, TOP))
    first = (w >= lo) == (alpha >= 0)
    slope = float(beta) * sigmoid(-z)
    return PairGrad(plain(-slope * np.where(first, lesser, greater)), plain(slope * np.where(first, greater, lesser)))


def js_dpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO under the Jensen-Shannon divergence from the reference.

    Arguments, units and errors are those of :func:`penchant.js_dpo_loss`.

    .. math:: L = -\log\sigma\big(\beta[\log\sigma(\rho_w) - \log\sigma(\rho_l)]\big)

    References:
        Chaoqi Wang, Yibo Jiang, Chenghao Yang, Han Liu, Yuxin Chen, "Beyond Reverse KL: Generalizing Direct Preference
        Optimization with Diverse Divergence Constraints", 2023, arXiv:2309.16240.

    >>> round(js_dpo_loss(2.0, -1.0), 9)
    0.635588701
    """
    scale = number("js_dpo_loss", "beta", beta, "above 0")
    w, lo = batch("js_dpo_loss", log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    return reduce("js_dpo_loss", softplus(scale * (softplus(-w) - softplus(-lo))), reduction)


def js_dpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`js_dpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\sigma(-\rho_w)\sigma(-z), \quad \partial L/\partial\rho_l =
              \beta\sigma(-\rho_l)\sigma(-z)
    """
    scale = number("js_dpo_grad", "beta", beta, "above 0")
    w, lo = batch("js_dpo_grad", log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    slope = scale * sigmoid(scale * (softplus(-w) - softplus(-lo)))
    return PairGrad(plain(-slope * sigmoid(-w)), plain(slope * sigmoid(-lo)))


def chi_po_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.05,
    clip: float = 20.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Chi-squared preference optimisation: a reward that grows with the probability ratio itself.

    Arguments, units and errors are those of :func:`penchant.chi_po_loss`.

    .. math:: L = -\log\sigma\big(\mathrm{clip}_{2R}\big(\beta[\phi(\rho_w) - \phi(\rho_l)]\big)\big), \quad
              \phi(\rho) = e^\rho + \rho

    References:
        Audrey Huang, Wenhao Zhan, Tengyang Xie et al., "Correcting the Mythos of KL-Regularization: Direct Alignment
        without Overoptimization via Chi-Squared Preference Optimization", 2024, arXiv:2407.13399.

    >>> round(chi_po_loss(2.0, -1.0, beta=0.1), 9)
    0.3126926
    """
    _, _, _, z, bound = _chi_po("chi_po_loss", log_ratio_w, log_ratio_l, beta, clip)
    return reduce("chi_po_loss", softplus(-np.clip(z, -bound, bound)), reduction)


def chi_po_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.05,
    clip: float = 20.0,
) -> PairGrad:
    r"""Derivatives of :func:`chi_po_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta(1 + e^{\rho_w})\sigma(-z), \quad \partial L/\partial\rho_l = \beta(1
              + e^{\rho_l})\sigma(-z);\quad 0\ \text{where clipped}
    """
    scale, w, lo, z, bound = _chi_po("chi_po_grad", log_ratio_w, log_ratio_l, beta, clip)
    slope = np.where(np.abs(z) > bound, 0.0, scale * sigmoid(-z))
    with np.errstate(all="ignore"):
        steep_w, steep_lo = (1 + np.where(x > _FAR, 0.0, np.exp(np.minimum(x, _FAR))) for x in (w, lo))
    return PairGrad(plain(-slope * steep_w), plain(slope * steep_lo))


def _f_dpo_z(where: str, w: Array, lo: Array, beta: float, alpha: float) -> Array:
    scale, bend = number(where, "beta", beta, "above 0"), number(where, "alpha", alpha, "")
    return scale * bent_gap(w, lo, bend)


def _chi_po(
    where: str, log_ratio_w: Values, log_ratio_l: Values, beta: float, clip: float
) -> tuple[float, Array, Array, Array, float]:
    w, lo = batch(where, log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    scale = number(where, "beta", beta, "above 0")
    with np.errstate(all="ignore"):
        z: Array = scale * ((np.exp(np.minimum(w, _FAR)) + w) - (np.exp(np.minimum(lo, _FAR)) + lo))
    return scale, w, lo, z, number(where, "clip", clip, "above 0")
