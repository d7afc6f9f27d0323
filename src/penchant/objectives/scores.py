"""What is compared: log-probs per token, and odds ratios that stay finite where a probability reaches one."""

from __future__ import annotations

import math

import array_api_compat as compat

from penchant.arrays import logsumexp, stop_gradient
from penchant.records import Array


def mean_logps(logps: Array, lengths: Array) -> Array:
    """Log-prob per token: the sum over the answer's tokens divided by their number; nats per token."""
    return logps / lengths


def bent(values: Array, alpha: float | Array) -> Array:
    """(1 - exp(-alpha x)) / alpha, and x itself at alpha = 0; steeper below 0 and flatter above for alpha > 0."""
    xp = compat.array_namespace(values)
    bend = alpha + xp.zeros_like(values)
    straight = bend == 0
    divisor = xp.where(straight, xp.ones_like(bend), bend)
    return xp.where(straight, values, one_minus_exp(xp.where(straight, bend, -bend * values)) / divisor)


def bent_gap(first: Array, second: Array, alpha: float | Array, beta: float | Array = 1.0) -> Array:
    """beta (bent(first) - bent(second)), from the one whose exponential is the steeper and the gap to the other.

    Nothing cancels where the two are near each other, and no two infinities meet where both are far below 0.
    """
    xp = compat.array_namespace(first)
    gap, bend = first - second, alpha + xp.zeros_like(first)
    ahead, upward = first >= second, bend >= 0
    steepest = xp.where(ahead == upward, second, first)  # the lower, for alpha above 0
    height = beta * bent(xp.where(ahead, gap, -gap), xp.where(upward, bend, -bend))
    return straightened_exp(-bend * steepest) * xp.where(ahead, height, -height)


def straightened_exp(x: Array) -> Array:
    """e^x, and its tangent from 16 nats below the largest number of x's type on."""
    xp = compat.array_namespace(x)
    top = math.log(xp.finfo(x.dtype).max) - 16 + xp.zeros_like(x)
    far = x > top
    return xp.exp(xp.where(far, top, x)) * xp.where(far, 1 + (x - top), xp.ones_like(x))


def one_minus_exp(x: Array) -> Array:
    """1 - exp(x) to the last digits, slope included: near 0 by expm1, whose slope is rounded off far below 0."""
    xp = compat.array_namespace(x)
    far = x < -1
    zero = xp.zeros_like(x)  # a branch that is not taken must not overflow
    return xp.where(far, 1 - xp.exp(xp.where(far, x, zero)), -xp.expm1(xp.where(far, zero, x)))


def log_one_minus_exp(x: Array) -> Array:
    """log(1 - exp(x)) for x < 0, to the last digits on both ends."""
    xp = compat.array_namespace(x)
    far = x < -1
    inside = -xp.ones_like(x)
    near = xp.log(-xp.expm1(xp.where(far, inside, x)))
    return xp.where(far, xp.log1p(-xp.exp(xp.where(far, x, inside))), near)


def nll(logps: Array, lengths: Array) -> Array:
    """Negative log-likelihood per token, the supervised fine-tuning loss of the answer."""
    return -mean_logps(logps, lengths)


def odds_ratio_loss(chosen_mean_logps: Array, rejected_mean_logps: Array) -> Array:
    r"""-log σ(log odds_w - log odds_l) for odds = P / (1 - P), P = exp(mean log-prob).

    Equal to :math:`\log(1 + e^{l-w}\,(1 - e^w)/(1 - e^l))`, which has a finite value and slope as the chosen
    probability reaches one (w = 0), where the difference of log-odds is infinite and its slope not a number. The
    largest exponent m is taken out of the logarithm; it carries no gradient because the value does not depend on it.
    As the rejected probability reaches one the loss and its slope there are infinite, and so they are here; the chosen
    answer's slope stays finite. Where both reach one their ratio means nothing, and the loss is no number.
    """
    xp = compat.array_namespace(chosen_mean_logps)
    certain = rejected_mean_logps == 0
    rejected = xp.where(certain, -xp.ones_like(rejected_mean_logps), rejected_mean_logps)
    difference = rejected - chosen_mean_logps
    m = stop_gradient(xp.maximum(difference, xp.zeros_like(difference)))
    complement_ratio = xp.expm1(chosen_mean_logps) / xp.expm1(rejected)
    finite = m + xp.log1p(xp.expm1(-m) + xp.exp(difference - m) * complement_ratio)
    return xp.where(certain, _odds_ratio_loss_at_one(chosen_mean_logps, rejected_mean_logps, certain), finite)


def _odds_ratio_loss_at_one(chosen: Array, rejected: Array, certain: Array) -> Array:
    """The loss where the rejected answer is certain: -log odds_w, and a pole that is infinite in value and slope."""
    xp = compat.array_namespace(chosen)
    zero = xp.zeros_like(chosen)
    chosen = xp.where(certain, chosen, -xp.ones_like(chosen))  # elsewhere no slope, and nothing that overflows
    pole = xp.where(certain, zero + xp.inf, zero) * xp.exp(xp.where(certain, rejected, zero))
    return log_one_minus_exp(chosen) - chosen + pole


def log1p_sum_exp(x: Array) -> Array:
    """log(1 + Σ exp(x)) along the last axis, to the last digits where all terms are small; -inf counts for nothing."""
    xp = compat.array_namespace(x)
    top = stop_gradient(xp.max(x, axis=-1))
    top = xp.where(top > 0, top, xp.zeros_like(top))
    return top + xp.log1p(xp.expm1(-top) + xp.sum(xp.exp(x - top[..., None]), axis=-1))


def list_nll(scores: Array) -> Array:
    """-log softmax along the last axis; log Σ exp(s) - s would round off that of an answer that is nearly certain."""
    xp = compat.array_namespace(scores)
    places = xp.arange(scores.shape[-1], device=compat.device(scores))
    differences = scores[..., None, :] - scores[..., :, None]  # entry (i, j): s_j - s_i
    others = xp.where(places[:, None] != places[None, :], differences, xp.full_like(differences, -xp.inf))
    return log1p_sum_exp(others)


def shares_of(scores: Array) -> Array:
    """softmax along the last axis."""
    xp = compat.array_namespace(scores)
    return xp.exp(scores - logsumexp(scores)[..., None])
