"""The numbers of a report, each with a 95 % interval; exact over all rows however many are drawn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant.evaluation.pairs import Rewards, length_bins
from penchant.evaluation.statistics import ByPrompt, Estimate, RunningMean, Share, higher_share
from penchant.records import Array
from penchant.report import record
from penchant.report.read import Run


@dataclass(frozen=True, slots=True)
class Pairs:
    """The measured pairs of a run. Arrays have shape ``(pairs,)``; log-prob margins are chosen minus rejected, in nats.

    A list stands for all pairs of its answers whose ratings differ, the better rated one being the chosen.

    Attributes:
        accuracy: Share of pairs whose chosen answer has the higher reward; a tie is half.
        ties: How many.
        margin: Mean reward margin.
        drift: Mean change of the log-prob of the chosen and of the rejected answer, where the start is known.
        growth: Mean change of their difference, on the same rows.
        before: Accuracy before training, and what it has changed by, where rewards did not all start at 0.
        by_length: Accuracy by tokens that the chosen answer is longer.
        margins: Reward margins after training.
        start_margins: Before it, of the rows whose start is known; ``None`` where it is of none.
        known: Which rows those are.
        logp_margins: Log-prob margins after training, of the same rows.
        start_logp_margins: The same before.
        length_difference: Tokens of the chosen answer minus those of the rejected.
        on_top: Of lists: the share whose best rated answer has the highest reward.
    """

    accuracy: Share
    ties: int
    margin: Estimate
    drift: tuple[Estimate, Estimate] | None
    growth: Estimate | None
    before: tuple[Share, Estimate] | None
    by_length: dict[str, Share]
    margins: Array
    start_margins: Array | None
    known: Array
    logp_margins: Array | None
    start_logp_margins: Array | None
    length_difference: Array
    on_top: Share | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """The measured single answers of a run: rewards by label, and how often a desirable one has the higher reward.

    ``before`` is that share before training, of the rows whose start is known, unless their rewards started at 0. In
    its interval and that of ``ranked``, answers with one label to one prompt count once.
    """

    desirable: Array
    undesirable: Array
    reward_desirable: Estimate | None
    reward_undesirable: Estimate | None
    ranked: Share | None
    before: Share | None


def as_pairs(run: Run) -> list[record.Row]:
    """The run's rows as pairs; of a list every two answers whose ratings differ, the better rated one first."""
    return [pair for row in run.rows for pair in _pairs_of(row)] if run.of_lists else run.rows


def _pairs_of(row: record.Row) -> list[record.Row]:
    columns = (row.lengths, row.after, row.rewards, row.before, row.start_rewards)
    parts = [itertools.repeat(None) if one is None else map(list, record.ordered(row, one)) for one in columns]
    count = len(record.ordered(row, row.rewards))
    return [record.Row(row.source, row.prompt, *two) for two in itertools.islice(zip(*parts, strict=False), count)]


def pair_numbers(run: Run) -> Pairs | None:
    """The numbers of a run on pairs or lists; nothing where no two answers differ in rating."""
    rows = as_pairs(run)
    if not rows:
        return None
    rewards = np.array([row.rewards for row in rows])
    lengths = np.array([row.lengths for row in rows])
    margins, difference = rewards[:, 0] - rewards[:, 1], lengths[:, 0] - lengths[:, 1]
    prompts = prompts_of(rows)
    means = ByPrompt(prompts)
    both = [(row.before, row.start_rewards) for row in rows]
    known = np.array([before is not None and start is not None for before, start in both])
    before, start = (np.array([pair[at] for pair, shown in zip(both, known, strict=True) if shown]) for at in (0, 1))
    after = np.array([row.after for row in rows])[known]
    right = 0.5 * (1 + np.sign(margins))
    bins = np.array(length_bins(difference))
    order = list(dict.fromkeys(length_bins(np.sort(difference))))
    drift = growth = was = None
    if known.any():
        of_known = means if known.all() else ByPrompt(prompts[known])
        chosen, rejected = (after - before).T
        drift, growth = (of_known.mean(chosen), of_known.mean(rejected)), of_known.mean(chosen - rejected)
        was = _before(of_known, start[:, 0] - start[:, 1], right[known])
    return Pairs(
        accuracy=means.share(right),
        ties=int(np.count_nonzero(margins == 0)),
        margin=means.mean(margins),
        drift=drift,
        growth=growth,
        before=was,
        by_length={name: means.share(right, bins == name) for name in order},
        margins=margins,
        start_margins=start[:, 0] - start[:, 1] if known.any() else None,
        known=known,
        logp_margins=after[:, 0] - after[:, 1] if known.any() else None,
        start_logp_margins=before[:, 0] - before[:, 1] if known.any() else None,
        length_difference=difference,
        on_top=_on_top(run.rows) if run.of_lists else None,
    )


def _before(means: ByPrompt, margins: Array, right: Array) -> tuple[Share, Estimate] | None:
    """How often the margins before training were right, and the change since; nothing where all were 0."""
    if not margins.any():
        return None
    was = 0.5 * (1 + np.sign(margins))
    return means.share(was), means.mean(right - was)


def _on_top(rows: Sequence[record.Row]) -> Share:
    """How often an answer with the best rating has the highest reward, of lists whose ratings differ."""
    found = [
        float(
            max(reward for reward, score in zip(row.rewards, row.scores, strict=True) if score == row.scores[0])
            >= max(row.rewards)
        )
        for row in rows
        if row.scores and row.scores[0] > row.scores[-1]
    ]
    prompts = [row.prompt for row in rows if row.scores and row.scores[0] > row.scores[-1]]
    return ByPrompt(np.array(prompts)).share(np.array(found))


def answer_numbers(run: Run) -> Answers:
    """The numbers of a run on single answers."""
    desirable, undesirable = _by_label(run.rows, [row.rewards[0] for row in run.rows])
    known = [row for row in run.rows if row.start_rewards is not None]
    start = [row.start_rewards[0] for row in known if row.start_rewards is not None]
    before = _ranked(known, start) if any(start) else None
    means = student(desirable), student(undesirable)
    return Answers(desirable, undesirable, *means, _ranked(run.rows, [row.rewards[0] for row in run.rows]), before)


def _by_label(rows: Sequence[record.Row], values: Sequence[float]) -> tuple[Array, Array]:
    """The values of the desirable and of the undesirable answers."""
    good = np.array([bool(row.label) for row in rows], dtype=bool)
    return np.asarray(values)[good], np.asarray(values)[~good]


def _ranked(rows: Sequence[record.Row], rewards: Sequence[float]) -> Share | None:
    """How often a desirable answer has the higher reward; nothing where answers have one label."""
    prompts, others = (len({row.prompt for row in rows if bool(row.label) is label}) for label in (True, False))
    return higher_share(*_by_label(rows, rewards), (prompts, others)) if prompts and others else None


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


def rewards_of(name: str, rows: Sequence[record.Row]) -> Rewards:
    """The rewards of pairs as ``penchant evaluate`` takes them."""
    rewards = np.array([row.rewards for row in rows])
    return Rewards(name, rewards[:, 0], rewards[:, 1])


def moved(run: Run) -> Estimate | None:
    """The mean KL to the start, nats per token; its interval ends at 0, which a KL cannot pass."""
    found = student(run.facts.kl)
    return found and replace(found, low=max(found.low, 0.0))  # NaN stays NaN


def prompts_of(rows: Sequence[record.Row]) -> Array:
    """Equal numbers mark rows of one prompt."""
    return np.array([row.prompt for row in rows])
