"""The numbers of a report, each with a 95 % interval; exact over all rows however many are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant.evaluation.pairs import Rewards, length_bins
from penchant.evaluation.statistics import ClusterBootstrap, Estimate, RunningMean, Share
from penchant.records import Array
from penchant.report.read import Run


@dataclass(frozen=True, slots=True)
class Pairs:
    """The measured pairs of a run. Arrays have shape ``(pairs,)``; log-prob margins are chosen minus rejected, in nats.

    Attributes:
        accuracy: Share of pairs whose chosen answer has the higher reward; a tie is half.
        ties: How many.
        margin: Mean reward margin.
        drift: Mean change of the log-prob of the chosen and of the rejected answer, where the start is known.
        by_length: Accuracy by tokens that the chosen answer is longer.
        margins: Reward margins after training.
        start_margins: Before it; ``None`` where the start is not known.
        logp_margins: Log-prob margins after training, of the rows whose start is known.
        start_logp_margins: The same before.
        length_difference: Tokens of the chosen answer minus those of the rejected.
    """

    accuracy: Share
    ties: int
    margin: Estimate
    drift: tuple[Estimate, Estimate] | None
    by_length: dict[str, Share]
    margins: Array
    start_margins: Array | None
    logp_margins: Array | None
    start_logp_margins: Array | None
    length_difference: Array


@dataclass(frozen=True, slots=True)
class Answers:
    """The measured single answers of a run: rewards by label, and the probability that a desirable one ranks higher."""

    desirable: Array
    undesirable: Array
    reward_desirable: Estimate | None
    reward_undesirable: Estimate | None
    ranked: float | None


def pair_numbers(run: Run) -> Pairs:
    """The numbers of a run on pairs; there must be rows."""
    rewards = np.array([row.rewards for row in run.rows])
    lengths = np.array([row.lengths for row in run.rows])
    margins, difference = rewards[:, 0] - rewards[:, 1], lengths[:, 0] - lengths[:, 1]
    means = ClusterBootstrap(prompts_of(run))
    known = np.array([row.before is not None and row.start_rewards is not None for row in run.rows])
    before = np.array([row.before for row in run.rows if row.before is not None and row.start_rewards is not None])
    start = np.array(
        [row.start_rewards for row in run.rows if row.before is not None and row.start_rewards is not None]
    )
    after = np.array([row.after for row in run.rows])[known]
    right = 0.5 * (1 + np.sign(margins))
    bins = np.array(length_bins(difference))
    order = list(dict.fromkeys(length_bins(np.sort(difference))))
    drift = None
    if known.any():
        of_known = means if known.all() else ClusterBootstrap(prompts_of(run)[known])
        drift = (of_known.ratio((after - before)[:, 0]), of_known.ratio((after - before)[:, 1]))
    return Pairs(
        accuracy=means.share(right),
        ties=int(np.count_nonzero(margins == 0)),
        margin=means.ratio(margins),
        drift=drift,
        by_length={name: means.share(right, bins == name) for name in order},
        margins=margins,
        start_margins=start[:, 0] - start[:, 1] if known.any() else None,
        logp_margins=after[:, 0] - after[:, 1] if known.any() else None,
        start_logp_margins=before[:, 0] - before[:, 1] if known.any() else None,
        length_difference=difference,
    )


def answer_numbers(run: Run) -> Answers:
    """The numbers of a run on single answers."""
    desirable = np.array([row.rewards[0] for row in run.rows if row.label])
    undesirable = np.array([row.rewards[0] for row in run.rows if not row.label])
    ranked = None
    if len(desirable) and len(undesirable):
        ordered = np.sort(undesirable)
        below, up_to = (np.searchsorted(ordered, desirable, side=side) for side in ("left", "right"))
        ranked = float((below + up_to).mean() / 2 / len(ordered))
    return Answers(desirable, undesirable, student(desirable), student(undesirable), ranked)


def student(values: Sequence[float] | Array | None) -> Estimate | None:
    """The mean of independent numbers with Student's interval; ``None`` of none."""
    if values is None or not len(values):
        return None
    mean = RunningMean()
    mean.add(np.asarray(values, dtype=float))
    return mean.estimate()


def correlation(first: Array, second: Array) -> float | None:
    """Pearson's; ``None`` where one of them does not vary."""
    if np.std(first) == 0 or np.std(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def rewards_of(run: Run) -> Rewards:
    """The rewards as ``penchant evaluate`` takes them."""
    rewards = np.array([row.rewards for row in run.rows])
    return Rewards(run.facts.name, rewards[:, 0], rewards[:, 1])


def moved(run: Run) -> Estimate | None:
    """The mean KL to the start, nats per token; its interval ends at 0, which a KL cannot pass."""
    found = student(run.facts.kl)
    return found and replace(found, low=max(found.low, 0.0))  # NaN stays NaN


def prompts_of(run: Run) -> Array:
    """Equal numbers mark rows of one prompt."""
    return np.array([row.prompt for row in run.rows])
