"""Several runs side by side: a table, their curves in one chart, the reward-KL frontier, and paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penchant.evaluation.pairs import paired_test
from penchant.report.charts import Chart, over_steps
from penchant.report.numbers import Pairs, as_pairs, moved, prompts_of, rewards_of
from penchant.report.read import Run
from penchant.report.text import in_brief, number

TONES = ("chosen", "rejected", "good", "bad", "fifth", "ink")


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is said of several runs together."""

    heads: list[str]
    rows: list[list[str]]
    tests: list[str]
    notes: list[str]
    charts: list[Chart]


def compare(runs: Sequence[Run], numbers: Sequence[Pairs | None]) -> Comparison:
    """A comparison of at least two runs."""
    names = labels(runs)
    differing = _differing_constants(runs)
    heads = [
        "run",
        "method",
        *(["constants that differ"] if differing else []),
        "steps",
        "accuracy",
        "margin",
        "KL, nats per token",
        "chosen log-prob",
        "alarms",
    ]
    rows = [
        [name, run.facts.method.name, *([_constants(run, differing)] if differing else []), *_cells(run, pairs)]
        for name, run, pairs in zip(names, runs, numbers, strict=True)
    ]
    charts = [_frontier(runs, names, numbers), *_curves(runs, names)]
    return Comparison(heads, rows, _tests(runs, names), _notes(runs, names), [chart for chart in charts if chart])


def labels(runs: Sequence[Run]) -> list[str]:
    """A name for each run: its folder's, with a number where two are called alike."""
    names = [run.facts.name for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: index + 1].count(name)})"
        for index, name in enumerate(names)
    ]


def _differing_constants(runs: Sequence[Run]) -> list[str]:
    names = list(dict.fromkeys(name for run in runs for name in run.facts.constants))
    return [name for name in names if len({str(run.facts.constants.get(name)) for run in runs}) > 1]


def _constants(run: Run, names: Sequence[str]) -> str:
    own = run.facts.constants
    return ", ".join(f"{name} = {own[name]}" for name in names if name in own) or "–"


def _cells(run: Run, pairs: Pairs | None) -> list[str]:
    kl = moved(run)
    return [
        f"{run.steps:,}",
        "–" if pairs is None else f"{in_brief(pairs.accuracy)}{_fitted(run)}",
        "–" if pairs is None else str(pairs.margin),
        "–" if kl is None else str(kl),
        "–" if pairs is None or pairs.drift is None else str(pairs.drift[0]),
        str(len({alarm.id for alarm in run.alarms})),
    ]


def _fitted(run: Run) -> str:
    """A mark on numbers over rows that the run was trained on."""
    return " (trained on)" if run.rows_of == "training" else ""


def _frontier(runs: Sequence[Run], names: Sequence[str], numbers: Sequence[Pairs | None]) -> Chart | None:
    """Accuracy against KL: what a run bought, and what it paid. Runs that another beats on both are off the line."""
    points = []
    for name, run, pairs in zip(names, runs, numbers, strict=True):
        kl = moved(run)
        if pairs is not None and kl is not None:
            points.append((kl.value, pairs.accuracy, name, _fitted(run)))
    if len(points) < 2:
        return None
    points.sort(key=lambda point: (point[0], -point[1].value))
    x = [kl for kl, *_ in points]
    series: list[dict[str, Any]] = []
    best, line = -1.0, []
    for _, share, *_ in points:
        line.append(share.value if share.value > best else None)
        best = max(best, share.value)
    series.append({"label": "frontier", "tone": "ink", "dash": True, "line": True, "y": line})
    for index, (_, share, name, fitted) in enumerate(points):
        alone = [None] * len(points)
        column = {"y": share.value, "low": share.low, "high": share.high}
        filled = {key: [*alone[:index], value, *alone[index + 1 :]] for key, value in column.items()}
        series.append({"label": f"{name}{fitted}", "tone": TONES[names.index(name) % len(TONES)], **filled})
    words = "; ".join(f"{name}{fitted}: {in_brief(share)} at {number(kl)} nats" for kl, share, name, fitted in points)
    return {
        "id": "frontier", "title": "Reward accuracy against KL: the frontier", "kind": "whiskers", "share": True,
        "x_label": "KL to the start, nats per token", "x": x, "series": series, "levels": [[0.5, "coin"]],
        "alt": f"{words}.",
    }  # fmt: skip


def _curves(runs: Sequence[Run], names: Sequence[str]) -> list[Chart | None]:
    """One chart per metric with a line per run; the losses of different methods are not comparable and left out.

    What is not held out is of the rows of each step.
    """
    plans = [
        ("rewards/accuracies", "Reward accuracy"),
        ("rewards/margins", "Reward margin"),
        ("kl_per_token", "KL, nats per token"),
    ]
    if len({run.facts.method.name for run in runs}) == 1:
        plans.insert(0, ("loss", "Loss"))
    charts = []
    for key, title in plans:
        held_out = any(sum(f"eval_{key}" in line for line in run.log) > 1 for run in runs)  # one point is no curve
        wanted = f"eval_{key}" if held_out else key
        columns = {
            name: {line["step"]: line[wanted] for line in run.log if wanted in line}
            for name, run in zip(names, runs, strict=True)
        }
        lines = [(name, TONES[index % len(TONES)]) for index, name in enumerate(names) if columns[name]]
        extra = {"share": True, "levels": [[0.5, "coin"]]} if key == "rewards/accuracies" else {}
        rows = "held-out" if held_out else "rows trained on"
        shown = title if key == "kl_per_token" else f"{title}, {rows}"
        charts.append(over_steps(f"all-{key.replace('/', '-')}", shown, columns, lines, extra, dots=held_out))
    return charts


def _tests(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Each run against the first, on the rows that both measured."""
    first, found = runs[0], []
    if not first.rows or first.rows[0].label is not None:
        return []
    of_first = as_pairs(first)
    for name, run in zip(names[1:], runs[1:], strict=True):
        rows = as_pairs(run)
        if [row.source for row in rows] != [row.source for row in of_first]:
            found.append(f"{name} and {names[0]} were not measured on the same rows, so they are not tested.")
            continue
        if run.rows_of != first.rows_of:
            seen = name if run.rows_of == "training" else names[0]
            found.append(f"{name} and {names[0]} are not tested: of the two, {seen} alone was trained on the rows.")
            continue
        test = paired_test(rewards_of(names[0], of_first), rewards_of(name, rows), prompts_of(of_first))
        low, high = (100 * bound for bound in (test.difference.low, test.difference.high))
        interval = f"{low:+.1f} to {high:+.1f}" if low == low else "one prompt alone gives no interval"
        found.append(
            f"{name} against {names[0]}: {test.verdict}; {100 * test.difference.value:+.1f} points of accuracy "
            f"({interval}), {test.how}, {len(rows):,} pairs{_fitted(run)}."
        )
    return found


def _notes(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    notes = []
    fitted = [name for name, run in zip(names, runs, strict=True) if run.rows_of == "training" and run.rows]
    if fitted:
        notes.append(
            f"Measured on rows that were trained on: {', '.join(fitted)}. That says how well those were fitted and "
            "nothing about new ones, and does not compare with held-out rows: --eval-split 0.1 sets rows aside."
        )
    if len({run.facts.method.name for run in runs}) > 1:
        notes.append("The losses of different methods are not on one scale, and are not drawn together.")
    scales = {(run.facts.reference, run.facts.per_token, str(run.facts.constants.get("beta"))) for run in runs}
    if len(scales) > 1:
        notes.append(
            "Reward margins depend on beta and on the method's scale: compare them with care, accuracies freely."
        )
    if any(row.label is not None for run in runs for row in run.rows[:1]):
        notes.append("Runs on single answers have no accuracy of pairs: their own part says what they rank rightly.")
    if len({run.facts.facts.get("base model") for run in runs}) > 1:
        notes.append("The runs did not start from the same model.")
    return notes
