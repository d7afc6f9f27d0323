r"""The oracle's losses on rejected answers."""

from __future__ import annotations

from typing import NamedTuple

from penchant.numpy.common import Array, Result, Values, batch, check_lengths, number, plain, reduce, sigmoid, softplus


class RejectedGrad(NamedTuple):
    """Derivative of each pair's loss by the rejected answer's input."""

    rejected: Result


def npo_loss(
    log_ratio_l: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Negative Preference Optimization: unlearning from rejected answers alone.

    Arguments, units and errors are those of :func:`penchant.npo_loss`.

    .. math:: L = -\frac2\beta\log\sigma(-\beta\rho_l)

    References:
        Ruiqi Zhang, Licong Lin, Yu Bai, Song Mei, "Negative Preference Optimization: From Catastrophic Collapse to
        Effective Unlearning", 2024, arXiv:2404.05868.

    >>> round(npo_loss(-1.0), 9)
    12.887933201
    """
    scale = number("npo_loss", "beta", beta, "above 0")
    (lo,) = batch("npo_loss", log_ratio_l=log_ratio_l)
    return reduce("npo_loss", 2 / scale * softplus(scale * lo), reduction)


def npo_grad(
    log_ratio_l: Values,
    beta: float = 0.1,
) -> RejectedGrad:
    r"""Derivatives of :func:`npo_loss` by the log-ratio; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_l = 2\sigma(\beta\rho_l)
    """
    scale = number("npo_grad", "beta", beta, "above 0")
    (lo,) = batch("npo_grad", log_ratio_l=log_ratio_l)
    return RejectedGrad(plain(2 * sigmoid(scale * lo)))


def simnpo_loss(
    rejected_logps: Values,
    rejected_lengths: Values,
    beta: float = 2.5,
    gamma: float = 0.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""SimNPO: unlearning without a reference, per token. Arguments, units and errors: :func:`penchant.simnpo_loss`.

    .. math:: L = -\frac2\beta\log\sigma\Big(-\frac{\beta}{|y_l|}\log\pi(y_l|x) - \gamma\Big)

    References:
        Chongyu Fan, Jiancheng Liu, Licong Lin et al., "Simplicity Prevails: Rethinking Negative Preference Optimization
        for LLM Unlearning", 2024, arXiv:2410.07163.

    >>> round(simnpo_loss(-30.0, 15), 9)
    0.005372279
    """
    scale, z, _ = _simnpo("simnpo_loss", rejected_logps, rejected_lengths, beta, gamma)
    return reduce("simnpo_loss", 2 / scale * softplus(-z), reduction)


def simnpo_grad(
    rejected_logps: Values,
    rejected_lengths: Values,
    beta: float = 2.5,
    gamma: float = 0.0,
) -> RejectedGrad:
    r"""Derivatives of :func:`simnpo_loss` by the summed log-prob; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_l = \frac2n\,\sigma(\beta\bar p_l + \gamma)
    """
    _, z, n = _simnpo("simnpo_grad", rejected_logps, rejected_lengths, beta, gamma)
    return RejectedGrad(plain(2 * sigmoid(-z) / n))


def _simnpo(where: str, lo: Values, n: Values, beta: float, gamma: float) -> tuple[float, Array, Array]:
    rejected, length = batch(where, rejected_logps=lo, rejected_lengths=n)
    check_lengths(where, rejected_lengths=length)
    scale = number(where, "beta", beta, "above 0")
    return scale, -scale * rejected / length - number(where, "gamma", gamma, ""), length
