"""From run folders to one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from penchant.errors import InputError
from penchant.report import record, text, words
from penchant.report.charts import Chart, answer_charts, pair_charts, training_charts
from penchant.report.compare import Comparison, compare, labels
from penchant.report.judged import Judged, comparisons_of
from penchant.report.numbers import Answers, Pairs, answer_numbers, pair_numbers
from penchant.report.read import Run, read_run

NAME = "report.html"
MOST_TABLE_ROWS = 500
MOST_TOKENS = 600
_SHADES = 5


@dataclass(frozen=True, slots=True)
class View:
    """A run as the template takes it."""

    id: str
    label: str
    run: Run
    title: str
    outcome: list[str]
    cards: list[words.Card]
    story: list[tuple[str, str, str | None]]
    curves: list[Chart]
    measured: list[Chart]
    alarms: list[tuple[record.Alarm, int]]
    beta: float | None
    table: tuple[list[str], list[list[str]], int]


def write_report(folders: Sequence[Path], output: Path | None = None, comparisons: Sequence[Path] = ()) -> Path:
    """One HTML file about one run or several; the path that was written.

    Args:
        folders: Run folders.
        output: The file; left out, ``report.html`` in the only folder.
        comparisons: Folders that ``penchant compare`` wrote; one in a run folder is found without being named.

    Raises:
        InputError: if a folder holds no run or comparison, a damaged one or a newer one, or the file cannot be written.
    """
    if not folders:
        raise InputError("no run folder is given", fix="Give the --output-dir of one training run or more")
    if output is None and len(folders) > 1:
        raise InputError("several runs need a name for their report", fix="Give --output FILE.html")
    target = output or folders[0] / NAME
    if target.suffix not in (".html", ".htm"):
        raise InputError("the report is an HTML file", where=str(target), fix="Give it a name that ends in .html")
    page = render([read_run(folder) for folder in folders], comparisons_of(folders, comparisons))
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"the report cannot be written: {error.strerror}", where=str(target)) from error
    return target


def render(runs: Sequence[Run], judged: Sequence[Judged] = ()) -> str:
    """The page."""
    numbers = [_numbers(run) for run in runs]
    names = labels(runs)
    views = [
        _view(f"r{index}", name, run, *found)
        for index, (name, run, found) in enumerate(zip(names, runs, numbers, strict=True), 1)
    ]
    comparison = compare(runs, [pairs for pairs, _ in numbers]) if len(runs) > 1 else None
    script, style = _script(), _style()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            views=views,
            comparison=comparison,
            judged=judged,
            heading=views[0].title if len(runs) == 1 else f"{len(runs)} runs",
            style=Markup(style),  # noqa: S704  # our own files
            script=Markup(script),  # noqa: S704
            data=_json_in_html([*_all_charts(views, comparison), *(one.chart for one in judged)]),
            policy=_policy(style, script),
        )
    )


def _numbers(run: Run) -> tuple[Pairs | None, Answers | None]:
    if not run.rows:
        return None, None
    return (pair_numbers(run), None) if run.rows[0].label is None else (None, answer_numbers(run))


def _view(id: str, label: str, run: Run, pairs: Pairs | None, answers: Answers | None) -> View:
    measured = pair_charts(run, pairs) if pairs else answer_charts(answers) if answers else []
    curves = training_charts(run)
    for chart in (*curves, *measured):
        chart["id"] = f"{id}-{chart['id']}"
    beta = run.facts.constants.get("beta")
    return View(
        id=id,
        label=label,
        run=run,
        title=words.title(run),
        outcome=words.outcome(run, pairs, answers),
        cards=words.cards(run, pairs, answers),
        story=words.story(run),
        curves=curves,
        measured=measured,
        alarms=_first_alarms(run),
        beta=float(beta) if isinstance(beta, int | float) and run.facts.reference else None,
        table=_table(run),
    )


def _first_alarms(run: Run) -> list[tuple[record.Alarm, int]]:
    """Each kind of alarm once, as it was first raised, with how often it was."""
    kinds: dict[str, list[record.Alarm]] = {}
    for alarm in run.alarms:
        kinds.setdefault(alarm.id, []).append(alarm)
    return [(same[0], len(same)) for same in kinds.values()]


def _table(run: Run) -> tuple[list[str], list[list[str]], int]:
    """Heads and cells of the log, and how many lines stand for one: all lines, or evenly spread ones."""
    heads = list(dict.fromkeys(name for line in run.log for name in line))
    every = max(1, -(-len(run.log) // MOST_TABLE_ROWS))
    shown = [line for index, line in enumerate(run.log) if index % every == 0 or index == len(run.log) - 1]
    return heads, [[f"{line[head]:.6g}" if head in line else "" for head in heads] for line in shown], every


def _all_charts(views: Sequence[View], comparison: Comparison | None) -> list[Chart]:
    return [chart for view in views for chart in (*view.curves, *view.measured)] + (
        comparison.charts if comparison else []
    )


@cache
def _environment() -> Environment:
    """Kept: compiling the templates takes longer than filling them."""
    environment = Environment(
        loader=PackageLoader("penchant.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = text.visible
    environment.filters["clipped"] = text.clipped
    environment.filters["number"] = text.number
    environment.filters["percent"] = text.percent
    environment.globals |= {"shown_tokens": shown_tokens, "row_scale": row_scale}
    return environment


def shown_tokens(answer: record.TokenAnswerFacts, scale: float) -> tuple[list[tuple[str, str, str]], int]:
    """Tokens as (text, shade, numbers), and how many are left out at the end.

    The shade is ``u1`` to ``u5`` for tokens that became more likely, ``d1`` to ``d5`` for less, and empty near 0.

    Args:
        answer: What is shown.
        scale: The log-ratio, in nats, of the darkest shade.
    """
    shown = []
    for token in answer.tokens[:MOST_TOKENS]:
        ratio = token.after - token.before
        strength = min(_SHADES, round(_SHADES * abs(ratio) / scale)) if scale > 0 else 0
        shade = f"{'u' if ratio > 0 else 'd'}{strength}" if strength else ""
        shown.append((text.token_text(token.text), shade, f"{token.before:.3f},{token.after:.3f}"))
    return shown, len(answer.tokens) - len(shown)


def _json_in_html(value: Any) -> Markup:
    """JSON that ends no script element: what HTML or JavaScript could take for more than text is written as numbers."""
    encoded = json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        encoded = encoded.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(encoded)  # noqa: S704  # escaped on the line above


def _finite(value: Any) -> Any:
    """The value with a gap for every number that is not one."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _asset(name: str) -> str:
    return files("penchant.report").joinpath("static", *name.split("/")).read_text(encoding="utf-8")


def _style() -> str:
    return _asset("uplot/uPlot.min.css") + "\n" + _asset("report.css")


def _script() -> str:
    return _asset("uplot/uPlot.iife.min.js") + "\n" + _asset("report.js")


def _policy(style: str, script: str) -> str:
    """What the page may do: run these two texts and nothing else, and ask nothing of any network."""
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    return f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:"


def row_scale(row: record.TokenRow) -> float:
    """The log-ratio of the darkest shade: what nineteen in twenty tokens of the row stay under, in nats."""
    sizes = sorted(abs(token.after - token.before) for answer in row.answers for token in answer.tokens)
    return sizes[int(0.95 * (len(sizes) - 1))] if sizes else 0.0
