"""``penchant evaluate``: what implicit rewards on held-out pairs say of a checkpoint, and whether two differ."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import bdtr

from penchant.arrays import sigmoid
from penchant.errors import InputError
from penchant.evaluation.statistics import ByPrompt, Estimate, Share, mcnemar
from penchant.records import Array

LENGTH_EDGES = (-100, -25, 0, 25, 100)
"""Tokens by which the chosen answer is longer: the edges of the bins."""

CONFIDENCE_BINS = 10
NOTHING_SHOWN = "no difference shown in accuracy"
_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What is known of the pairs besides rewards. Shapes ``(pairs,)``.

    Attributes:
        prompts: Equal entries mark pairs of one prompt.
        length_difference: Tokens of the chosen answer minus those of the rejected, or ``None``.
        groups: Further ways to divide the pairs: name -> one word per pair.
    """

    prompts: Array
    length_difference: Array | None = None
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rewards:
    """One checkpoint's implicit rewards; ``kl`` is KL(checkpoint, reference) per token of each pair, in nats."""

    name: str
    chosen: Array
    rejected: Array
    kl: Array | None = None

    @property
    def margins(self) -> Array:
        return self.chosen - self.rejected

    @property
    def right(self) -> Array:
        """1 where the chosen answer has the higher reward, 1/2 for a tie."""
        return 0.5 * (1 + np.sign(self.margins))


@dataclass(frozen=True, slots=True)
class GroupResult:
    """Accuracy and margin over some of the pairs."""

    accuracy: Share
    margins: Estimate


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Pairs whose preferred answer is given a probability in [low, high), and how often that answer is the chosen."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether sigma(reward margin) means what it says.

    ``error`` is the expected calibration error over the bins. It is above 0 by chance alone, the more so the fewer
    pairs, and so has no interval; ``error_by_chance`` is what it would be on average if margins of the same confidences
    meant what they say and pairs were independent. ``brier`` and ``log_loss`` are proper scores of the probability
    given to the chosen answer (0.25 and log 2 for a coin).
    """

    error: float
    error_by_chance: float
    brier: Estimate
    log_loss: Estimate
    bins: tuple[ConfidenceBin, ...]


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """All numbers of one checkpoint."""

    name: str
    pairs: int
    prompts: int
    ties: int
    accuracy: Share
    margins: Estimate
    rewards_chosen: Estimate
    rewards_rejected: Estimate
    calibration: Calibration
    kl: Estimate | None
    groups: dict[str, dict[str, GroupResult]]


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two checkpoints on the same pairs. ``difference`` is second minus first, in accuracy."""

    first: str
    second: str
    difference: Estimate
    only_first: int
    only_second: int
    p_value: float | None
    margin_difference: Estimate
    verdict: str

    @property
    def how(self) -> str:
        """What decides, in words."""
        return "95 % interval over prompts" if self.p_value is None else f"exact McNemar p = {self.p_value:.3g}"


def evaluate_rewards(rewards: Rewards, held_out: HeldOut) -> CheckpointResult:
    """All numbers of one checkpoint, each with a 95 % interval over prompts (see :class:`ByPrompt`).

    Raises:
        InputError: if a reward is not finite or there is no pair.
    """
    if not len(rewards.chosen):
        raise InputError("there are no pairs to evaluate", where=rewards.name)
    if not np.isfinite(rewards.margins).all():
        row = int(np.argmin(np.isfinite(rewards.margins))) + 1
        raise InputError("a reward is not finite", where=f"{rewards.name}: pair {row}")
    prompts = ByPrompt(held_out.prompts)
    return CheckpointResult(
        name=rewards.name,
        pairs=len(rewards.chosen),
        prompts=prompts.prompts,
        ties=int(np.count_nonzero(rewards.margins == 0)),
        accuracy=prompts.share(rewards.right),
        margins=prompts.mean(rewards.margins),
        rewards_chosen=prompts.mean(rewards.chosen),
        rewards_rejected=prompts.mean(rewards.rejected),
        calibration=_calibration(rewards, prompts),
        kl=prompts.mean(rewards.kl) if rewards.kl is not None else None,
        groups={name: _by(words, rewards, prompts) for name, words in _divisions(held_out).items()},
    )


def paired_test(first: Rewards, second: Rewards, prompts: Array) -> PairedTest:
    """Whether one checkpoint orders the pairs better than another.

    The exact McNemar test where every prompt has one pair and none is a tie; where pairs share a prompt, or a tie
    counts as half, it does not hold, and the interval of the difference over prompts decides. That is the interval of
    a share: the second against the first on each pair, won, tied or lost.

    References:
        Toshiro Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
        design", 1998: the like score interval, of independent pairs without ties.
    """
    by_prompt = ByPrompt(prompts)
    right_first, right_second = first.margins > 0, second.margins > 0
    only_first = int(np.count_nonzero(right_first & ~right_second))
    only_second = int(np.count_nonzero(right_second & ~right_first))
    ties = bool(((first.margins == 0) | (second.margins == 0)).any())
    p_value = None if by_prompt.repeated or ties else mcnemar(only_first, only_second)
    won = by_prompt.share(0.5 * (1 + second.right - first.right))
    difference = Estimate(2 * won.value - 1, 2 * won.low - 1, 2 * won.high - 1, won.n)
    margins = by_prompt.mean(second.margins - first.margins)
    shown = p_value < _ALPHA if p_value is not None else difference.low > 0 or difference.high < 0
    better = second.name if difference.value > 0 else first.name
    verdict = f"{better} orders more pairs rightly" if shown and difference.value else NOTHING_SHOWN
    return PairedTest(first.name, second.name, difference, only_first, only_second, p_value, margins, verdict)


def _calibration(rewards: Rewards, prompts: ByPrompt) -> Calibration:
    chance = sigmoid(rewards.margins)
    confidence = np.maximum(chance, 1 - chance)
    bins = np.minimum(((confidence - 0.5) * 2 * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    counts = np.bincount(bins, minlength=CONFIDENCE_BINS)
    shown = tuple(
        ConfidenceBin(
            low=0.5 + index / (2 * CONFIDENCE_BINS),
            high=0.5 + (index + 1) / (2 * CONFIDENCE_BINS),
            n=int(counts[index]),
            confidence=float(confidence[bins == index].mean()),
            accuracy=float(rewards.right[bins == index].mean()),
        )
        for index in np.flatnonzero(counts)
    )
    return Calibration(
        error=sum(one.n * abs(one.confidence - one.accuracy) for one in shown) / len(bins),
        error_by_chance=_error_by_chance(confidence[rewards.margins != 0], bins[rewards.margins != 0]) / len(bins),
        brier=prompts.mean((1 - chance) ** 2),
        log_loss=prompts.mean(np.logaddexp(0.0, -rewards.margins)),
        bins=shown,
    )


def _error_by_chance(confidence: Array, bins: Array) -> float:
    """The sum over bins of E|rightly ordered pairs - expected ones|; a tie is half and half without chance.

    Every pair of a bin is taken at the bin's mean confidence, so that the number is binomial; its mean deviation is
    De Moivre's, 2 k (1 - p) P(X = k) with k the next whole number above n p.
    """
    counts = np.bincount(bins, minlength=CONFIDENCE_BINS)
    filled = counts > 0
    n, p = counts[filled], np.bincount(bins, confidence, CONFIDENCE_BINS)[filled] / counts[filled]
    k = np.minimum(np.floor(n * p) + 1, n)
    return float(np.sum(2 * k * (1 - p) * (bdtr(k, n, p) - bdtr(k - 1, n, p))))


def _divisions(held_out: HeldOut) -> dict[str, Sequence[str]]:
    divisions: dict[str, Sequence[str]] = {}
    if held_out.length_difference is not None:
        divisions["chosen longer by (tokens)"] = length_bins(held_out.length_difference)
    return divisions | dict(held_out.groups)


def length_bins(difference: Array) -> list[str]:
    """Each pair's bin of tokens by which the chosen answer is longer; bins hold their lower edge.

    >>> length_bins(np.array([-300, -1, 0, 24, 25]))
    ['below -100', '-25 to -1', '0 to 24', '0 to 24', '25 to 99']
    """
    middle = [f"{low} to {high - 1}" for low, high in itertools.pairwise(LENGTH_EDGES)]
    names = [f"below {LENGTH_EDGES[0]}", *middle, f"{LENGTH_EDGES[-1]} and more"]
    places = np.asarray(np.searchsorted(LENGTH_EDGES, difference, side="right"))
    return [names[at] for at in places.tolist()]


def _by(words: Sequence[str], rewards: Rewards, prompts: ByPrompt) -> dict[str, GroupResult]:
    """Accuracy and margin in each group, in the order of the groups' names (bins: of their first number)."""
    labels = np.asarray(words)
    found = {}
    for word in sorted(set(words), key=_order):
        mask = labels == word
        found[word] = GroupResult(prompts.share(rewards.right, mask), prompts.mean(rewards.margins, mask))
    return found


def _order(word: str) -> tuple[float, str]:
    if word.startswith("below"):
        return (float("-inf"), word)
    first = word.split()[0] if word.split() else ""
    try:
        return (float(first), word)
    except ValueError:
        return (float("inf"), word)
