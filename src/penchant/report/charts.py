"""Charts as data for the page's charting library, each with a sentence that says what it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penchant.evaluation.statistics import Share
from penchant.records import Array
from penchant.report.numbers import Answers, Pairs, correlation
from penchant.report.read import Run
from penchant.report.text import in_brief, number, percent

Chart = dict[str, Any]
MOST_POINTS, MOST_SCATTERED, _BINS = 1000, 1500, 40
_SMOOTHED_FROM = 40


def training_charts(run: Run) -> list[Chart]:
    """Metrics over the steps, those that the log has."""
    noise = run.facts.noise
    floor = None if noise is None or run.facts.per_token else noise.nats * _scale(run)
    plans: list[tuple[str, str, Sequence[tuple[str, str, str]], Mapping[str, Any]]] = [
        ("loss", "Loss", [("loss", "loss", "ink")], {"levels": _landmark(run)}),
        ("margins", "Reward margin", [("rewards/margins", "margin", "good")], {"noise": floor, "levels": [[0, ""]]}),
        (
            "accuracy",
            "Reward accuracy",
            [("rewards/accuracies", "accuracy", "good")],
            {"share": True, "levels": [[0.5, "coin"]]},
        ),
        (
            "rewards",
            "Rewards",
            [("rewards/chosen", "chosen", "chosen"), ("rewards/rejected", "rejected", "rejected")],
            {"noise": floor, "levels": [[0, ""]]},
        ),
        (
            "logps",
            "Log-probs of answers, nats",
            [("logps/chosen", "chosen", "chosen"), ("logps/rejected", "rejected", "rejected")],
            {},
        ),
        ("kl", "KL to the start, nats per token", [("kl_per_token", "KL", "ink")], {"zero": True}),
        ("baseline", "KL estimate of the loss (its baseline), nats", [("kl", "z_ref", "ink")], {"zero": True}),
        ("gradient", "Gradient norm", [("grad_norm", "gradient norm", "ink")], {"zero": True}),
        ("rate", "Learning rate", [("learning_rate", "learning rate", "ink")], {"zero": True}),
    ]
    charts = [_of_run(run, name, title, lines, extra) for name, title, lines, extra in plans]
    return [chart for chart in charts if chart]


def _scale(run: Run) -> float:
    beta = run.facts.constants.get("beta", 1.0)
    return float(beta) if isinstance(beta, int | float) else 1.0


def _landmark(run: Run) -> list[list[Any]]:
    """Where the loss starts, for methods that everybody knows the number of."""
    return [[math.log(2), "log 2"]] if run.facts.method.name in ("dpo", "cdpo", "rdpo") else []


def _of_run(
    run: Run, name: str, title: str, lines: Sequence[tuple[str, str, str]], extra: Mapping[str, Any]
) -> Chart | None:
    """Metrics of one run: training and held-out, and a smoothed line where there are many steps."""
    columns: dict[str, dict[float, float]] = {}
    series: list[Chart] = []
    for key, label, tone in lines:
        trained, held_out = _column(run, key), _column(run, f"eval_{key}")
        many = len(trained) >= _SMOOTHED_FROM
        if trained:
            columns[label] = trained
            series.append({"label": label, "tone": tone, "thin": many})
        if many:
            columns[f"{label}, smoothed"] = _smoothed(trained)
            series.append({"label": f"{label}, smoothed", "tone": tone})
        if held_out:
            columns[f"{label}, held-out"] = held_out
            series.append({"label": f"{label}, held-out", "tone": tone, "dash": True, "dots": True})
    if not columns:
        return None
    chart = _lines(name, title, columns, series, extra) | {"sync": True}
    chart["marks"] = _marks(run)
    if extra.get("noise"):
        chart["alt"] += f" The shaded band, ±{number(extra['noise'])}, is rounding of the weights' type."
    return chart


def _marks(run: Run) -> list[tuple[float, str]]:
    """The alarms by step; those from before the first log line stand there."""
    ids: dict[float, set[str]] = {}
    for alarm in run.alarms:
        ids.setdefault(max(alarm.step, run.log[0]["step"]), set()).add(alarm.id)
    return [(step, ", ".join(sorted(found))) for step, found in sorted(ids.items())]


def over_steps(
    name: str,
    title: str,
    columns: Mapping[str, Mapping[float, float]],
    lines: Sequence[tuple[str, str]],
    extra: Mapping[str, Any],
    *,
    dots: bool,
) -> Chart | None:
    """One line for each (label, tone) over the steps; nothing without any."""
    if not lines:
        return None
    kept = {label: columns[label] for label, _ in lines}
    chart = _lines(name, title, kept, [{"label": label, "tone": tone, "dots": dots} for label, tone in lines], extra)
    return chart | {"alt": f"{_trend(kept)}."}  # labels are the runs' names here, and keep their case


def _lines(
    name: str,
    title: str,
    columns: Mapping[str, Mapping[float, float]],
    series: Sequence[Chart],
    extra: Mapping[str, Any],
) -> Chart:
    steps = _thinned(columns)
    drawn = [one | {"y": [_drawn(columns[one["label"]].get(step)) for step in steps]} for one in series]
    chart: Chart = {"id": name, "title": title, "kind": "lines", "x_label": "step", "x": steps, "series": drawn}
    words = _trend(columns)
    return (
        chart
        | {"alt": f"{words[:1].upper()}{words[1:]}."}
        | {key: value for key, value in extra.items() if value not in (None, [])}
    )


def _column(run: Run, key: str) -> dict[float, float]:
    return {line["step"]: line[key] for line in run.log if key in line}


def _drawn(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _smoothed(column: Mapping[float, float]) -> dict[float, float]:
    """The mean of the finite values in a window of a twentieth of the run; a gap where a value itself is not finite."""
    values = np.array(list(column.values()), dtype=float)
    finite = np.isfinite(values)
    half, places = max(2, len(values) // 40), np.arange(len(values))
    windows = np.stack([np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))], axis=1).ravel()

    def sums(of: Array) -> Array:
        # window by window: a difference of running sums loses all digits after one huge value
        return np.add.reduceat(np.append(of, 0.0), windows)[::2]

    means = sums(np.where(finite, values, 0.0)) / np.maximum(sums(finite.astype(float)), 1.0)
    return dict(zip(column, np.where(finite, means, np.nan).tolist(), strict=True))


def _thinned(columns: Mapping[str, Mapping[float, float]]) -> list[float]:
    """The steps that are drawn: all of them, or of each stretch those with the extremes of every column."""
    steps = sorted({step for column in columns.values() for step in column})
    if len(steps) <= MOST_POINTS:
        return steps
    stretch = math.ceil(len(steps) / (MOST_POINTS / (2 * len(columns))))
    kept = {steps[0], steps[-1]}
    for start in range(0, len(steps), stretch):
        part = steps[start : start + stretch]
        for column in columns.values():
            present = [step for step in part if step in column and math.isfinite(column[step])]
            if present:
                kept |= {min(present, key=column.__getitem__), max(present, key=column.__getitem__)}
    return sorted(kept)


def _trend(columns: Mapping[str, Mapping[float, float]]) -> str:
    """Where each curve starts and ends."""
    parts = []
    for label, column in columns.items():
        if label.endswith(", smoothed"):
            continue
        steps = list(column)
        first, last = column[steps[0]], column[steps[-1]]
        if len(steps) == 1:
            parts.append(f"{label} {number(last)} at step {steps[0]:,.0f}")
        else:
            parts.append(
                f"{label} from {number(first)} at step {steps[0]:,.0f} to {number(last)} at step {steps[-1]:,.0f}"
            )
    return "; ".join(parts)


def pair_charts(run: Run, pairs: Pairs) -> list[Chart]:
    """Histograms before and after, accuracy by length difference, and margins against it."""
    charts = []
    start = pairs.start_margins if pairs.start_margins is not None and np.any(pairs.start_margins) else None
    charts.append(_histogram("reward-margins", "Reward margins", "margin", pairs.margins, start))
    if start is None and pairs.start_margins is not None:
        charts[0]["levels_x"] = [[0, "before: all 0"]]
    if pairs.logp_margins is not None:
        charts.append(
            _histogram(
                "logp-margins", "Log-prob margins, nats", "margin, nats", pairs.logp_margins, pairs.start_logp_margins
            )
        )
    if len(pairs.by_length) > 1:
        charts.append(_by_length(pairs.by_length, "better rated" if run.of_lists else "chosen"))
    if len(pairs.margins) > 2:
        charts.append(_scatter(pairs))
    return charts


def answer_charts(answers: Answers) -> list[Chart]:
    """Rewards of desirable and undesirable answers."""
    edges = _edges(np.concatenate([answers.desirable, answers.undesirable]))
    series = [
        {"label": "desirable", "tone": "chosen", "fill": True, "y": _counts(answers.desirable, edges)},
        {"label": "undesirable", "tone": "rejected", "fill": True, "y": _counts(answers.undesirable, edges)},
    ]
    alt = f"Rewards of {len(answers.desirable):,} desirable and {len(answers.undesirable):,} undesirable answers."
    return [
        {
            "id": "answer-rewards",
            "title": "Rewards by label",
            "kind": "steps",
            "x_label": "reward",
            "x": edges.tolist(),
            "series": series,
            "zero": True,
            "alt": alt,
        }
    ]


def _histogram(name: str, title: str, x_label: str, after: Array, before: Array | None) -> Chart:
    edges = _edges(after if before is None else np.concatenate([after, before]))
    series = [{"label": "after", "tone": "good", "fill": True, "y": _counts(after, edges)}]
    if before is not None:
        series.insert(0, {"label": "before", "tone": "ink", "fill": True, "y": _counts(before, edges)})
    alt = f"After training half of {len(after):,} pairs lie above {number(float(np.median(after)))}"
    alt += f", before it above {number(float(np.median(before)))}" if before is not None else ""
    alt += f"; {percent(float((after > 0).mean()))} are above 0 after"
    alt += f", {percent(float((before > 0).mean()))} before" if before is not None else ""
    return {
        "id": name,
        "title": title,
        "kind": "steps",
        "x_label": x_label,
        "x": edges.tolist(),
        "series": series,
        "zero": True,
        "levels_x": [[0, ""]],
        "alt": f"{alt}.",
    }


def _edges(values: Array) -> Array:
    """Edges of bins of a round width, 0 among them; the outermost hundredth at most shares the end bins."""
    low, high = (float(value) for value in np.quantile(values, [0.005, 0.995]))
    width = max(high - low, abs(high) * 1e-6, 1e-9) / min(_BINS, max(5, math.isqrt(len(values)) * 2))
    scale = 10.0 ** math.floor(math.log10(width))
    width = scale * next(step for step in (1, 2, 5, 10) if step * scale >= width * (1 - 1e-9))
    return np.round(np.arange(math.floor(low / width), math.ceil(high / width) + 2) * width, 12)


def _counts(values: Array, edges: Array) -> list[int]:
    counts = np.histogram(np.clip(values, edges[0], edges[-2]), edges)[0]
    return [*counts.tolist(), 0]


def _by_length(bins: Mapping[str, Share], which: str) -> Chart:
    labels = [f"{name} (n = {share.n:,})" for name, share in bins.items()]
    shares = list(bins.values())
    words = "; ".join(f"{name}: {in_brief(share)}" for name, share in bins.items())
    return {
        "id": "by-length",
        "title": f"Accuracy by how many tokens longer the {which} answer is",
        "kind": "whiskers",
        "share": True,
        "x_label": f"{which} longer by",
        "x": list(range(len(bins))),
        "names": labels,
        "levels": [[0.5, "coin"]],
        "series": [
            {
                "label": "accuracy",
                "tone": "good",
                "y": [share.value for share in shares],
                "low": [share.low for share in shares],
                "high": [share.high for share in shares],
            }
        ],
        "alt": f"With 95 % intervals: {words}.",
    }


def _scatter(pairs: Pairs) -> Chart:
    count = len(pairs.margins)
    chosen = (
        np.arange(count)
        if count <= MOST_SCATTERED
        else np.random.default_rng(0).choice(count, MOST_SCATTERED, replace=False)
    )
    order = chosen[np.argsort(pairs.length_difference[chosen], kind="stable")]
    found = correlation(pairs.length_difference, pairs.margins)
    drawn = f"{len(order):,} of {count:,} pairs drawn; the correlation is over all. " if len(order) < count else ""
    return {
        "id": "length-scatter",
        "title": "Reward margin against length difference",
        "kind": "points",
        "x_label": "tokens longer",
        "x": pairs.length_difference[order].tolist(),
        "levels": [[0, ""]],
        "series": [
            {"label": "margin", "tone": "good", "y": [_drawn(value) for value in pairs.margins[order].tolist()]}
        ],
        "alt": f"{drawn}The correlation of margin and length difference is {number(found, 2)}.",
    }
