r"""The oracle's published sums of other losses."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from penchant.numpy.common import Result, Values, batch, check_lengths, number, plain, reduce, sigmoid, softplus


class MixGrad(NamedTuple):
    """Derivatives of each pair's loss by the log-ratios and by the chosen answer's log-prob, held apart."""

    chosen: Result
    rejected: Result
    chosen_logps: Result


def mpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    log_ratio_baseline: Values,
    chosen_logps: Values,
    chosen_lengths: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""0.8 of DPO, 0.2 of BCO, and fine-tuning on the chosen answer.

    Arguments, units and errors are those of :func:`penchant.mpo_loss`.

    .. math:: L = 0.8\,\ell(\beta(\rho_w - \rho_l)) + 0.2[\ell(\beta(\rho_w - \bar\rho)) + \ell(\beta(\bar\rho -
        \rho_l))] - \bar p_w

    References:
        Wang et al. (2024), Enhancing the Reasoning Ability of Multimodal Large Language Models via Mixed Preference
        Optimization, arXiv:2411.10442.

    >>> round(mpo_loss(2.0, -1.0, 0.5, -12.0, 8), 12)
    2.191867014691
    """
    scale, w, lo, middle, logp, m = _mpo(
        "mpo_loss", log_ratio_w, log_ratio_l, log_ratio_baseline, chosen_logps, chosen_lengths, beta
    )
    with np.errstate(all="ignore"):
        classes = softplus(scale * (middle - w)) + softplus(scale * (lo - middle))
        return reduce("mpo_loss", 0.8 * softplus(scale * (lo - w)) + 0.2 * classes - logp / m, reduction)


def mpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    log_ratio_baseline: Values,
    chosen_logps: Values,
    chosen_lengths: Values,
    beta: float = 0.1,
) -> MixGrad:
    r"""Derivatives of :func:`mpo_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta[0.8\,\sigma(\beta(\rho_l - \rho_w)) + 0.2\,\sigma(\beta(\bar\rho -
        \rho_w))], \quad \partial L/\partial\log\pi_w = -1/m
    """
    scale, w, lo, middle, _, m = _mpo(
        "mpo_grad", log_ratio_w, log_ratio_l, log_ratio_baseline, chosen_logps, chosen_lengths, beta
    )
    pair = 0.8 * np.asarray(sigmoid(scale * (lo - w)))
    chosen = -scale * (pair + 0.2 * np.asarray(sigmoid(scale * (middle - w))))
    rejected = scale * (pair + 0.2 * np.asarray(sigmoid(scale * (lo - middle))))
    return MixGrad(plain(chosen), plain(rejected), plain(-1 / m))


def _mpo(where: str, w: Values, lo: Values, middle: Values, logp: Values, length: Values, beta: float) -> Any:
    given = {"log_ratio_w": w, "log_ratio_l": lo, "log_ratio_baseline": middle}
    arrays = batch(where, **given, chosen_logps=logp, chosen_lengths=length)
    check_lengths(where, chosen_lengths=arrays[-1])
    return number(where, "beta", beta, "above 0"), *arrays
