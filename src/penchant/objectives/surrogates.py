"""Surrogates: what a margin z costs. One number in, one number out, small where the pair is ordered as wanted."""

from __future__ import annotations

from penchant.arrays import log_sigmoid
from penchant.records import Array


def logistic(z: Array) -> Array:
    """-log σ(z): log 2 at 0, slope -1/2 there, linear in the bad tail."""
    return -log_sigmoid(z)


def squared(z: Array, target: float | Array = 1.0) -> Array:
    """(z - target)²: pulls z to the target from both sides."""
    return (z - target) ** 2
