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
