"""Where a formula that is right in ordinary numbers breaks: large margins, small probabilities, coarse floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from penchant.whiteboard.anatomy import Anatomy
from penchant.whiteboard.bench import Bench
from penchant.whiteboard.inputs import Rows, take
from penchant.whiteboard.matching import Match, changes_of
from penchant.whiteboard.verdict import Example, Finding

_SIZES = (
    1.0,
    3.0,
    10.0,
    20.0,
    30.0,
    45.0,
    60.0,
    80.0,
    100.0,
    150.0,
    250.0,
    400.0,
    600.0,
    800.0,
    1500.0,
    4000.0,
    15000.0,
)
_NEAR = tuple(10.0**-k for k in range(2, 18))
_ANSWER = "Use the library's log-sigmoid (torch.nn.functional.logsigmoid, jax.nn.log_sigmoid) or -np.logaddexp(0, -z)."


@dataclass(frozen=True)
class Walk:
    """A line of inputs towards an extreme: ``place`` gives the symbols at a distance."""

    place: Callable[[float], dict[str, float]]
    distances: tuple[float, ...]
    kind: str


@dataclass(frozen=True)
class Break:
    """Where the function left the formula."""

    walk: Walk
    distance: float
    rows: Rows
    expected: float
    got: float | str


def walks(match: Match) -> Iterator[Walk]:
    """The extremes that matter for a formula."""
    if "x" in match.subject.forms[0]:
        yield Walk(lambda s: {"x": -s}, _SIZES, "margin")
        yield Walk(lambda s: {"x": s}, _SIZES, "margin")
        return
    shift = {"pw": 0.5, "pl": -0.25, "rw": 0.0, "rl": 0.0, "p": 0.5, "r": 0.0}
    yield Walk(lambda s: {name: value - 20.0 - s for name, value in shift.items()}, _SIZES, "small")
    for name in ("pw", "pl", "rw", "rl") if match.subject.paired else ("p", "r"):
        yield Walk(partial(_lowered, name), _SIZES, "margin")
    if _has(match, "log1mexp"):
        yield Walk(lambda s: {"pw": -10.0 * s, "pl": -20.0}, _NEAR, "certain")
        yield Walk(lambda s: {"pl": -10.0 * s, "pw": -20.0}, _NEAR, "certain")


def _lowered(name: str, distance: float) -> dict[str, float]:
    return {name: -20.0 - distance}


def extreme_findings(bench: Bench, match: Match) -> list[Finding]:
    """Everything that breaks on the way to the extremes, once per kind."""
    found: dict[str, Finding] = {}
    here = Walk(lambda _: {}, (0.0,), "margin")
    if _at(bench, match, here, 0.0, "float64") is not None:  # a single row has no loss of its own
        return []
    for walk in walks(match):
        if "probability-space" in found and walk.kind == "margin":
            continue
        breaks = {dtype: _first_break(bench, match, walk, dtype) for dtype in ("float64", "float32")}
        if bench.runner.library == "python":
            breaks["float32"] = None
        broken = breaks["float64"] or breaks["float32"]
        if broken is None:
            continue
        finding = _finding(bench, match, broken, breaks)
        found.setdefault(finding.code, finding)
    if "naive-log-sigmoid" in found:
        found.pop("exp-overflow", None)
    return list(found.values())


def base_rows(bench: Bench) -> Rows:
    """One plain row: all log-probs -20, ten tokens, no baseline, constants of 1 where they are free."""
    flat: dict[str, Any] = dict.fromkeys(("pw", "pl", "rw", "rl", "p", "r"), -20.0)
    rows = bench.rows(1, **flat, m=10.0, n=10.0, y=True, z0=0.0)
    ones = {name: np.ones(1) for name in ("beta", "lam", "wd", "wu") if name in bench.free}
    zeros = {name: np.zeros(1) for name in ("eps", "gamma") if name in bench.free}
    return rows | ones | zeros


def _first_break(bench: Bench, match: Match, walk: Walk, dtype: str) -> Break | None:
    last = 0.0
    for distance in walk.distances:
        broken = _at(bench, match, walk, distance, dtype)
        if broken is not None:
            return _narrow(bench, match, walk, dtype, last, broken)
        last = distance
    return None


def _narrow(bench: Bench, match: Match, walk: Walk, dtype: str, low: float, broken: Break) -> Break:
    for _ in range(14 if walk.kind != "certain" else 0):
        middle = (low + broken.distance) / 2
        if abs(broken.distance - low) < 0.01:
            break
        found = _at(bench, match, walk, middle, dtype)
        low, broken = (middle, broken) if found is None else (low, found)
    return broken


def _at(bench: Bench, match: Match, walk: Walk, distance: float, dtype: str) -> Break | None:
    rows = base_rows(bench)
    for name, value in walk.place(distance).items():
        rows[name] = np.array([float(np.float32(value))])
    expected = float(match.predict(rows)[0])
    if not np.isfinite(expected) or abs(expected) > 1e30 or (walk.kind == "small" and abs(expected) > 40):
        return None
    reply = bench.call(take(rows, 0), dtype)
    if "error" in reply:
        return Break(walk, distance, rows, expected, reply["error"]["type"])
    result = np.asarray(reply["value"], dtype=np.float64)
    got = float(result.flat[0]) if result.size else float("nan")
    allowed = 4e-3 * max(0.25, abs(expected))
    return None if abs(got - expected) <= allowed else Break(walk, distance, rows, expected, got)


def _has(match: Match, function: str) -> bool:
    formula = match.subject.formula
    if not isinstance(formula, Anatomy):
        return False
    changes = changes_of(match.faults)
    return any(function in changes.get(step.name, step.expression) for step in formula.steps)


def _finding(bench: Bench, match: Match, broken: Break, breaks: dict[str, Break | None]) -> Finding:
    expected = float(Match(match.subject, fixed=match.fixed).predict(broken.rows)[0])
    example = Example(bench.inputs(take(broken.rows, 0)), expected, broken.got)
    where = " and ".join(f"{_where(match, b)} in {dtype}" for dtype, b in breaks.items() if b is not None)
    kind = broken.walk.kind
    if kind == "certain":
        sentence = f"the log-odds are inaccurate when a probability is near 1: from {where}"
        hint = "What is 1 - exp(p) when exp(p) rounds to 1?"
        return Finding(
            "log-odds-unstable", sentence, True, "log odds = p̄ - log(1 - e^p̄)", hint, "Take log(-expm1(p̄)).", example
        )
    if kind == "small":
        sentence = f"it works with probabilities, and exp of a summed log-prob is 0: from {where}"
        hint = "A log-prob of -800 is ordinary for a long answer. What is its exp?"
        return Finding(
            "probability-space",
            sentence,
            True,
            "log(π / π_ref) = log π - log π_ref",
            hint,
            "Subtract log-probs; never take exp of one.",
            example,
        )
    if isinstance(broken.got, float) and np.isfinite(broken.got):
        sentence = (
            f"the loss stops growing: something is clipped, or a small number is added inside the log, from {where}"
        )
        hint = "What slope has the loss of a pair that is very wrong?"
        return Finding("clipped", sentence, True, "log σ(z) = min(z, 0) - log(1 + e^-|z|)", hint, _ANSWER, example)
    growing = abs(broken.expected) > 5
    if growing and (_has(match, "log_sigmoid") or not isinstance(match.subject.formula, Anatomy)):
        cause = "e^-z overflows, or σ(z) is 0 before its logarithm is taken"
        sentence = f"log σ(z) is not taken in one piece: {cause}: {broken.got} from {where}"
        return Finding(
            "naive-log-sigmoid",
            sentence,
            True,
            "log σ(z)",
            "What is exp(800) in floating point? What is sigmoid(-800), and its log?",
            _ANSWER,
            example,
        )
    sentence = f"exp overflows: {broken.got} from {where}"
    return Finding("exp-overflow", sentence, True, "σ(z) = 1 / (1 + e^-z)", "What is exp(800)?", _ANSWER, example)


def _where(match: Match, broken: Break) -> str:
    """The margin at which it broke, where the formula has one."""
    formula = match.subject.formula
    if broken.walk.kind == "certain":
        return f"log-prob per token {-broken.distance:g}"
    if broken.walk.kind == "small":
        return f"log-probs of {-20 - broken.distance:.4g}"
    if isinstance(formula, Anatomy):
        values = formula.run(broken.rows, changes_of(match.faults))
        for name in ("z", "u", "x"):
            if name in values:
                return f"{name} = {float(np.asarray(values[name]).flat[0]):.4g}"
    return f"a difference of {broken.distance:.4g}"
