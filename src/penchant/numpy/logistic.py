r"""The oracle's logistic losses on pairs."""

from __future__ import annotations

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


def dpo_loss(
    logp_chosen: Values,
    logp_rejected: Values,
    logp_ref_chosen: Values,
    logp_ref_rejected: Values,
    beta: float = 0.1,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Result:
    r"""Direct preference optimisation; with label smoothing, the variant known as conservative DPO.

    .. math:: L = -(1-\varepsilon)\log\sigma(z) - \varepsilon\log\sigma(-z), \quad z = \beta(\rho_w - \rho_l)

    A larger beta steepens the loss in the gap of log-ratios (which the sheet calls, wrongly, log odds ratios), yet
    leads *less* far from the reference: at the optimum, an answer that wins with probability p has the gap
    logit(p)/beta.

    Args:
        logp_chosen, logp_rejected: Policy's log-probs, scalar or ``(pairs,)``, nats summed over the answer's tokens.
        logp_ref_chosen, logp_ref_rejected: The reference's, same shape and unit.
        beta: Strength of the pull to the reference, per nat, above 0; 0.01 to 0.5 is common.
        label_smoothing: Probability :math:`\varepsilon` that a preference is the wrong way round, in [0, 0.5).
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``, in nats; log 2 where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Rafailov, Sharma, Mitchell, Ermon, Manning, Finn (2023), Direct Preference Optimization: Your Language Model
        is Secretly a Reward Model, arXiv:2305.18290, Eq. 7. Smoothing: Mitchell (2023), ericmitchell.ai/cdpo.pdf.

    >>> round(dpo_loss(-12.0, -30.0, -14.0, -29.0), 12)
    0.554355244469
    """
    z = _dpo_z("dpo_loss", logp_chosen, logp_rejected, logp_ref_chosen, logp_ref_rejected, beta)
    flip = number("dpo_loss", "label_smoothing", label_smoothing, "in [0, 0.5)")
    losses = softplus(-z)
    if flip:  # no product with 0, which would make NaN of the loss 0 at z = inf
        losses = (1.0 - flip) * losses + flip * softplus(z)
    return reduce("dpo_loss", losses, reduction)


def dpo_grad(
    logp_chosen: Values,
    logp_rejected: Values,
    logp_ref_chosen: Values,
    logp_ref_rejected: Values,
    beta: float = 0.1,
    *,
    label_smoothing: float = 0.0,
) -> PairGrad:
    r"""Derivatives of :func:`dpo_loss` by the policy's two log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\beta[(1-\varepsilon)\sigma(-z) - \varepsilon\sigma(z)]
        = -\partial L/\partial\log\pi_l

    Returns:
        Shape of the inputs; -beta/2 and beta/2 where policy equals reference, without smoothing.

    >>> round(dpo_grad(-12.0, -30.0, -14.0, -29.0).chosen, 11)
    -0.04255574832
    """
    z = _dpo_z("dpo_grad", logp_chosen, logp_rejected, logp_ref_chosen, logp_ref_rejected, beta)
    flip = number("dpo_grad", "label_smoothing", label_smoothing, "in [0, 0.5)")
    slope = float(beta) * ((1.0 - flip) * sigmoid(-z) - flip * sigmoid(z))
    return PairGrad(plain(-slope), plain(slope))


def dr_dpo_loss(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1, beta_prime: float = 1.0) -> float:
    r"""DPO under the worst mixture of a batch's pairs: one number for the batch.

    .. math:: L = -\beta'\log\Big(\frac1N\sum_i\sigma(z_i)^{1/\beta'}\Big), \quad z = \beta(\rho_w - \rho_l)

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens.
        beta: Strength of the pull to the reference, per nat, above 0.
        beta_prime: Temperature of the weights, above 0; towards infinity, DPO's mean.

    Returns:
        One number in nats; log 2 where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Wu et al. (2024), Towards Robust Alignment of Language Models: Distributionally Robustifying Direct Preference
        Optimization, arXiv:2407.07880.

    >>> round(dr_dpo_loss([3.0, -10.0, 20.0], [0.0, 0.0, 0.0]), 12)
    0.553860124166
    """
    scaled, _ = _dr_dpo_parts("dr_dpo_loss", log_ratio_w, log_ratio_l, beta, beta_prime)
    top = scaled.max()
    # a mean near 1 keeps its last digits as a mean near 0
    return float(-beta_prime * (top + np.log1p(np.mean(np.expm1(scaled - top)))))


def dr_dpo_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1, beta_prime: float = 1.0) -> PairGrad:
    r"""Derivatives of :func:`dr_dpo_loss` by the log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_{w,i} = -\omega_i\beta\sigma(-z_i), \quad
        \omega_i = \sigma(z_i)^{1/\beta'} / \sum_j\sigma(z_j)^{1/\beta'}

    Returns:
        Shape of the inputs; -beta/(2N) for each of N pairs where policy equals reference.

    >>> dr_dpo_grad([0.0, 0.0], [0.0, 0.0]).chosen.tolist()
    [-0.025, -0.025]
    """
    scaled, z = _dr_dpo_parts("dr_dpo_grad", log_ratio_w, log_ratio_l, beta, beta_prime)
    weights = np.exp(scaled - scaled.max())
    slope = weights / weights.sum() * float(beta) * sigmoid(-z)
    return PairGrad(plain(-slope), plain(slope))


def _dr_dpo_parts(where: str, w: Values, lo: Values, beta: float, beta_prime: float) -> tuple[Array, Array]:
    chosen, rejected = batch(where, log_ratio_w=w, log_ratio_l=lo)
    z = number(where, "beta", beta, "above 0") * (chosen - rejected)
    return -softplus(-z) / number(where, "beta_prime", beta_prime, "above 0"), z


def _dpo_z(where: str, w: Values, lo: Values, ref_w: Values, ref_lo: Values, beta: float) -> Array:
    named = {"logp_chosen": w, "logp_rejected": lo, "logp_ref_chosen": ref_w, "logp_ref_rejected": ref_lo}
    chosen, rejected, ref_chosen, ref_rejected = batch(where, **named)
    with np.errstate(all="ignore"):
        return number(where, "beta", beta, "above 0") * ((chosen - ref_chosen) - (rejected - ref_rejected))


def robust_dpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Robust DPO: an unbiased estimate of DPO's loss from labels of which a known share is flipped.

    Arguments, units and errors are those of :func:`penchant.robust_dpo_loss`.

    .. math:: L = \frac{(1-\epsilon)\,\ell(z) - \epsilon\,\ell(-z)}{1-2\epsilon} = \ell(z) -
              \frac{\epsilon}{1-2\epsilon}\,z, \quad z = \beta(\rho_w - \rho_l),\ \ell(z) = -\log\sigma(z)

    References:
        Sayak Ray Chowdhury, Anush Kini, Nagarajan Natarajan, "Provably Robust DPO: Aligning Language Models with Noisy
        Feedback", 2024, arXiv:2403.00409.

    >>> round(robust_dpo_loss(2.0, -1.0), 9)
    0.516855244
    """
    _, w, lo = scaled("robust_dpo_loss", log_ratio_w, log_ratio_l, beta)
    share = number("robust_dpo_loss", "label_smoothing", label_smoothing, "in [0, 0.5)")
    tilt = share / (1 - 2 * share) * (w - lo) if share else 0.0  # nothing of an infinite margin is nothing
    return reduce("robust_dpo_loss", softplus(lo - w) - tilt, reduction)


def robust_dpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`robust_dpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\Big(\sigma(-z) + \frac{\epsilon}{1-2\epsilon}\Big) = -\partial
              L/\partial\rho_l
    """
    scale, w, lo = scaled("robust_dpo_grad", log_ratio_w, log_ratio_l, beta)
    share = number("robust_dpo_grad", "label_smoothing", label_smoothing, "in [0, 0.5)")
    return opposed(-scale * (sigmoid(lo - w) + share / (1 - 2 * share)))


def soft_dpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    preference_probs: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO on soft labels: each pair says with which probability its chosen answer is the better.

    Arguments, units and errors are those of :func:`penchant.soft_dpo_loss`.

    .. math:: L = -p\log\sigma(z) - (1-p)\log\sigma(-z), \quad z = \beta(\rho_w - \rho_l)

    References:
        Hiroki Furuta, Kuang-Huei Lee, Shixiang Shane Gu et al., "Geometric-Averaged Preference Optimization for Soft
        Preference Labels", 2024, arXiv:2409.06691.

    >>> round(soft_dpo_loss(2.0, -1.0, 0.9), 9)
    0.584355244
    """
    scale, w, lo, p = _soft("soft_dpo_loss", log_ratio_w, log_ratio_l, preference_probs, beta)
    return reduce("soft_dpo_loss", p * softplus(scale * (lo - w)) + (1 - p) * softplus(scale * (w - lo)), reduction)


def soft_dpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    preference_probs: Values,
    beta: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`soft_dpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = \beta(\sigma(z) - p) = -\partial L/\partial\rho_l
    """
    scale, w, lo, p = _soft("soft_dpo_grad", log_ratio_w, log_ratio_l, preference_probs, beta)
    return opposed(scale * (sigmoid(scale * (w - lo)) - p))


def geometric_dpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    preference_probs: Values,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Geometric DPO: soft labels shrink a pair's margin instead of mixing its loss.

    Arguments, units and errors are those of :func:`penchant.geometric_dpo_loss`.

    .. math:: L = -\log\sigma\big(\beta\,(2p - 1)(\rho_w - \rho_l)\big)

    References:
        Hiroki Furuta, Kuang-Huei Lee, Shixiang Shane Gu et al., "Geometric-Averaged Preference Optimization for Soft
        Preference Labels", 2024, arXiv:2409.06691.

    >>> geometric_dpo_loss(2.0, -1.0, 1.0) == dpo_loss(2.0, -1.0, 0.0, 0.0)
    True
    """
    scale, w, lo, p = _soft("geometric_dpo_loss", log_ratio_w, log_ratio_l, preference_probs, beta)
    return reduce("geometric_dpo_loss", softplus(scale * (2 * p - 1) * (lo - w)), reduction)


def geometric_dpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    preference_probs: Values,
    beta: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`geometric_dpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta(2p-1)\sigma(-z) = -\partial L/\partial\rho_l
    """
    scale, w, lo, p = _soft("geometric_dpo_grad", log_ratio_w, log_ratio_l, preference_probs, beta)
    factor = scale * (2 * p - 1)
    return opposed(-factor * sigmoid(factor * (lo - w)))


def focal_dpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    focus: float = 0.05,
    *,
    reduction: str = "mean",
) -> Result:
    r"""FocalPO: pairs that are ranked wrongly count for less.

    Arguments, units and errors are those of :func:`penchant.focal_dpo_loss`.

    .. math:: L = -\sigma(z)^{\gamma}\,\log\sigma(z), \quad z = \beta(\rho_w - \rho_l)

    References:
        Tong Liu, Xiao Yu, Wenxuan Zhou et al., "FocalPO: Enhancing Preference Optimizing by Focusing on Correct
        Preference Rankings", 2025, arXiv:2501.06645.

    >>> round(focal_dpo_loss(2.0, -1.0), 9)
    0.539200752
    """
    _, w, lo = scaled("focal_dpo_loss", log_ratio_w, log_ratio_l, beta)
    loss = softplus(lo - w)
    return reduce(
        "focal_dpo_loss", np.exp(-number("focal_dpo_loss", "focus", focus, "at least 0") * loss) * loss, reduction
    )


def focal_dpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    beta: float = 0.1,
    focus: float = 0.05,
) -> PairGrad:
    r"""Derivatives of :func:`focal_dpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\,\sigma(z)^\gamma\sigma(-z)\,(1 + \gamma\log\sigma(z)) = -\partial
              L/\partial\rho_l
    """
    scale, w, lo = scaled("focal_dpo_grad", log_ratio_w, log_ratio_l, beta)
    power = number("focal_dpo_grad", "focus", focus, "at least 0")
    loss = softplus(lo - w)
    return opposed(-scale * np.exp(-power * loss) * sigmoid(lo - w) * (1 - power * loss))


def _soft(where: str, w: Values, lo: Values, probs: Values, beta: float) -> tuple[float, Array, Array, Array]:
    chosen, rejected, p = batch(where, log_ratio_w=w, log_ratio_l=lo, preference_probs=probs)
    return number(where, "beta", beta, "above 0"), chosen, rejected, p
