"""Shares with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Share:
    """A share of n outcomes with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.0%} [{self.low:.0%}, {self.high:.0%}]"


def wilson(outcomes: Sequence[float]) -> Share:
    """The mean of outcomes in [0, 1] with Wilson's 95 % score interval.

    For outcomes of 0 and 1 this is the usual interval of a proportion; with ties counted as 1/2 it is on the safe side,
    because such outcomes vary less than coin flips of the same mean.

    Raises:
        ValueError: if there is no outcome.

    References:
        Edwin B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Example:
        >>> str(wilson([1.0] * 8 + [0.0] * 2))
        '80% [49%, 94%]'
    """
    n = len(outcomes)
    if n == 0:
        raise ValueError("no outcomes")
    share = sum(outcomes) / n
    centre = (share + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 / (1 + _Z95**2 / n) * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n**2))
    return Share(share, max(0.0, centre - half), min(1.0, centre + half), n)
