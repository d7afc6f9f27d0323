r"""The oracle's losses on pairs that may be ties."""

from __future__ import annotations

import numpy as np

from penchant.numpy.common import Array, PairGrad, Result, Values, batch, number, opposed, reduce, sigmoid, softplus


def rao_kupper_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    is_tie: Values,
    beta: float = 0.1,
    tie_margin: float = 1.0986122886681098,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO with ties, by Rao and Kupper: rewards within a margin of one another may count as equal.

    Arguments, units and errors are those of :func:`penchant.rao_kupper_loss`.

    .. math:: L = \text{win: } -\log\sigma(z - \alpha), \quad \text{tie: } -\log\big[(e^{2\alpha} -
              1)\,\sigma(z-\alpha)\,\sigma(-z-\alpha)\big], \quad z = \beta(\rho_w - \rho_l)

    References:
        Jinghong Chen, Guangyu Yang, Weizhe Lin et al., "On Extending Direct Preference Optimization to Accommodate
        Ties", 2024, arXiv:2409.17431.

    >>> round(rao_kupper_loss(2.0, -1.0, False, tie_margin=0.5), 9)
    0.798138869
    """
    where = "rao_kupper_loss"
    _, z, tie = _gap(where, log_ratio_w, log_ratio_l, is_tie, beta)
    alpha = number(where, "tie_margin", tie_margin, "above 0")
    win = softplus(alpha - z)
    return reduce(where, np.where(tie, win + softplus(alpha + z) - np.log(np.expm1(2 * alpha)), win), reduction)


def rao_kupper_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    is_tie: Values,
    beta: float = 0.1,
    tie_margin: float = 1.0986122886681098,
) -> PairGrad:
    r"""Derivatives of :func:`rao_kupper_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \text{win: } \partial L/\partial\rho_w = -\beta\sigma(\alpha - z), \quad \text{tie: }
              \beta(\sigma(\alpha+z) - \sigma(\alpha-z)); \quad \partial L/\partial\rho_l = -\partial L/\partial\rho_w
    """
    scale, z, tie = _gap("rao_kupper_grad", log_ratio_w, log_ratio_l, is_tie, beta)
    alpha = number("rao_kupper_grad", "tie_margin", tie_margin, "above 0")
    return opposed(scale * (np.where(tie, sigmoid(alpha + z), 0.0) - sigmoid(alpha - z)))


def davidson_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    is_tie: Values,
    beta: float = 0.1,
    nu: float = 1.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO with ties, by Davidson: ties are a third outcome with a weight of its own.

    Arguments, units and errors are those of :func:`penchant.davidson_loss`.

    .. math:: L = \text{win: } -\log\frac{e^z}{e^z + 1 + 2\nu e^{z/2}}, \quad \text{tie: } -\log\frac{2\nu
              e^{z/2}}{e^z + 1 + 2\nu e^{z/2}}, \quad z = \beta(\rho_w - \rho_l)

    References:
        Jinghong Chen, Guangyu Yang, Weizhe Lin et al., "On Extending Direct Preference Optimization to Accommodate
        Ties", 2024, arXiv:2409.17431.

    >>> round(davidson_loss(2.0, -1.0, False), 9)
    1.241914096
    """
    where = "davidson_loss"
    _, z, tie = _gap(where, log_ratio_w, log_ratio_l, is_tie, beta)
    weight = np.log(2 * number(where, "nu", nu, "above 0"))
    win = np.logaddexp(softplus(-z), weight - z / 2)
    return reduce(where, np.where(tie, softplus(np.logaddexp(z / 2, -z / 2) - weight), win), reduction)


def davidson_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    is_tie: Values,
    beta: float = 0.1,
    nu: float = 1.0,
) -> PairGrad:
    r"""Derivatives of :func:`davidson_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \text{win: } \partial L/\partial\rho_w = -\beta\frac{1 + \nu e^{z/2}}{D}, \quad \text{tie: }
              \frac\beta2\frac{e^z - 1}{D}, \quad D = e^z + 1 + 2\nu e^{z/2}; \quad \partial L/\partial\rho_l =
              -\partial L/\partial\rho_w
    """
    scale, z, tie = _gap("davidson_grad", log_ratio_w, log_ratio_l, is_tie, beta)
    far = np.abs(z) / 2  # taken out of every term, so that none overflows
    up, down, even = (
        np.exp(z / 2 - far),
        np.exp(-z / 2 - far),
        number("davidson_grad", "nu", nu, "above 0") * np.exp(-far),
    )
    return opposed(scale * np.where(tie, (up - down) / 2, -(down + even)) / (up + down + 2 * even))


def _gap(where: str, w: Values, lo: Values, is_tie: Values, beta: float) -> tuple[float, Array, Array]:
    chosen, rejected, tie = batch(where, log_ratio_w=w, log_ratio_l=lo, is_tie=is_tie)
    scale = number(where, "beta", beta, "above 0")
    return scale, scale * (chosen - rejected), tie == 1
