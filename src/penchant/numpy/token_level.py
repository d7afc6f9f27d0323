r"""The oracle's losses that know more of an answer than its summed log-prob."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from penchant.numpy.common import (
    Array,
    PairGrad,
    Result,
    Values,
    batch,
    number,
    opposed,
    plain,
    reduce,
    scaled,
    sigmoid,
    softplus,
)


class SequenceGrad(NamedTuple):
    """Derivatives of each pair's loss by the two log-ratios and the two sequence divergences."""

    chosen: Result
    rejected: Result
    chosen_kl: Result
    rejected_kl: Result


class SharedGrad(NamedTuple):
    """Derivatives of each pair's loss by the policy's log-probs of whole answers and of their shared lengths."""

    chosen: Result
    rejected: Result
    chosen_shared: Result
    rejected_shared: Result


def tdpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_sequence_kl: Values,
    rejected_sequence_kl: Values,
    beta: float = 0.1,
    alpha: float = 0.5,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Token-level DPO in its second form, TDPO2.

    .. math:: L = -\log\sigma(z), \quad z = \beta(\rho_w - \rho_l - \alpha(D_l - D_w))

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens.
        chosen_sequence_kl, rejected_sequence_kl: KL(reference, policy) summed along the answer, nats, same shape; the
            chosen one is held constant.
        beta: Strength of the pull to the reference, per nat, above 0.
        alpha: Weight of the divergences; 0 is DPO.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``, in nats; log 2 where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Zeng, Liu, Ma, Yang, Zhang, Wang (2024), Token-level Direct Preference Optimization, arXiv:2404.11999.

    >>> round(tdpo_loss(2.0, -1.0, 0.4, 0.7), 12)
    0.560766128508
    """
    z = _z("tdpo_loss", log_ratio_w, log_ratio_l, chosen_sequence_kl, rejected_sequence_kl, beta, alpha)
    return reduce("tdpo_loss", softplus(-z), reduction)


def tdpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_sequence_kl: Values,
    rejected_sequence_kl: Values,
    beta: float = 0.1,
    alpha: float = 0.5,
) -> SequenceGrad:
    r"""Derivatives of :func:`tdpo_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\sigma(-z), \quad \partial L/\partial D_w = 0, \quad
        \partial L/\partial D_l = \alpha\beta\sigma(-z)

    Returns:
        Shape of the inputs; -beta/2, beta/2, 0 and alpha beta/2 where policy equals reference.

    >>> tdpo_grad(0.0, 0.0, 0.0, 0.0)
    SequenceGrad(chosen=-0.05, rejected=0.05, chosen_kl=0.0, rejected_kl=0.025)
    """
    z = _z("tdpo_grad", log_ratio_w, log_ratio_l, chosen_sequence_kl, rejected_sequence_kl, beta, alpha)
    slope = float(beta) * sigmoid(-z)
    return SequenceGrad(plain(-slope), plain(slope), plain(0.0 * slope), plain(float(alpha) * slope))


def _z(where: str, w: Values, lo: Values, kl_w: Values, kl_lo: Values, beta: float, alpha: float) -> Array:
    named = {"log_ratio_w": w, "log_ratio_l": lo, "chosen_sequence_kl": kl_w, "rejected_sequence_kl": kl_lo}
    chosen, rejected, drift_w, drift_lo = batch(where, **named)
    with np.errstate(all="ignore"):
        penalty = number(where, "alpha", alpha, "") * (drift_lo - drift_w)
        return number(where, "beta", beta, "above 0") * (chosen - rejected - penalty)


def tdpo1_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_sequence_kl: Values,
    rejected_sequence_kl: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Token-level DPO in its first form, TDPO1.

    Arguments, units and errors are those of :func:`penchant.tdpo1_loss`.

    .. math:: L = -\log\sigma(z), \quad z = \beta(\rho_w - \rho_l + D_w - D_l)

    References:
        Zeng, Liu, Ma, Yang, Zhang, Wang (2024), Token-level Direct Preference Optimization, arXiv:2404.11999.

    >>> round(tdpo1_loss(2.0, -1.0, 0.4, 0.7), 12)
    0.567232135122
    """
    z = _z("tdpo1_loss", log_ratio_w, log_ratio_l, chosen_sequence_kl, rejected_sequence_kl, beta, 1.0)
    return reduce("tdpo1_loss", softplus(-z), reduction)


def tdpo1_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_sequence_kl: Values,
    rejected_sequence_kl: Values,
    beta: float = 0.1,
) -> SequenceGrad:
    r"""Derivatives of :func:`tdpo1_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = \partial L/\partial D_w = -\beta\sigma(-z), \quad
        \partial L/\partial\rho_l = \partial L/\partial D_l = \beta\sigma(-z)
    """
    z = _z("tdpo1_grad", log_ratio_w, log_ratio_l, chosen_sequence_kl, rejected_sequence_kl, beta, 1.0)
    slope = float(beta) * sigmoid(-z)
    return SequenceGrad(plain(-slope), plain(slope), plain(-slope), plain(slope))


def tis_dpo_loss(
    weighted_log_ratio_w: Values,
    weighted_log_ratio_l: Values,
    chosen_weighted_kl: Values,
    rejected_weighted_kl: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO with a weight for every token.

    Arguments, units and errors are those of :func:`penchant.tis_dpo_loss`.

    .. math:: L = -\log\sigma(z), \quad z = \beta(u_w - u_l - K_w + K_l)

    References:
        Liu et al. (2024), TIS-DPO: Token-level Importance Sampling for Direct Preference Optimization With Estimated
        Weights, arXiv:2410.04350.

    >>> round(tis_dpo_loss(2.0, -1.0, 0.7, 0.4), 12)
    0.567232135122
    """
    z = _tis("tis_dpo_loss", weighted_log_ratio_w, weighted_log_ratio_l, chosen_weighted_kl, rejected_weighted_kl, beta)
    return reduce("tis_dpo_loss", softplus(-z), reduction)


def tis_dpo_grad(
    weighted_log_ratio_w: Values,
    weighted_log_ratio_l: Values,
    chosen_weighted_kl: Values,
    rejected_weighted_kl: Values,
    beta: float = 0.1,
) -> SequenceGrad:
    r"""Derivatives of :func:`tis_dpo_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial u_w = \partial L/\partial K_l = -\beta\sigma(-z), \quad
        \partial L/\partial u_l = \partial L/\partial K_w = \beta\sigma(-z)
    """
    z = _tis("tis_dpo_grad", weighted_log_ratio_w, weighted_log_ratio_l, chosen_weighted_kl, rejected_weighted_kl, beta)
    slope = float(beta) * sigmoid(-z)
    return SequenceGrad(plain(-slope), plain(slope), plain(slope), plain(-slope))


def _tis(where: str, w: Values, lo: Values, kl_w: Values, kl_lo: Values, beta: float) -> Array:
    named = {"weighted_log_ratio_w": w, "weighted_log_ratio_l": lo}
    chosen, rejected, drift_w, drift_lo = batch(where, **named, chosen_weighted_kl=kl_w, rejected_weighted_kl=kl_lo)
    with np.errstate(all="ignore"):
        return number(where, "beta", beta, "above 0") * (chosen - rejected - (drift_w - drift_lo))


def ld_dpo_loss(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    policy_chosen_shared_logps: Values,
    policy_rejected_shared_logps: Values,
    ref_chosen_shared_logps: Values,
    ref_rejected_shared_logps: Values,
    beta: float = 0.1,
    alpha: float = 0.5,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO whose tokens beyond the shorter answer's length count alpha.

    Arguments, units and errors are those of :func:`penchant.ld_dpo_loss`.

    .. math:: L = -\log\sigma(z), \quad z = \beta[\alpha(\rho_w - \rho_l) + (1 - \alpha)(\rho_w' - \rho_l')]

    References:
        Liu et al. (2024), Length Desensitization in Direct Preference Optimization, arXiv:2409.06411.

    >>> round(ld_dpo_loss(-12.0, -30.0, -14.0, -29.0, -12.0, -16.0, -14.0, -15.5), 12)
    0.56507066769
    """
    whole = (policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps)
    shared = (
        policy_chosen_shared_logps,
        policy_rejected_shared_logps,
        ref_chosen_shared_logps,
        ref_rejected_shared_logps,
    )
    return reduce("ld_dpo_loss", softplus(-_ld("ld_dpo_loss", whole, shared, beta, alpha)), reduction)


def ld_dpo_grad(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    policy_chosen_shared_logps: Values,
    policy_rejected_shared_logps: Values,
    ref_chosen_shared_logps: Values,
    ref_rejected_shared_logps: Values,
    beta: float = 0.1,
    alpha: float = 0.5,
) -> SharedGrad:
    r"""Derivatives of :func:`ld_dpo_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\alpha\beta\sigma(-z), \quad
        \partial L/\partial\log\pi_w' = -(1 - \alpha)\beta\sigma(-z)

    The rejected answer's have the other sign.
    """
    whole = (policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps)
    shared = (
        policy_chosen_shared_logps,
        policy_rejected_shared_logps,
        ref_chosen_shared_logps,
        ref_rejected_shared_logps,
    )
    slope = float(beta) * sigmoid(-_ld("ld_dpo_grad", whole, shared, beta, alpha))
    far, near = float(alpha) * slope, (1 - float(alpha)) * slope
    return SharedGrad(plain(-far), plain(far), plain(-near), plain(near))


def _ld(where: str, whole: tuple[Values, ...], shared: tuple[Values, ...], beta: float, alpha: float) -> Array:
    names = ("policy_chosen", "policy_rejected", "ref_chosen", "ref_rejected")
    named = {f"{name}_logps": value for name, value in zip(names, whole, strict=True)}
    named |= {f"{name}_shared_logps": value for name, value in zip(names, shared, strict=True)}
    w, lo, ref_w, ref_lo, near_w, near_lo, ref_near_w, ref_near_lo = batch(where, **named)
    share = number(where, "alpha", alpha, "")
    with np.errstate(all="ignore"):
        gap = share * ((w - ref_w) - (lo - ref_lo)) + (1 - share) * ((near_w - ref_near_w) - (near_lo - ref_near_lo))
        return number(where, "beta", beta, "above 0") * gap


def sampo_loss(
    sampled_log_ratio_w: Values, sampled_log_ratio_l: Values, beta: float = 0.1, *, reduction: str = "mean"
) -> Result:
    r"""DPO on equally many tokens of both answers.

    Arguments, units and errors are those of :func:`penchant.sampo_loss`.

    .. math:: L = -\log\sigma\big(\beta(\tilde\rho_w - \tilde\rho_l)\big)

    References:
        Lu et al. (2024), Eliminating Biased Length Reliance of Direct Preference Optimization via Down-Sampled KL
        Divergence, arXiv:2406.10957.

    >>> round(sampo_loss(2.0, -1.0), 12)
    0.554355244469
    """
    _, w, lo = scaled("sampo_loss", sampled_log_ratio_w, sampled_log_ratio_l, beta)
    return reduce("sampo_loss", softplus(lo - w), reduction)


def sampo_grad(sampled_log_ratio_w: Values, sampled_log_ratio_l: Values, beta: float = 0.1) -> PairGrad:
    r"""Derivatives of :func:`sampo_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\tilde\rho_w = -\beta\sigma(-z), \quad
        \partial L/\partial\tilde\rho_l = \beta\sigma(-z)
    """
    scale, w, lo = scaled("sampo_grad", sampled_log_ratio_w, sampled_log_ratio_l, beta)
    return opposed(-scale * sigmoid(lo - w))
