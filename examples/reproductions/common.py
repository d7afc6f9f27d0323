"""What the reproductions share: numbers beside the theory's, small tabular policies, and a table and a figure at the
end.

Each file is one command and one function, ``reproduce(fast)``: it returns numbers, each with the theory's where there
is one and with how near it has to be, and a way to draw them. ``fast`` does the same with less sampling, for the
tests.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
RESULTS = Path(__file__).parent / "results"
COLOURS = ("#2a7de1", "#d9632a", "#2f9e62", "#a05ad6", "#c0a000")


@dataclass(frozen=True)
class Number:
    """A measured number; with ``theory``, it must lie ``within`` that distance of it."""

    what: str
    measured: float
    theory: float | None = None
    within: float | None = None

    @property
    def holds(self) -> bool:
        if self.theory is None:
            return math.isfinite(self.measured)
        assert self.within is not None, self.what
        return abs(self.measured - self.theory) <= self.within


@dataclass(frozen=True)
class Outcome:
    """What a reproduction found; ``draw`` fills a matplotlib figure."""

    numbers: Sequence[Number]
    draw: Callable[[Any], None]


def log_softmax(logits: Array) -> Array:
    """Log-probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def to_logits(slopes: Array, log_policy: Array) -> Array:
    """The chain rule: derivatives by log-probabilities become derivatives by the logits behind them."""
    return slopes - np.exp(log_policy) * slopes.sum(axis=-1, keepdims=True)


def kl(log_p: Array, log_q: Array) -> float:
    """KL(p, q) in nats."""
    return float((np.exp(log_p) * (log_p - log_q)).sum())


def minimise(loss: Callable[[Array], tuple[float, Array]], start: Array, bound: float | None = None) -> Array:
    """The minimum of a function that returns its value and gradient.

    Raises:
        RuntimeError: if it was not found.
    """
    from scipy.optimize import minimize

    bounds = None if bound is None else [(-bound, bound)] * start.size
    options = {"maxiter": 5000, "ftol": 0.0, "gtol": 0.0} if bounds else {"gtol": 1e-9, "maxiter": 5000}
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B" if bounds else "BFGS", options=options)
    if not found.success and np.abs(found.jac).max() > 1e-6:
        raise RuntimeError(str(found.message))
    return np.asarray(found.x)


def adam(step: Callable[[Array], Array], start: Array, rate: float, steps: int) -> Array:
    """``steps`` steps of Adam with the gradient that ``step`` returns."""
    point, mean, square = start.astype(float), np.zeros(start.shape), np.zeros(start.shape)
    for count in range(1, steps + 1):
        slope = step(point)
        mean += 0.1 * (slope - mean)
        square += 0.001 * (slope**2 - square)
        point = point - rate * (mean / (1 - 0.9**count)) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
    return point


def main(reproduce: Callable[[bool], Outcome]) -> None:
    """Run one reproduction: print its table, write numbers and figure; exit code 1 if a number is not the theory's."""
    parser = argparse.ArgumentParser(description=sys.modules[reproduce.__module__].__doc__)
    parser.add_argument("--fast", action="store_true", help="less sampling; nothing is written")
    fast = parser.parse_args().fast
    started = time.perf_counter()
    outcome = reproduce(fast)
    seconds = time.perf_counter() - started
    for number in outcome.numbers:
        print(line(number))
    if not fast:
        save(Path(sys.argv[0]).stem, outcome, seconds)
    if not all(number.holds for number in outcome.numbers):
        sys.exit(1)


def line(number: Number) -> str:
    if number.theory is None:
        return f"{number.what}: {number.measured:.6g}"
    verdict = "" if number.holds else "   <- NOT within"
    return f"{number.what}: {number.measured:.6g}, theory {number.theory:.6g} +- {number.within:.2g}{verdict}"


def save(name: str, outcome: Outcome, seconds: float) -> None:
    """Numbers as JSON and the figure as SVG, under results/."""
    import matplotlib
    from matplotlib.figure import Figure

    style = {"svg.fonttype": "none", "svg.hashsalt": name, "axes.prop_cycle": matplotlib.cycler(color=COLOURS)}
    style |= {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.2}
    RESULTS.mkdir(exist_ok=True)
    with matplotlib.rc_context({**style, "legend.frameon": False, "font.size": 10}):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        outcome.draw(figure)
        figure.savefig(RESULTS / f"{name}.svg", transparent=True, metadata={"Date": None})
    rows = [vars(number) for number in outcome.numbers]
    text = json.dumps({"seconds": round(seconds, 1), "numbers": rows}, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
