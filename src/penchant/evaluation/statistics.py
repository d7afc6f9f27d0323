"""Shares, means and differences with 95 % intervals, and the tests that say when no difference is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import bdtr, stdtrit

from penchant.records import Array

_Z95 = 1.959963984540054
RESAMPLES = 2000
"""Bootstrap resamples; the percentile interval's own noise is then a few hundredths of its width."""

MOST_CLUSTERS = 5000
"""More prompts than this are put together at random: the spread of this many sums is known to two hundredths."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of n outcomes with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.0%} [{self.low:.0%}, {self.high:.0%}]"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, or a ratio of sums, of n rows with its 95 % interval; the bounds are NaN where n is too small."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.value:.4g} [too few for an interval]"
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


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
    return wilson_of_sum(float(sum(outcomes)), len(outcomes))


def wilson_of_sum(total: float, n: int) -> Share:
    """As :func:`wilson`, from the sum of the outcomes and their number.

    Raises:
        ValueError: if there is no outcome.
    """
    if n == 0:
        raise ValueError("no outcomes")
    share = total / n
    centre = (share + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 / (1 + _Z95**2 / n) * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n**2))
    return Share(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), n)


@dataclass(slots=True)
class RunningMean:
    """The mean of a stream of independent rows, with Student's interval; batches are merged without cancellation.

    Example:
        >>> mean = RunningMean()
        >>> mean.add(np.array([1.0, 2.0]))
        >>> mean.add(np.array([6.0]))
        >>> mean.estimate().value
        3.0
    """

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: Array) -> None:
        """Merge a batch of shape ``(rows,)`` (Chan, Golub, LeVeque 1983, equation 1.5)."""
        count = len(values)
        if not count:
            return
        batch = float(np.mean(values))
        gap, total = batch - self.mean, self.n + count
        self.squares += float(np.sum((values - batch) ** 2)) + gap**2 * self.n * count / total
        self.mean += gap * count / total
        self.n = total

    def estimate(self) -> Estimate:
        """Mean and interval; with one row the interval is unknown.

        Raises:
            ValueError: if there was no row.
        """
        if self.n == 0:
            raise ValueError("no rows")
        if self.n == 1:
            return Estimate(self.mean, math.nan, math.nan, 1)
        half = float(stdtrit(self.n - 1, 0.975)) * math.sqrt(self.squares / (self.n - 1) / self.n)
        return Estimate(self.mean, self.mean - half, self.mean + half, self.n)


class ClusterBootstrap:
    """Percentile intervals from resampling prompts, not rows: pairs of one prompt are not independent evidence.

    Beyond MOST_CLUSTERS prompts, random groups of whole prompts are resampled: sums of independent prompts have the
    variance of their parts, so the intervals are the same and 100,000 pairs take a second.

    Args:
        clusters: Shape ``(rows,)``; rows with an equal entry belong to one prompt.
        seed: Fixes the resamples. Two calls on one object use the same resamples, so differences are paired.
        resamples: How many.

    References:
        Bradley Efron, Robert Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """

    def __init__(self, clusters: Array, *, seed: int = 0, resamples: int = RESAMPLES) -> None:
        _, index = np.unique(np.asarray(clusters), return_inverse=True)
        self._index: NDArray[np.int64] = index
        self.clusters = int(index.max()) + 1 if len(index) else 0
        self.clustered = self.clusters < len(index)
        self._seed, self._resamples = seed, resamples
        self._group = index
        self._weights: NDArray[np.float64] | None = None
        if self.clusters > MOST_CLUSTERS:
            shuffled = np.random.default_rng(seed).permutation(self.clusters)
            self._group = (shuffled % MOST_CLUSTERS)[index]

    def sums(self, columns: Array) -> NDArray[np.float64]:
        """Column sums of every resample, shape ``(resamples, columns)``, from ``columns`` of shape (rows, columns)."""
        table = np.zeros((min(self.clusters, MOST_CLUSTERS), columns.shape[1]))
        np.add.at(table, self._group, columns)
        if self._weights is None:
            self._weights = self._drawn(len(table))
        result: NDArray[np.float64] = self._weights @ table
        return result

    def _drawn(self, count: int) -> NDArray[np.float64]:
        """How often each of ``count`` is in each resample, shape ``(resamples, count)``."""
        generator = np.random.default_rng(self._seed)
        weights = np.empty((self._resamples, count))
        for row in weights:
            row[:] = np.bincount(generator.integers(0, count, count), minlength=count)
        return weights

    def ratio(self, numerator: Array, denominator: Array | None = None) -> Estimate:
        """sum(numerator) / sum(denominator) over the rows; without a denominator, the mean.

        One prompt alone gives no interval (NaN).
        """
        below = np.ones_like(numerator) if denominator is None else denominator
        value = float(np.sum(numerator) / np.sum(below))
        rows = int(np.count_nonzero(below))
        if self._alone(below):
            return Estimate(value, math.nan, math.nan, rows)
        sums = self.sums(np.stack([numerator, below], axis=1))
        present = sums[:, 1] > 0  # a resample may hold none of a small group's prompts
        low, high = percentiles(sums[present, 0] / sums[present, 1])
        return Estimate(value, low, high, rows)

    def _alone(self, below: Array) -> bool:
        """Whether a single prompt, or none, has weight."""
        used = self._index[below != 0]
        return len(used) == 0 or bool((used == used[0]).all())

    def share(self, outcomes: Array, mask: Array | None = None) -> Share:
        """Mean of outcomes in [0, 1]: Wilson's interval if every prompt has one row, else the bootstrap's."""
        mask = np.ones(len(outcomes), dtype=bool) if mask is None else mask
        if not self.clustered:
            return wilson_of_sum(float(outcomes[mask].sum()), int(mask.sum()))
        estimate = self.ratio(outcomes * mask, mask.astype(float))
        return Share(estimate.value, estimate.low, estimate.high, estimate.n)


def higher_share(upper: Array, lower: Array, counts: tuple[int, int] | None = None) -> Share:
    """How often a number of one sample is above one of another (the area under the ROC curve), a tie is half.

    Args:
        upper: Shape ``(m,)``.
        lower: Shape ``(n,)``.
        counts: As many independent ones as there are in each; left out, m and n.

    Returns:
        The share over all m n comparisons, with Newcombe's score interval, which is one at 0 and 1 as well; its ``n``
        is the number of comparisons.

    Raises:
        ValueError: if a sample is empty.

    References:
        Robert G. Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part
        2: Asymptotic methods and evaluation", 2006, method 5.

    Example:
        >>> str(higher_share(np.arange(10.0) + 5, np.arange(10.0)))
        '88% [63%, 96%]'
    """
    if not len(upper) or not len(lower):
        raise ValueError("a sample is empty")
    ordered = np.sort(lower)
    below, up_to = (np.searchsorted(ordered, upper, side=side) for side in ("left", "right"))
    value = float((below + up_to).mean() / 2 / len(ordered))
    m, n = counts or (len(upper), len(lower))
    others = (m + n) / 2 - 1

    def beyond(share: float) -> float:
        variance = share * (1 - share) * (1 + others * ((1 - share) / (2 - share) + share / (1 + share))) / (m * n)
        return float((share - value) ** 2 - _Z95**2 * variance)

    edge = 1e-9  # a share of 0 or 1 solves the equation itself
    low = 0.0 if value == 0 else float(brentq(beyond, 0.0, min(value, 1 - edge)))
    high = 1.0 if value == 1 else float(brentq(beyond, max(value, edge), 1.0))
    return Share(value, low, high, len(upper) * len(lower))


def percentiles(values: Array) -> tuple[float, float]:
    """The 2.5 % and 97.5 % points."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value that two classifiers are equally often right, from the rows where one alone is.

    References:
        Quinn McNemar, "Note on the sampling error of the difference between correlated proportions", 1947; the exact
        binomial form.

    Example:
        >>> mcnemar(0, 5)
        0.0625
        >>> mcnemar(0, 0)
        1.0
    """
    n = only_first + only_second
    return 1.0 if n == 0 else min(1.0, 2 * float(bdtr(min(only_first, only_second), n, 0.5)))
