"""What a surrogate becomes where some labels are taken to be flipped; for any surrogate."""

from __future__ import annotations

from collections.abc import Callable

from penchant.records import Array

Surrogate = Callable[[Array], Array]


def smooth_labels(surrogate: Surrogate, share: float | Array) -> Surrogate:
    """(1 - ε) f(z) + ε f(-z): the expected loss if a share ε of the labels is flipped (conservative)."""
    if _is_none(share):
        return surrogate
    return lambda z: (1 - share) * surrogate(z) + share * surrogate(-z)


def debias_labels(surrogate: Surrogate, share: float | Array) -> Surrogate:
    """((1 - ε) f(z) - ε f(-z)) / (1 - 2ε): on labels flipped with probability ε < 1/2 its mean is f on clean ones."""
    if _is_none(share):
        return surrogate
    return lambda z: ((1 - share) * surrogate(z) - share * surrogate(-z)) / (1 - 2 * share)


def _is_none(share: float | Array) -> bool:
    """Whether no label is flipped: a term of weight 0 would make NaN of an infinite f(-z). A learned ε is an array."""
    return isinstance(share, int | float) and share == 0
