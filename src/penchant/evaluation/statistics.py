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
FEWEST = 6
"""Fewer independent outcomes than this, all alike, are no evidence at 5 % that a coin is not fair: 2 / 2^5 is 6 %."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of n outcomes with its 95 % interval; the bounds are NaN where there is too little for one."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.value:.0%} [too few for an interval]"
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
    """The mean of independent outcomes in [0, 1] with Wilson's 95 % score interval.

    For outcomes of 0 and 1 this is the usual interval of a proportion. Ties and soft outcomes vary less than coin flips
    of the same mean: the outcomes' own variance stands where Wilson has share (1 - share).

    Raises:
        ValueError: if there is no outcome.

    References:
        Edwin B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Example:
        >>> str(wilson([1.0] * 8 + [0.0] * 2))
        '80% [49%, 94%]'
        >>> str(wilson([1.0] * 11 + [0.5] * 48 + [0.0]))
        '58% [52%, 64%]'
    """
    values = np.asarray(outcomes, dtype=float)
    if not len(values):
        raise ValueError("no outcomes")
    return _scored(float(values.mean()), float(values.var()), len(values), len(values), _Z95)


def wilson_of_sum(total: float, n: int, ties: int = 0) -> Share:
    """As :func:`wilson`, from the sum of outcomes of 0 and 1, and ``ties`` of 1/2, and their number.

    Raises:
        ValueError: if there is no outcome.
    """
    if n == 0:
        raise ValueError("no outcomes")
    share = total / n
    return _scored(share, max(0.0, share * (1 - share) - ties / (4 * n)), n, n, _Z95)


def _scored(share: float, variance: float, n: int, effective: float, quantile: float) -> Share:
    """Wilson's interval of a mean of n outcomes that say as much as ``effective`` independent ones."""
    square = quantile**2
    centre = (effective * share + square / 2) / (effective + square)
    half = quantile / (effective + square) * math.sqrt(effective * variance + square / 4)
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


@dataclass(frozen=True, slots=True)
class _Clustered:
    """A mean of rows that come in clusters.

    Attributes:
        rows: How many.
        clusters: How many of them.
        value: The mean.
        variance: Of the rows.
        error: The standard error of the mean.
        kish: As many clusters of one size as these are worth: (sum of sizes)^2 / sum of sizes^2.
    """

    rows: int
    clusters: int
    value: float
    variance: float
    error: float
    kish: float

    @classmethod
    def of(cls, values: Array, index: NDArray[np.int64]) -> _Clustered:
        """From the rows and the cluster of each; the error is NaN with one cluster."""
        rows, value = len(values), float(np.mean(values))
        sizes = np.bincount(index)
        present = sizes > 0
        sizes, residuals = sizes[present], np.bincount(index, values - value)[present]
        kish = float(rows**2 / np.sum(sizes.astype(float) ** 2))
        error = math.nan if len(sizes) < 2 else math.sqrt(float(np.sum(residuals**2 / (1 - sizes / rows)))) / rows
        variance = float(np.var(values)) if np.ptp(values) else 0.0
        return cls(rows, len(sizes), value, variance, error, kish)

    @property
    def t(self) -> float:
        """Student's 97.5 % point, with as many degrees of freedom as there are clusters' worth, less one."""
        return float(stdtrit(max(1.0, self.kish - 1), 0.975))

    @property
    def effective(self) -> float:
        """As many independent rows as these are worth: from ``kish``, all that is sure if rows are alike, to all."""
        alone = self.variance / (self.rows - 1)  # the squared error if rows were independent
        left = self.rows * alone / max(self.error**2, alone) if alone else 0.0
        return max(self.kish, left)


class ByPrompt:
    """Means and shares with 95 % intervals over prompts: rows of one prompt are not independent evidence.

    Means have Student's interval with the standard error over prompts (CR2: right on average if rows are independent
    after all). Shares have Wilson's, of as many rows as the design effect leaves, with Student's quantile for the
    normal one; it has no width of 0 where all outcomes happen to be alike. Where every prompt has one row these are
    the usual intervals; from fewer than FEWEST rows a share takes Student's quantile too, and never excludes 1/2.
    Whether prompts repeat is looked at among the rows that are asked for. One prompt alone gives no interval (NaN).

    Args:
        prompts: Shape ``(rows,)``; rows with an equal entry belong to one prompt.

    References:
        Leslie Kish, "Survey Sampling", 1965 (design effect, effective number).
        Robert Bell, Daniel McCaffrey, "Bias Reduction in Standard Errors for Linear Regression with Multi-Stage
        Samples", 2002 (CR2).
        Edward Korn, Barry Graubard, "Confidence Intervals for Proportions with Small Expected Number of Positive
        Counts Estimated from Survey Data", 1998 (score intervals of an effective sample with Student's quantile).

    Example:
        >>> str(ByPrompt(np.array([0, 0, 0, 1, 1, 1])).share(np.ones(6)))
        '100% [1%, 100%]'
    """

    def __init__(self, prompts: Array) -> None:
        _, self._index = np.unique(np.asarray(prompts), return_inverse=True)
        self.prompts = int(self._index.max()) + 1 if len(self._index) else 0
        self.repeated = self.prompts < len(self._index)

    def mean(self, values: Array, mask: Array | None = None) -> Estimate:
        """The mean of the rows, or of those in the mask.

        Raises:
            ValueError: if there is none.
        """
        found = self._of(values, mask)
        half = found.t * found.error
        return Estimate(found.value, found.value - half, found.value + half, found.rows)

    def share(self, outcomes: Array, mask: Array | None = None) -> Share:
        """The mean of outcomes in [0, 1], of all rows or those in the mask.

        Raises:
            ValueError: if there is none.
        """
        found = self._of(outcomes, mask)
        if found.clusters < 2:
            return Share(found.value, math.nan, math.nan, found.rows)
        independent = found.clusters == found.rows >= FEWEST
        quantile = _Z95 if independent else found.t
        return _scored(found.value, found.variance, found.rows, found.effective, quantile)

    def _of(self, values: Array, mask: Array | None) -> _Clustered:
        some = slice(None) if mask is None else mask
        values = np.asarray(values, dtype=float)[some]
        if not len(values):
            raise ValueError("no rows")
        return _Clustered.of(values, self._index[some])


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
