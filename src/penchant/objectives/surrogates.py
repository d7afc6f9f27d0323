"""Surrogates: what a margin z costs. One number in, one number out, small where the pair is ordered as wanted."""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import log_sigmoid, sigmoid
from penchant.records import Array


def logistic(z: Array) -> Array:
    """-log σ(z): log 2 at 0, slope -1/2 there, linear in the bad tail."""
    return -log_sigmoid(z)


def squared(z: Array, target: float | Array = 1.0) -> Array:
    """(z - target)²: pulls z to the target from both sides."""
    return (z - target) ** 2


def hinge(z: Array) -> Array:
    """max(0, 1 - z): slope -1 below 1, and 0 from 1 on."""
    return positive_part(1 - z)


def truncated_quadratic(z: Array) -> Array:
    """max(0, 1 - z)²: the square without its penalty on margins above 1."""
    return positive_part(1 - z) ** 2


def exponential(z: Array) -> Array:
    """exp(-z), steeper than the logistic loss on bad pairs; overflows below -709 in float64 and -88 in float32."""
    return compat.array_namespace(z).exp(-z)


def savage(z: Array) -> Array:
    """σ(-z)²: between 0 and 1, flat on both sides."""
    return sigmoid(-z) ** 2


def positive_part(x: Array) -> Array:
    """max(0, x) whose slope at 0 is 0 in every library (their own maxima give 0, 1/2 or 1 there); 0 at -inf."""
    xp = compat.array_namespace(x)
    return xp.where(x <= 0, xp.zeros_like(x), x)


def bernoulli_kl(z: Array, target: Array) -> Array:
    """KL between two Bernoulli distributions given by their log-odds, the first one's from the second one's.

    Where the log-odds are near, the differences of logarithms would cancel: log(1 + σ(z)(e^d - 1)) - σ(z) d with d the
    difference of log-odds is the same, and loses less. A negative d changes sides with z, so that the logarithm is of a
    number above 1: XLA's log1p is off by 128 units in the last place near -0.41.
    """
    xp = compat.array_namespace(z)
    upward = target >= z
    gap = xp.where(upward, target - z, z - target)
    near = gap < 1
    small = xp.where(near, gap, xp.zeros_like(gap))  # a branch that is not taken must not overflow
    share = sigmoid(xp.where(upward, z, -z))
    close = xp.log1p(share * xp.expm1(small)) - share * small
    up = log_sigmoid(z) - log_sigmoid(target)
    down = log_sigmoid(-z) - log_sigmoid(-target)
    return xp.where(near, close, sigmoid(z) * up + sigmoid(-z) * down)
