r"""The oracle's losses that keep chosen answers from falling."""

from __future__ import annotations

import numpy as np

from penchant.numpy.common import (
    Array,
    PairGrad,
    Result,
    Values,
    batch,
    check_lengths,
    number,
    plain,
    reduce,
    scaled,
    sigmoid,
    softplus,
)


def dpo_shift_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    rejected_weight: float = 0.75,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO-Shift: the rejected answer's log-ratio counts for less, so that the chosen one need not fall.

    Arguments, units and errors are those of :func:`penchant.dpo_shift_loss`.

    .. math:: L = -\log\sigma\big(\beta(\rho_w - f\rho_l)\big)

    References:
        Xiliang Yang, Feng Jiang, Qianen Zhang et al., "DPO-Shift: Shifting the Distribution of Direct Preference
        Optimization", 2025, arXiv:2502.07599.

    >>> round(dpo_shift_loss(2.0, -1.0), 9)
    0.565070668
    """
    _, w, lo = scaled("dpo_shift_loss", log_ratio_w, log_ratio_l, beta)
    return reduce(
        "dpo_shift_loss",
        softplus(number("dpo_shift_loss", "rejected_weight", rejected_weight, "in (0, 1]") * lo - w),
        reduction,
    )


def dpo_shift_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    rejected_weight: float = 0.75,
) -> PairGrad:
    r"""Derivatives of :func:`dpo_shift_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\sigma(-z), \quad \partial L/\partial\rho_l = f\beta\sigma(-z)
    """
    scale, w, lo = scaled("dpo_shift_grad", log_ratio_w, log_ratio_l, beta)
    share = number("dpo_shift_grad", "rejected_weight", rejected_weight, "in (0, 1]")
    slope = scale * sigmoid(share * lo - w)
    return PairGrad(plain(-slope), plain(share * slope))


def dpop_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.3,
    lambda_: float = 50.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO-Positive (Smaug): a penalty while the chosen answer is less likely than under the reference.

    Arguments, units and errors are those of :func:`penchant.dpop_loss`.

    .. math:: L = -\log\sigma\big(\beta\,[\rho_w - \rho_l - \lambda\max(0, -\rho_w)]\big)

    References:
        Arka Pal, Deep Karkhanis, Samuel Dooley et al., "Smaug: Fixing Failure Modes of Preference Optimisation with
        DPO-Positive", 2024, arXiv:2402.13228.

    >>> round(dpop_loss(2.0, -1.0), 9)
    0.341153875
    """
    _, w, lo = scaled("dpop_loss", log_ratio_w, log_ratio_l, beta)
    weight = number("dpop_loss", "lambda_", lambda_, "at least 0")
    return reduce("dpop_loss", softplus(lo - w + weight * np.maximum(0.0, -w)), reduction)


def dpop_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.3,
    lambda_: float = 50.0,
) -> PairGrad:
    r"""Derivatives of :func:`dpop_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta(1 + \lambda[\rho_w < 0])\,\sigma(-z), \quad \partial L/\partial\rho_l
              = \beta\sigma(-z)
    """
    scale, w, lo = scaled("dpop_grad", log_ratio_w, log_ratio_l, beta)
    weight = number("dpop_grad", "lambda_", lambda_, "at least 0")
    slope = scale * sigmoid(lo - w + weight * np.maximum(0.0, -w))
    return PairGrad(plain(-slope * (1 + weight * (w < 0))), plain(slope))


def minor_dpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""MinorDPO: a rejected answer is not pushed below the reference.

    Arguments, units and errors are those of :func:`penchant.minor_dpo_loss`.

    .. math:: L = -\log\sigma\big(\beta\,[\rho_w - \max(0, \rho_l)]\big)

    References:
        Shiming Xie, Hong Chen, Fred Yu et al., "Minor DPO reject penalty to increase training robustness", 2024,
        arXiv:2408.09834.

    >>> round(minor_dpo_loss(2.0, -1.0), 9)
    0.598138869
    """
    _, w, lo = scaled("minor_dpo_loss", log_ratio_w, log_ratio_l, beta)
    return reduce("minor_dpo_loss", softplus(np.maximum(0.0, lo) - w), reduction)


def minor_dpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`minor_dpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\sigma(-z), \quad \partial L/\partial\rho_l = \beta\sigma(-z)\,[\rho_l
              > 0]
    """
    scale, w, lo = scaled("minor_dpo_grad", log_ratio_w, log_ratio_l, beta)
    slope = scale * sigmoid(np.maximum(0.0, lo) - w)
    return PairGrad(plain(-slope), plain(slope * (lo > 0)))


def dpo_nll_loss(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    chosen_lengths: Values,
    beta: float = 0.1,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO plus the chosen answer's likelihood, as in iterative reasoning preference optimisation.

    Arguments, units and errors are those of :func:`penchant.dpo_nll_loss`.

    .. math:: L = -\log\sigma\big(\beta(\rho_w - \rho_l)\big) - \frac{\alpha}{|y_w|}\log\pi(y_w|x), \quad \rho =
              \log\frac{\pi(y|x)}{\pi_{ref}(y|x)}

    References:
        Richard Yuanzhe Pang, Weizhe Yuan, Kyunghyun Cho et al., "Iterative Reasoning Preference Optimization", 2024,
        arXiv:2404.19733.

    >>> round(dpo_nll_loss(-12.0, -30.0, -14.0, -29.0, 8), 9)
    2.054355244
    """
    where, policy = "dpo_nll_loss", (policy_chosen_logps, policy_rejected_logps)
    _, z, w, m = _dpo_nll(where, policy, (ref_chosen_logps, ref_rejected_logps), chosen_lengths, beta)
    with np.errstate(all="ignore"):
        return reduce(where, softplus(-z) - number(where, "alpha", alpha, "") * w / m, reduction)


def dpo_nll_grad(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    chosen_lengths: Values,
    beta: float = 0.1,
    alpha: float = 1.0,
) -> PairGrad:
    r"""Derivatives of :func:`dpo_nll_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\beta\sigma(-z) - \alpha/m, \quad \partial L/\partial\log\pi_l =
              \beta\sigma(-z)
    """
    where, policy = "dpo_nll_grad", (policy_chosen_logps, policy_rejected_logps)
    scale, z, _, m = _dpo_nll(where, policy, (ref_chosen_logps, ref_rejected_logps), chosen_lengths, beta)
    slope = scale * sigmoid(-z)
    return PairGrad(plain(-slope - number(where, "alpha", alpha, "") / m), plain(slope))


def _dpo_nll(
    where: str, policy: tuple[Values, Values], reference: tuple[Values, Values], m: Values, beta: float
) -> tuple[float, Array, Array, Array]:
    names = [f"{kind}_{side}_logps" for kind in ("policy", "ref") for side in ("chosen", "rejected")]
    w, lo, ref_w, ref_lo, length = batch(
        where, **dict(zip(names, (*policy, *reference), strict=True)), chosen_lengths=m
    )
    check_lengths(where, chosen_lengths=length)
    scale = number(where, "beta", beta, "above 0")
    return scale, scale * ((w - ref_w) - (lo - ref_lo)), w, length
