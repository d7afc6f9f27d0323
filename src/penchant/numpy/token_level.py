r"""The oracle's losses that know more of an answer than its summed log-prob."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from penchant.numpy.common import Array, Result, Values, batch, number, plain, reduce, sigmoid, softplus


class SequenceGrad(NamedTuple):
    """Derivatives of each pair's loss by the two log-ratios and the two sequence divergences."""

    chosen: Result
    rejected: Result
    chosen_kl: Result
    rejected_kl: Result


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
