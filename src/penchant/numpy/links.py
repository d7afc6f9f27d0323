r"""The oracle's losses on pairs with another link than the logistic one."""

from __future__ import annotations

import numpy as np

from penchant.numpy.common import (
    Array,
    PairGrad,
    Result,
    Values,
    batch,
    bernoulli_kl,
    number,
    opposed,
    plain,
    reduce,
    scaled,
    sigmoid,
    softplus,
)


def ipo_loss(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1, *, reduction: str = "mean") -> Result:
    r"""Identity preference optimisation: a gap of log-ratios with a finite target.

    .. math:: L = \left(\rho_w - \rho_l - \frac{1}{2\beta}\right)^2

    This is the paper's equation and the sheet's code; the sheet's one-liner, (beta * gap - 1/2)^2, is beta^2 times it.
    Both draw the gap to 1/(2 beta), 5 nats at beta = 0.1, and not to 0.5.

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens as in the sheet (the
            authors advised the mean per token, and several libraries pass that).
        beta: The paper's tau, per nat, above 0; 0.01 to 1 is common.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``, in nats squared; 1/(4 beta^2) where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Azar, Rowland, Piot, Guo, Calandriello, Valko, Munos (2023), A General Theoretical Paradigm to Understand
        Learning from Human Preferences, arXiv:2310.12036, Eq. 17.

    >>> ipo_loss(0.5, -0.75)
    14.0625
    """
    with np.errstate(all="ignore"):
        losses = _ipo_residual("ipo_loss", log_ratio_w, log_ratio_l, beta) ** 2
    return reduce("ipo_loss", losses, reduction)


def ipo_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1) -> PairGrad:
    r"""Derivatives of :func:`ipo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = 2(\rho_w - \rho_l - 1/(2\beta)) = -\partial L/\partial\rho_l

    Returns:
        Shape of the inputs; -1/beta and 1/beta where policy equals reference.

    >>> ipo_grad(2.0, -1.0)
    PairGrad(chosen=-4.0, rejected=4.0)
    """
    slope = 2.0 * _ipo_residual("ipo_grad", log_ratio_w, log_ratio_l, beta)
    return PairGrad(plain(slope), plain(-slope))


def hinge_loss(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.05, *, reduction: str = "mean") -> Result:
    r"""Hinge loss on the gap of log-ratios.

    .. math:: L = \max(0, 1 - \beta(\rho_w - \rho_l))

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens.
        beta: The paper's gamma, per nat, above 0; one over the margin.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``; 1 where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Liu, Zhao, Joshi, Khalman, Saleh, Liu, Liu (2023), Statistical Rejection Sampling Improves Preference
        Optimization, arXiv:2309.06657.

    >>> hinge_loss(2.0, -1.0)
    0.85
    """
    return reduce("hinge_loss", np.maximum(0.0, _shortfall("hinge_loss", log_ratio_w, log_ratio_l, beta)), reduction)


def hinge_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.05) -> PairGrad:
    r"""Derivatives of :func:`hinge_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta[\beta(\rho_w - \rho_l) < 1] = -\partial L/\partial\rho_l

    Returns:
        Shape of the inputs; 0 at the margin itself, where the loss has a kink.

    >>> hinge_grad(2.0, -1.0)
    PairGrad(chosen=-0.05, rejected=0.05)
    """
    slope = float(beta) * (_shortfall("hinge_grad", log_ratio_w, log_ratio_l, beta) > 0)
    return PairGrad(plain(-slope), plain(slope))


def _shortfall(where: str, log_ratio_w: Values, log_ratio_l: Values, beta: float) -> Array:
    w, lo = batch(where, log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    with np.errstate(all="ignore"):
        return 1.0 - number(where, "beta", beta, "above 0") * (w - lo)


def _ipo_residual(where: str, log_ratio_w: Values, log_ratio_l: Values, beta: float) -> Array:
    w, lo = batch(where, log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    with np.errstate(all="ignore"):
        return w - lo - 1.0 / (2.0 * number(where, "beta", beta, "above 0"))


def squared_hinge_loss(
    log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1, *, reduction: str = "mean"
) -> Result:
    r"""Squared shortfall of the scaled gap from 1.

    .. math:: L = \max(0, 1 - \beta(\rho_w - \rho_l))^2

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens.
        beta: Per nat, above 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``; 1 where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Tang et al. (2024), Generalized Preference Optimization, arXiv:2402.05749.

    >>> round(squared_hinge_loss(2.0, -1.0), 12)
    0.49
    """
    _, w, lo = scaled("squared_hinge_loss", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        return reduce("squared_hinge_loss", np.maximum(0.0, 1.0 - (w - lo)) ** 2, reduction)


def squared_hinge_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1) -> PairGrad:
    r"""Derivatives of :func:`squared_hinge_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -2\beta\max(0, 1 - \beta(\rho_w - \rho_l)) = -\partial L/\partial\rho_l

    >>> squared_hinge_grad(0.0, 0.0)
    PairGrad(chosen=-0.2, rejected=0.2)
    """
    scale, w, lo = scaled("squared_hinge_grad", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        chosen, rejected = -2 * scale * np.maximum(0.0, 1.0 - (w - lo)), 2 * scale * np.maximum(0.0, 1.0 - (w - lo))
    return PairGrad(plain(chosen), plain(rejected))


def savage_loss(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1, *, reduction: str = "mean") -> Result:
    r"""Savage loss on the gap of log-ratios.

    .. math:: L = \sigma(-\beta(\rho_w - \rho_l))^2

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens.
        beta: Per nat, above 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``; 1/4 where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Tang et al. (2024), Generalized Preference Optimization, arXiv:2402.05749.

    >>> savage_loss(0.0, 0.0)
    0.25
    """
    _, w, lo = scaled("savage_loss", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        return reduce("savage_loss", np.square(sigmoid(lo - w)), reduction)


def savage_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1) -> PairGrad:
    r"""Derivatives of :func:`savage_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -2\beta\,\sigma(-z)^2\sigma(z) = -\partial L/\partial\rho_l,
              z = \beta(\rho_w - \rho_l)

    >>> savage_grad(0.0, 0.0)
    PairGrad(chosen=-0.025, rejected=0.025)
    """
    scale, w, lo = scaled("savage_grad", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        chosen, rejected = (
            -2 * scale * np.square(sigmoid(lo - w)) * sigmoid(w - lo),
            2 * scale * np.square(sigmoid(lo - w)) * sigmoid(w - lo),
        )
    return PairGrad(plain(chosen), plain(rejected))


def exponential_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Exponential loss on the difference of log-ratios: the boldest of the convex ones.

    Arguments, units and errors are those of :func:`penchant.exponential_loss`.

    .. math:: L = e^{-z}, \quad z = \beta(\rho_w - \rho_l)

    References:
        Yunhao Tang et al., "Generalized Preference Optimization: A Unified Approach to Offline Alignment", 2024,
        arXiv:2402.05749.

    >>> round(exponential_loss(2.0, -1.0), 9)
    0.740818221
    """
    _, w, lo = scaled("exponential_loss", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        return reduce("exponential_loss", np.exp(lo - w), reduction)


def exponential_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`exponential_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta e^{-z} = -\partial L/\partial\rho_l
    """
    scale, w, lo = scaled("exponential_grad", log_ratio_w, log_ratio_l, beta)
    with np.errstate(all="ignore"):
        return opposed(-scale * np.exp(lo - w))


def discopop_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.05,
    tau: float = 0.05,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DiscoPOP: a loss that a language model found; logistic on the left, exponential on the right.

    Arguments, units and errors are those of :func:`penchant.discopop_loss`.

    .. math:: L = (1 - q)\,\ell(z) + q\,e^{-z}, \quad q = \sigma(z/\tau),\ \ell(z) = -\log\sigma(z),\ z = \beta(\rho_w
              - \rho_l)

    References:
        Chris Lu, Samuel Holt, Claudio Fanconi et al., "Discovering Preference Optimization Algorithms with and for
        Large Language Models", 2024, arXiv:2406.08414.

    >>> round(discopop_loss(2.0, -1.0), 9)
    0.849337579
    """
    _, w, lo = scaled("discopop_loss", log_ratio_w, log_ratio_l, beta)
    width, z = number("discopop_loss", "tau", tau, "above 0"), w - lo
    return reduce("discopop_loss", sigmoid(-z / width) * softplus(-z) + np.exp(-softplus(-z / width) - z), reduction)


def discopop_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.05,
    tau: float = 0.05,
) -> PairGrad:
    r"""Derivatives of :func:`discopop_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = \beta\Big[\frac{q(1-q)}{\tau}\big(e^{-z} - \ell(z)\big) - (1-q)\,\sigma(-z)
              - q\,e^{-z}\Big] = -\partial L/\partial\rho_l
    """
    scale, w, lo = scaled("discopop_grad", log_ratio_w, log_ratio_l, beta)
    width, z = number("discopop_grad", "tau", tau, "above 0"), w - lo
    rest, steep = sigmoid(-z / width), np.exp(-softplus(-z / width) - z)  # 1 - q, and q e^-z
    bend = rest / width * (steep - sigmoid(z / width) * softplus(-z))
    return opposed(scale * (bend - rest * sigmoid(-z) - steep))


def exo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    epsilon: float = 0.001,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Exact optimisation on pairs: the reverse divergence from smoothed labels, cDPO's being the forward one.

    Arguments, units and errors are those of :func:`penchant.exo_loss`.

    .. math:: L = \mathrm{KL}\big(\mathrm{Bern}(\sigma(z))\,\|\,\mathrm{Bern}(1-\epsilon)\big), \quad z = \beta(\rho_w
              - \rho_l)

    References:
        Haozhe Ji, Cheng Lu, Yilin Niu et al., "Towards Efficient Exact Optimization of Language Model Alignment", 2024,
        arXiv:2402.00856.

    >>> round(exo_loss(2.0, -1.0), 9)
    2.258199192
    """
    _, z, target = _exo("exo_loss", log_ratio_w, log_ratio_l, beta, epsilon)
    with np.errstate(all="ignore"):
        return reduce("exo_loss", bernoulli_kl(z, target), reduction)


def exo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    epsilon: float = 0.001,
) -> PairGrad:
    r"""Derivatives of :func:`exo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = \beta\,\sigma(z)\,\sigma(-z)\,(z - \operatorname{logit}(1-\epsilon)) =
              -\partial L/\partial\rho_l
    """
    scale, z, target = _exo("exo_grad", log_ratio_w, log_ratio_l, beta, epsilon)
    return opposed(scale * sigmoid(z) * sigmoid(-z) * (z - target))


def _exo(where: str, w: Values, lo: Values, beta: float, epsilon: float) -> tuple[float, Array, Array]:
    scale, chosen, rejected = scaled(where, w, lo, beta)
    share = number(where, "epsilon", epsilon, "in (0, 0.5)")
    with np.errstate(all="ignore"):
        return scale, chosen - rejected, np.log(np.divide(1 - share, share))
