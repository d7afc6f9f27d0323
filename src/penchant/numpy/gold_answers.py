r"""The oracle's losses that compare two answers and imitate a third."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from penchant.numpy.common import Array, Result, Values, batch, check_lengths, number, plain, reduce, sigmoid, softplus


class GoldGrad(NamedTuple):
    """Derivatives of each row's loss by the policy's log-probs of the three answers."""

    chosen: Result
    rejected: Result
    gold: Result


def tpo_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    gold_logps: Values,
    gold_lengths: Values,
    beta: float = 0.01,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""CPO that imitates a third answer.

    Arguments, units and errors are those of :func:`penchant.tpo_loss`.

    .. math:: L = -\log\sigma(\beta(\log\pi_w - \log\pi_l)) - \alpha\,\bar p_g

    References:
        Saeidi et al. (2024), Triple Preference Optimization: Achieving Better Alignment using a Single Step
        Optimization, arXiv:2405.16681.

    >>> round(tpo_loss(-12.0, -30.0, -10.0, 8, beta=0.1), 12)
    1.402977610526
    """
    z, imitation, _ = _tpo("tpo_loss", chosen_logps, rejected_logps, gold_logps, gold_lengths, beta, alpha)
    return reduce("tpo_loss", softplus(-z) + imitation, reduction)


def tpo_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    gold_logps: Values,
    gold_lengths: Values,
    beta: float = 0.01,
    alpha: float = 1.0,
) -> GoldGrad:
    r"""Derivatives of :func:`tpo_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\beta\sigma(-z), \quad \partial L/\partial\log\pi_g = -\alpha/|y_g|
    """
    z, _, count = _tpo("tpo_grad", chosen_logps, rejected_logps, gold_logps, gold_lengths, beta, alpha)
    slope = float(beta) * sigmoid(-z)
    return GoldGrad(plain(-slope), plain(slope), plain(-float(alpha) / count))


def _tpo(
    where: str, w: Values, lo: Values, gold: Values, length: Values, beta: float, alpha: float
) -> tuple[Array, Array, Array]:
    given = {"chosen_logps": w, "rejected_logps": lo, "gold_logps": gold, "gold_lengths": length}
    chosen, rejected, third, count = batch(where, **given)
    check_lengths(where, gold_lengths=count)
    weight = number(where, "alpha", alpha, "")
    with np.errstate(all="ignore"):
        return number(where, "beta", beta, "above 0") * (chosen - rejected), -weight * third / count, count


def tpo_l_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    gold_logps: Values,
    gold_lengths: Values,
    beta: float = 2.0,
    gamma: float = 0.5,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""SimPO that imitates a third answer.

    Arguments, units and errors are those of :func:`penchant.tpo_l_loss`.

    .. math:: L = -\log\sigma(\beta(\bar p_w - \bar p_l) - \gamma) - \alpha\,\bar p_g

    References:
        Saeidi et al. (2024), Triple Preference Optimization: Achieving Better Alignment using a Single Step
        Optimization, arXiv:2405.16681.

    >>> round(tpo_l_loss(-12.0, -30.0, 8, 15, -10.0, 8), 12)
    1.72407698418
    """
    logps, lengths = (chosen_logps, rejected_logps, gold_logps), (chosen_lengths, rejected_lengths, gold_lengths)
    z, means, _ = _tpo_l("tpo_l_loss", logps, lengths, beta, gamma)
    return reduce("tpo_l_loss", softplus(-z) - number("tpo_l_loss", "alpha", alpha, "") * means, reduction)


def tpo_l_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    gold_logps: Values,
    gold_lengths: Values,
    beta: float = 2.0,
    gamma: float = 0.5,
    alpha: float = 1.0,
) -> GoldGrad:
    r"""Derivatives of :func:`tpo_l_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\frac{\beta}{m}\sigma(-z), \quad
        \partial L/\partial\log\pi_g = -\alpha/|y_g|
    """
    logps, lengths = (chosen_logps, rejected_logps, gold_logps), (chosen_lengths, rejected_lengths, gold_lengths)
    z, _, (m, n, count) = _tpo_l("tpo_l_grad", logps, lengths, beta, gamma)
    slope = float(beta) * np.asarray(sigmoid(-z))
    return GoldGrad(plain(-slope / m), plain(slope / n), plain(-number("tpo_l_grad", "alpha", alpha, "") / count))


def _tpo_l(
    where: str, logps: tuple[Values, ...], lengths: tuple[Values, ...], beta: float, gamma: float
) -> tuple[Array, Array, tuple[Array, ...]]:
    """z, the gold answer's mean log-prob, and the lengths."""
    names = ("chosen", "rejected", "gold")
    given = {f"{name}_logps": value for name, value in zip(names, logps, strict=True)}
    given |= {f"{name}_lengths": value for name, value in zip(names, lengths, strict=True)}
    w, lo, gold, *counts = batch(where, **given)
    check_lengths(where, **{f"{name}_lengths": count for name, count in zip(names, counts, strict=True)})
    margin = number(where, "gamma", gamma, "")
    with np.errstate(all="ignore"):
        z = number(where, "beta", beta, "above 0") * (w / counts[0] - lo / counts[1]) - margin
        return z, gold / counts[2], tuple(counts)
