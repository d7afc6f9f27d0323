r"""The oracle's losses on pairs that hold each answer against an anchor of its own."""

from __future__ import annotations

import numpy as np

from penchant.numpy.common import (
    Array,
    PairGrad,
    Result,
    Values,
    batch,
    number,
    plain,
    reduce,
    scaled,
    sigmoid,
    softplus,
)


def apo_zero_loss(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1, *, reduction: str = "mean") -> Result:
    r"""Anchored preference optimisation, zero.

    .. math:: L = \sigma(-\beta\rho_w) + \sigma(\beta\rho_l)

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens.
        beta: Per nat, above 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``; 1 where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        D'Oosterlinck et al. (2024), Anchored Preference Optimization and Contrastive Revisions, arXiv:2408.06266.

    >>> apo_zero_loss(0.0, 0.0)
    1.0
    """
    _, w, lo = scaled("apo_zero_loss", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        return reduce("apo_zero_loss", np.asarray(sigmoid(-w)) + sigmoid(lo), reduction)


def apo_zero_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1) -> PairGrad:
    r"""Derivatives of :func:`apo_zero_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\sigma(\beta\rho_w)\sigma(-\beta\rho_w),
              \partial L/\partial\rho_l = \beta\sigma(\beta\rho_l)\sigma(-\beta\rho_l)

    >>> apo_zero_grad(0.0, 0.0)
    PairGrad(chosen=-0.025, rejected=0.025)
    """
    scale, w, lo = scaled("apo_zero_grad", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        chosen, rejected = -scale * np.asarray(sigmoid(w)) * sigmoid(-w), scale * np.asarray(sigmoid(lo)) * sigmoid(-lo)
    return PairGrad(plain(chosen), plain(rejected))


def nca_loss(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.01, *, reduction: str = "mean") -> Result:
    r"""Noise contrastive alignment of a pair.

    .. math:: L = \tfrac32\zeta(-\beta\rho_w) + \tfrac12\beta\rho_w + \tfrac12\zeta(\beta\rho_l),
              \zeta(x) = \log(1 + e^x)

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens.
        beta: Per nat, above 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``; 2 log 2 where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Chen et al. (2024), Noise Contrastive Alignment of Language Models with Explicit Rewards, arXiv:2402.05369.

    >>> round(nca_loss(2.0, -1.0, beta=0.1), 12)
    1.319406634109
    """
    _, w, lo = scaled("nca_loss", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        return reduce("nca_loss", softplus(-w) + 0.5 * softplus(w) + 0.5 * softplus(lo), reduction)


def nca_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.01) -> PairGrad:
    r"""Derivatives of :func:`nca_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = \beta(\tfrac32\sigma(\beta\rho_w) - 1),
              \partial L/\partial\rho_l = \tfrac12\beta\sigma(\beta\rho_l)

    >>> nca_grad(0.0, 0.0, beta=0.1)
    PairGrad(chosen=-0.025, rejected=0.025)
    """
    scale, w, lo = scaled("nca_grad", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        chosen, rejected = scale * (0.5 * np.asarray(sigmoid(w)) - sigmoid(-w)), 0.5 * scale * np.asarray(sigmoid(lo))
    return PairGrad(plain(chosen), plain(rejected))


def sppo_loss(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.001, *, reduction: str = "mean") -> Result:
    r"""Self-play preference optimisation with hard labels.

    .. math:: L = (\rho_w - \tfrac{1}{2\beta})^2 + (\rho_l + \tfrac{1}{2\beta})^2

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens.
        beta: Per nat, above 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``; 1/(2 beta^2) where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Wu et al. (2024), Self-Play Preference Optimization for Language Model Alignment, arXiv:2405.00675.

    >>> sppo_loss(2.0, -1.0, beta=0.1)
    25.0
    """
    target, w, lo = _targeted("sppo_loss", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        return reduce("sppo_loss", (w - target) ** 2 + (lo + target) ** 2, reduction)


def sppo_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.001) -> PairGrad:
    r"""Derivatives of :func:`sppo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = 2\rho_w - 1/\beta,\ \partial L/\partial\rho_l = 2\rho_l + 1/\beta

    >>> sppo_grad(0.0, 0.0, beta=0.1)
    PairGrad(chosen=-10.0, rejected=10.0)
    """
    target, w, lo = _targeted("sppo_grad", log_ratio_w, log_ratio_l, beta)
    chosen, rejected = 2 * (w - target), 2 * (lo + target)
    return PairGrad(plain(chosen), plain(rejected))


def _targeted(where: str, log_ratio_w: Values, log_ratio_l: Values, beta: float) -> tuple[float, Array, Array]:
    """1/(2 beta), and the log-ratios as they are."""
    w, lo = batch(where, log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    return 1 / (2 * number(where, "beta", beta, "above 0")), w, lo


def bco_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    log_ratio_baseline: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Binary Classifier Optimization on pairs: each answer is held against the running mean of rewards.

    Arguments, units and errors are those of :func:`penchant.bco_loss`.

    .. math:: L = -\log\sigma(\beta\rho_w - \delta) - \log\sigma(\delta - \beta\rho_l)

    References:
        Seungjae Jung, Gunsoo Han, Daniel Wontae Nam, Kyoung-Woon On, "Binary Classifier Optimization for Large Language
        Model Alignment", 2024, arXiv:2404.04656.

    >>> round(bco_loss(2.0, -1.0, 0.5), 9)
    1.241914096
    """
    scale, w, lo, delta = _bco("bco_loss", log_ratio_w, log_ratio_l, log_ratio_baseline, beta)
    return reduce("bco_loss", softplus(delta - scale * w) + softplus(scale * lo - delta), reduction)


def bco_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    log_ratio_baseline: Values,
    beta: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`bco_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\sigma(\delta - \beta\rho_w), \quad \partial L/\partial\rho_l =
              \beta\sigma(\beta\rho_l - \delta)
    """
    scale, w, lo, delta = _bco("bco_grad", log_ratio_w, log_ratio_l, log_ratio_baseline, beta)
    return PairGrad(plain(-scale * sigmoid(delta - scale * w)), plain(scale * sigmoid(scale * lo - delta)))


def cal_dpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Calibrated DPO: the two rewards are also held to +1/2 and -1/2.

    Arguments, units and errors are those of :func:`penchant.cal_dpo_loss`.

    .. math:: L = -\log\sigma(\rho_w - \rho_l) + \Big(\rho_w - \frac{1}{2\beta}\Big)^2 + \Big(\rho_l +
              \frac{1}{2\beta}\Big)^2

    References:
        Teng Xiao, Yige Yuan, Huaisheng Zhu, Mingxiao Li, Vasant G. Honavar, "Cal-DPO: Calibrated Direct Preference
        Optimization for Language Model Alignment", 2024, arXiv:2412.14516.

    >>> round(cal_dpo_loss(2.0, -1.0), 9)
    25.048587352
    """
    w, lo, half = _cal_dpo("cal_dpo_loss", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        return reduce("cal_dpo_loss", softplus(lo - w) + (w - half) ** 2 + (lo + half) ** 2, reduction)


def cal_dpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`cal_dpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\sigma(\rho_l - \rho_w) + 2\Big(\rho_w - \frac1{2\beta}\Big), \quad
              \partial L/\partial\rho_l = \sigma(\rho_l - \rho_w) + 2\Big(\rho_l + \frac1{2\beta}\Big)
    """
    w, lo, half = _cal_dpo("cal_dpo_grad", log_ratio_w, log_ratio_l, beta)
    return PairGrad(plain(2 * (w - half) - sigmoid(lo - w)), plain(2 * (lo + half) + sigmoid(lo - w)))


def apo_down_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Anchored Preference Optimization, down: both answers fall, the rejected one faster.

    Arguments, units and errors are those of :func:`penchant.apo_down_loss`.

    .. math:: L = \sigma(\beta\rho_w) + \sigma\big(-\beta(\rho_w - \rho_l)\big)

    References:
        Karel D'Oosterlinck, Winnie Xu, Chris Develder et al., "Anchored Preference Optimization and Contrastive
        Revisions: Addressing Underspecification in Alignment", 2024, arXiv:2408.06266.

    >>> round(apo_down_loss(2.0, -1.0), 9)
    0.975391481
    """
    _, w, lo = scaled("apo_down_loss", log_ratio_w, log_ratio_l, beta)
    return reduce("apo_down_loss", sigmoid(w) + sigmoid(lo - w), reduction)


def apo_down_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`apo_down_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = \beta\big(\sigma'(\beta\rho_w) - \sigma'(z)\big), \quad \partial
              L/\partial\rho_l = \beta\sigma'(z), \quad z = \beta(\rho_w - \rho_l)
    """
    scale, w, lo = scaled("apo_down_grad", log_ratio_w, log_ratio_l, beta)
    gap = scale * sigmoid(w - lo) * sigmoid(lo - w)
    return PairGrad(plain(scale * sigmoid(w) * sigmoid(-w) - gap), plain(gap))


def _bco(where: str, w: Values, lo: Values, delta: Values, beta: float) -> tuple[float, Array, Array, Array]:
    chosen, rejected, baseline = batch(where, log_ratio_w=w, log_ratio_l=lo, log_ratio_baseline=delta)
    scale = number(where, "beta", beta, "above 0")
    return scale, chosen, rejected, scale * baseline


def _cal_dpo(where: str, w: Values, lo: Values, beta: float) -> tuple[Array, Array, float]:
    chosen, rejected = batch(where, log_ratio_w=w, log_ratio_l=lo)
    return chosen, rejected, 1 / (2 * number(where, "beta", beta, "above 0"))
