"""A method taken apart: its formula as named steps, each a small expression over the symbols and the steps before it.

The same steps are shown by ``penchant explain`` and bent by ``penchant check``: a fault is another expression for a
step. A test holds every anatomy to the catalogue's loss.

Symbols: pw, pl log-probs of chosen and rejected under the policy; rw, rl under the reference; m, n their lengths in
tokens; p, r, y log-prob under policy and reference and label of a single answer; z0 its baseline; x any real number.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType, MappingProxyType
from typing import Any

import numpy as np

from penchant.arrays import log_sigmoid, sigmoid

Symbols = Mapping[str, Any]
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Step:
    """One line on the whiteboard.

    Attributes:
        name: The symbol that the line defines.
        expression: What it is, as Python over symbols and earlier steps.
        text: The line as one writes it.
        meaning: What it is called.
        held: Whether it is a constant for the gradient, though it is computed from the policy.
    """

    name: str
    expression: str
    text: str
    meaning: str
    held: bool = False


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A formula as steps; the last one is the loss of a row."""

    name: str
    steps: tuple[Step, ...]

    def run(self, symbols: Symbols, changes: Mapping[str, str] = NOTHING) -> dict[str, Any]:
        """The value of every step, in float64; ``changes`` puts other expressions in the place of a step's."""
        values = dict(symbols)
        with np.errstate(all="ignore"):
            for step in self.steps:
                values[step.name] = evaluate(changes.get(step.name, step.expression), values)
        return values

    def loss(self, symbols: Symbols, changes: Mapping[str, str] = NOTHING) -> Any:
        return self.run(symbols, changes)[self.steps[-1].name]

    def line(self, name: str) -> str:
        """The line that defines a symbol."""
        return next(step.text for step in self.steps if step.name == name)


def evaluate(expression: str, values: Mapping[str, Any]) -> Any:
    """An expression of this package over NumPy values."""
    return eval(_compiled(expression), {"__builtins__": {}, **FUNCTIONS}, dict(values))  # noqa: S307 - our own text


@functools.cache
def _compiled(expression: str) -> CodeType:
    return compile(expression, "<formula>", "eval")


def log1mexp(x: Any) -> Any:
    """log(1 - e^x) for x < 0, accurate at both ends."""
    x = np.asarray(x, dtype=np.float64)
    near = np.minimum(x, -np.log(2.0))
    return np.where(x > -np.log(2.0), np.log(-np.expm1(x)), np.log1p(-np.exp(near)))


def log_softmax(x: Any) -> Any:
    """Log of the softmax over the last axis."""
    return x - np.logaddexp.reduce(x, axis=-1, keepdims=True)


FUNCTIONS = {
    "log_sigmoid": log_sigmoid,
    "sigmoid": sigmoid,
    "log1mexp": log1mexp,
    "where": np.where,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "exp": np.exp,
    "abs": np.abs,
    "log": np.log,
    # over the answers of a list, or over the rows of a batch: the last axis
    "mean": lambda x: np.mean(x, axis=-1),
    "total": lambda x: np.sum(x, axis=-1),
    "share": lambda x: 1.0 / np.shape(x)[-1],
    "sort": lambda x: np.sort(x, axis=-1),
    "softmax": lambda x: np.exp(log_softmax(x)),
    "log_softmax": log_softmax,
    "log_sum_from": lambda x: np.logaddexp.accumulate(x[..., ::-1], axis=-1)[..., ::-1],
    "gaps": lambda x: x[..., :, None] - x[..., None, :],
    "each": lambda x: x[..., :, None],
    "across": lambda x: x[..., None, :],
    "but_last": lambda x: x[..., :-1],
    "last": lambda x: x[..., -1],
    "least": lambda x: np.min(x, axis=-1, keepdims=True),
    "ranks": lambda x: 1.0 + np.argsort(np.argsort(-x, axis=-1, kind="stable"), axis=-1),
    "best": lambda x, by: np.take_along_axis(x, np.argmax(by, axis=-1)[..., None], axis=-1)[..., 0],
}

_RATIOS = (
    Step("a", "pw - rw", "a = log π(y_w) - log π_ref(y_w)", "log-ratio of the chosen answer"),
    Step("b", "pl - rl", "b = log π(y_l) - log π_ref(y_l)", "log-ratio of the rejected answer"),
    Step("delta", "a - b", "Δ = a - b", "how much more the policy prefers the chosen answer than the reference does"),
)
_PER_TOKEN = (
    Step("cw", "pw / m", "p̄_w = log π(y_w) / |y_w|", "log-prob per token of the chosen answer"),
    Step("cl", "pl / n", "p̄_l = log π(y_l) / |y_l|", "log-prob per token of the rejected answer"),
)

ANATOMIES = {
    anatomy.name: anatomy
    for anatomy in (
        Anatomy("log_sigmoid", (Step("out", "log_sigmoid(x)", "log σ(x) = -log(1 + e^-x)", "log of the sigmoid"),)),
        Anatomy(
            "dpo",
            (
                *_RATIOS,
                Step("z", "beta * delta", "z = β·Δ", "the margin, scaled by the strength of the pull"),
                Step("good", "log_sigmoid(z)", "log σ(z)", "log-probability that the chosen answer wins"),
                Step("bad", "log_sigmoid(-z)", "log σ(-z)", "the same for the flipped label"),
                Step("mix", "(1 - eps) * good + eps * bad", "(1 - ε) log σ(z) + ε log σ(-z)", "ε is 0 unless given"),
                Step("loss", "-mix", "L = -log σ(z)", "the loss of the pair"),
            ),
        ),
        Anatomy(
            "ipo",
            (
                *_RATIOS,
                Step("target", "1 / (2 * beta)", "target = 1 / (2β)", "the margin to reach, in nats"),
                Step("gap", "delta - target", "gap = Δ - target", "how far the margin is from it"),
                Step("loss", "gap ** 2", "L = gap²", "the loss of the pair"),
            ),
        ),
        Anatomy(
            "kto",
            (
                Step("ratio", "p - r", "r = log π(y) - log π_ref(y)", "log-ratio of the answer"),
                Step("gap", "ratio - z0", "r - z_ref", "how far it is above the baseline"),
                Step("gain", "beta * gap", "β(r - z_ref)", "the same, scaled"),
                Step("up", "gain", "u = +β(r - z_ref) if desirable", "a desirable answer wants to be above"),
                Step("down", "-gain", "u = -β(r - z_ref) if undesirable", "an undesirable answer wants to be below"),
                Step("u", "where(y, up, down)", "u by the label", "the gain of the answer"),
                Step("value", "sigmoid(-u)", "1 - σ(u)", "what is missing to the full value"),
                Step("weight", "where(y, wd, wu)", "λ_D or λ_U", "weight of the label"),
                Step("loss", "weight * value", "L = λ(1 - σ(u))", "the loss of the answer"),
            ),
        ),
        Anatomy(
            "simpo",
            (
                *_PER_TOKEN,
                Step("delta", "cw - cl", "Δ = p̄_w - p̄_l", "difference of the log-probs per token"),
                Step("scaled", "beta * delta", "β·Δ", "difference of the rewards"),
                Step("z", "scaled - gamma", "z = β·Δ - γ", "what is left over the target margin"),
                Step("good", "log_sigmoid(z)", "log σ(z)", "log-probability that the chosen answer wins by γ"),
                Step("loss", "-good", "L = -log σ(z)", "the loss of the pair"),
            ),
        ),
        Anatomy(
            "orpo",
            (
                *_PER_TOKEN,
                Step("ow", "cw - log1mexp(cw)", "log odds_w = p̄_w - log(1 - e^p̄_w)", "log-odds of the chosen answer"),
                Step("ol", "cl - log1mexp(cl)", "log odds_l = p̄_l - log(1 - e^p̄_l)", "log-odds of the rejected answer"),
                Step("z", "ow - ol", "z = log odds_w - log odds_l", "log of the odds ratio"),
                Step("good", "log_sigmoid(z)", "log σ(z)", "its log-sigmoid"),
                Step("term", "-good", "L_OR = -log σ(z)", "the odds-ratio term"),
                Step("nll", "-cw", "L_SFT = -p̄_w", "fine-tuning on the chosen answer"),
                Step("loss", "nll + lam * term", "L = L_SFT + λ·L_OR", "the loss of the pair"),
            ),
        ),
    )
}
