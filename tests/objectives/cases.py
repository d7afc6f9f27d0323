"""What is proven: every published loss beside the oracle's, with constants and points to try."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from objectives import rows
from objectives.golden import CANCELLING

from penchant import numpy as oracle
from penchant import vocabulary
from penchant.objectives import LOSSES
from penchant.vocabulary import TERMS, Shape


@dataclass(frozen=True)
class Objective:
    """One published loss beside the oracle's loss and closed-form derivative."""

    loss: Callable[..., Any]

    @property
    def name(self) -> str:
        return self.loss.__name__.removesuffix("_loss")

    @property
    def terms(self) -> list[str]:
        return [name for name in inspect.signature(self.loss).parameters if name in TERMS]

    @property
    def constants(self) -> list[str]:
        return [name for name in inspect.signature(self.loss).parameters if name in vocabulary.CONSTANTS]

    @property
    def steep(self) -> tuple[int, ...]:
        """The inputs with a slope, by position."""
        return tuple(i for i, name in enumerate(self.terms) if TERMS[name].gradient)

    @property
    def couples_rows(self) -> bool:
        return "reduction" not in inspect.signature(self.loss).parameters

    @property
    def slope_floor(self) -> float:
        """The absolute error of a slope: it is a difference of shares of up to 1 where answers or rows compete."""
        if self.name in CANCELLING:
            return 1e-14
        competes = self.couples_rows or any(TERMS[name].shape is Shape.LIST for name in self.terms)
        return 1e-14 if competes else 1e-300

    @property
    def unreduced(self) -> dict[str, str]:
        """The options that leave a loss per row, where there is one."""
        return {} if self.couples_rows else {"reduction": "none"}

    @property
    def true_loss(self) -> Callable[..., Any]:
        return getattr(oracle, f"{self.name}_loss")

    @property
    def true_slopes(self) -> Callable[..., tuple[Any, ...]]:
        return getattr(oracle, f"{self.name}_grad")


OBJECTIVES = [Objective(loss) for loss in LOSSES.values()]


_INF = float("-inf")
EDGES: dict[str, tuple[tuple[tuple[float, ...], ...], dict[str, Any]]] = {
    "dpo": (((-1.0,), (_INF,), (-1.0,), (-2.0,)), {}),
    "robust_dpo": (((1.0,), (_INF,)), {"label_smoothing": 0.0}),
    "hinge": (((1.0,), (_INF,)), {}),
    "squared_hinge": (((1.0,), (_INF,)), {}),
    "minor_dpo": (((1.0,), (_INF,)), {}),
    "repo": (((-1.0,), (_INF,), (1,), (1,)), {}),
    "slic": (((-1.0,), (_INF,)), {}),
    "orpo": (((-2.0, -3.0, -800.0), (-4.0, 0.0, 0.0), (2, 2, 2), (2, 2, 2)), {}),
    "f_dpo": (((-1000.0, -998.0, -1000.0), (-998.0, -1000.0, -1000.0)), {"alpha": 1.0}),
}
"""Points where a formula has a value that a careless one misses: impossible answers, certain ones, overflow."""


def variants() -> list[tuple[str, dict[str, Any]]]:
    """Losses with constants to try: each combination of constants and words that golden rows name, once."""
    found: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
    for row in rows.ROWS:
        if row.function in LOSSES:
            words = sorted(
                f"{name}={value}" if isinstance(value, str) else name for name, value in row.constants.items()
            )
            found.setdefault((row.function, *words), (row.function.removesuffix("_loss"), row.constants))
    return list(found.values())


ANSWERS = 4  # per list
RANGES = {  # of inputs that are neither log-probs nor lengths nor labels
    "z_ref": (0, 5),
    "margin": (-5, 5),
    "log_ratio_baseline": (-5, 5),
    "preference_probs": (0, 1),
    "chosen_scores": (3, 6),
    "rejected_scores": (0, 2.5),
    "chosen_sequence_kl": (0, 5),
    "rejected_sequence_kl": (0, 5),
    "chosen_weighted_kl": (0, 5),
    "rejected_weighted_kl": (0, 5),
    "chosen_mean_log_collision": (-5, 0),
    "rejected_mean_log_collision": (-5, 0),
    "ref_chosen_mean_entropy": (0.01, 0.99),
    "ref_rejected_mean_entropy": (0.01, 0.99),
    "gap_mean": (-5, 5),
    "gap_std": (0.1, 5),
    "score": (-3, 3),
    "prompt_value": (-3, 3),
    "list_scores": (-3, 3),
}


def per_token_of(names: Sequence[str]) -> dict[str, str]:
    """The log-probs that the loss divides by lengths, each with those lengths: they are drawn per token."""
    sides = [(f"{side}_logps", f"{side}_lengths") for side in ("chosen", "rejected", "gold")]
    sides += [("policy_list_logps", "list_lengths")]
    return {logps: lengths for logps, lengths in sides if logps in names and lengths in names}


def cloud(objective: Objective, count: int = 200) -> list[np.ndarray]:
    """A fixed cloud of random inputs of an objective, most of them where its slope is neither 0 nor 1."""
    rng = np.random.default_rng(20240501)
    names = objective.terms
    per_token = per_token_of(names)
    columns: dict[str, np.ndarray] = {}
    for name in sorted(names, key=lambda name: not name.startswith("ref_")):  # the policy stands near the reference
        columns[name] = _cloud_column(name, rng, count, name in per_token, columns)
    return summed({name: columns[name] for name in names}, per_token)


def _cloud_column(
    name: str, rng: np.random.Generator, count: int, per_token: bool, others: dict[str, np.ndarray]
) -> np.ndarray:
    term = TERMS[name]
    size = (count, ANSWERS) if term.shape is Shape.LIST else (count,)
    if term.positive:
        return rng.integers(1, 65, size)
    if term.binary:
        return rng.random(size) < 0.5
    if name in RANGES:
        return rng.uniform(*RANGES[name], size)
    if name.startswith("ref_"):
        return rng.uniform(-400, -100, size)
    if per_token:
        return -np.exp(rng.normal(0, 1.5, size))
    return rng.normal(0, 20, size) + others.get(name.replace("policy_", "ref_"), 0.0)


def summed(columns: dict[str, np.ndarray], per_token: dict[str, str]) -> list[np.ndarray]:
    """Log-probs per token times the number of tokens, where the loss divides by it."""
    for logps, lengths in per_token.items():
        columns[logps] = columns[logps] * columns[lengths]
    return list(columns.values())
