"""What the tests of the objectives share: golden rows, array libraries, derivatives, random input.

What scripts use too is in modules of its own: ``rows/`` (golden numbers), ``libraries.py``, ``golden.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from objectives import rows
from objectives.golden import CANCELLING
from objectives.libraries import JAX, NUMPY, STRICT, TORCH, Library

from penchant import numpy as oracle
from penchant import vocabulary
from penchant.objectives import LOSSES, METHODS, Method
from penchant.vocabulary import TERMS, Shape

# --- array libraries -------------------------------------------------------------------------------------------------


def _with_float64(library: Library) -> Iterator[Library]:
    """JAX makes float64 arrays only when told to; torch, NumPy and the strict library always do."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield library
    jax.config.update("jax_enable_x64", before)


def _name(value: Any) -> str:
    return value.name


@pytest.fixture(params=[NUMPY, STRICT, TORCH, JAX], ids=_name)
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    """Every array library in turn."""
    yield from _with_float64(request.param)


@pytest.fixture(params=[TORCH, JAX], ids=_name)
def autodiff(request: pytest.FixtureRequest) -> Iterator[Library]:
    """The libraries that differentiate, in turn."""
    yield from _with_float64(request.param)


@pytest.fixture
def jax_library() -> Iterator[Library]:
    yield from _with_float64(JAX)


# --- what is tested --------------------------------------------------------------------------------------------------


@pytest.fixture(params=rows.ROWS, ids=str)
def row(request: pytest.FixtureRequest) -> Any:
    """Every golden row in turn; see rows/."""
    return request.param


@pytest.fixture
def all_rows() -> list[Any]:
    return rows.ROWS


@pytest.fixture(params=METHODS.values(), ids=_name)
def method(request: pytest.FixtureRequest) -> Method:
    """Every method of the catalogue in turn."""
    return request.param


@pytest.fixture(params=[m for m in METHODS.values() if not m.couples_rows], ids=_name)
def rowwise_method(request: pytest.FixtureRequest) -> Method:
    """Every method whose loss is one number per row, in turn."""
    return request.param


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


@pytest.fixture
def objectives() -> dict[str, Objective]:
    return {objective.name: objective for objective in OBJECTIVES}


@pytest.fixture(params=OBJECTIVES, ids=_name)
def any_objective(request: pytest.FixtureRequest) -> Objective:
    """Every published loss in turn."""
    return request.param


@pytest.fixture(params=[objective for objective in OBJECTIVES if not objective.couples_rows], ids=_name)
def objective(request: pytest.FixtureRequest) -> Objective:
    """Every published loss that is one number per row, in turn."""
    return request.param


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


@pytest.fixture(params=variants(), ids=lambda case: "-".join(map(str, (case[0], *case[1].values()))))
def variant(request: pytest.FixtureRequest, objectives: dict[str, Objective]) -> tuple[Objective, dict[str, Any]]:
    name, constants = request.param
    return objectives[name], constants


# --- random input ----------------------------------------------------------------------------------------------------


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)


CONSTANTS = {
    "beta": numbers(0.01, 10),
    "beta_prime": numbers(0.1, 10),
    "gamma": numbers(-5, 5),
    "tau": numbers(0.01, 0.9),
    "eta": numbers(0.1, 10),
    "nu": numbers(0.01, 5),
    "tie_margin": numbers(0.1, 3),
    "clip": numbers(1, 50),
    "temperature": numbers(0.1, 5),
    "dispersion": numbers(0.01, 5),
    "delta": numbers(-20, 20),
    "focus": numbers(0, 2),
    "rejected_weight": numbers(0.01, 1),
    "objective_weight": numbers(0.1, 1),
    "distance": st.sampled_from(["backward_kl", "forward_kl", "squared"]),
    "alpha": numbers(0, 2),
    "lambda_": numbers(0, 2),
    "label_smoothing": numbers(0, 0.49),
    "epsilon": numbers(0.001, 0.49),
    "desirable_weight": numbers(0, 3),
    "undesirable_weight": numbers(0, 3),
    "value_function": st.sampled_from(["log_sigmoid", "sigmoid"]),
}
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


OVERFLOWS = {"exponential": (-30, 30)}  # losses that are infinite far out: their log-ratios


def _entry(name: str, per_token: bool, ratios: tuple[float, float] = (-100, 100)) -> st.SearchStrategy[Any]:
    term = TERMS[name]
    if term.positive:
        number: st.SearchStrategy[Any] = st.integers(1, 64)
    elif term.binary:
        number = st.booleans()
    elif name in RANGES:
        number = numbers(*RANGES[name])
    elif "log_ratio" in name:
        number = numbers(*ratios)
    else:
        number = numbers(-20, -1e-6) if per_token else numbers(-500, 0)
    return st.lists(number, min_size=ANSWERS, max_size=ANSWERS) if term.shape is Shape.LIST else number


def _per_token(names: Sequence[str]) -> dict[str, str]:
    """The log-probs that the loss divides by lengths, each with those lengths: they are drawn per token."""
    sides = [(f"{side}_logps", f"{side}_lengths") for side in ("chosen", "rejected", "gold")]
    sides += [("policy_list_logps", "list_lengths")]
    return {logps: lengths for logps, lengths in sides if logps in names and lengths in names}


@pytest.fixture
def random_rows() -> Callable[..., list[np.ndarray]]:
    """Draws a loss's inputs: one column per parameter, in order, with ``count`` entries each."""

    def draw(data: st.DataObject, loss: Callable[..., Any], count: int = 4) -> list[np.ndarray]:
        names = Objective(loss).terms
        per_token = _per_token(names)
        ratios = OVERFLOWS.get(Objective(loss).name, (-100, 100))
        columns = [
            data.draw(st.lists(_entry(name, name in per_token, ratios), min_size=count, max_size=count), label=name)
            for name in names
        ]
        return summed({name: np.array(column) for name, column in zip(names, columns, strict=True)}, per_token)

    return draw


@pytest.fixture
def random_constants() -> Callable[..., dict[str, Any]]:
    """Draws every constant that a loss takes."""

    def draw(data: st.DataObject, loss: Callable[..., Any]) -> dict[str, Any]:
        names = [name for name in inspect.signature(loss).parameters if name in CONSTANTS]
        return {name: data.draw(CONSTANTS[name], label=name) for name in names}

    return draw


@pytest.fixture
def points() -> Callable[..., list[np.ndarray]]:
    """A fixed cloud of 200 random inputs of an objective, most of them where its slope is neither 0 nor 1."""

    def cloud(objective: Objective, count: int = 200) -> list[np.ndarray]:
        rng = np.random.default_rng(20240501)
        names = objective.terms
        per_token = _per_token(names)
        columns: dict[str, np.ndarray] = {}
        for name in sorted(names, key=lambda name: not name.startswith("ref_")):  # the policy stands near the reference
            columns[name] = _cloud_column(name, rng, count, name in per_token, columns)
        return summed({name: columns[name] for name in names}, per_token)

    return cloud


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
