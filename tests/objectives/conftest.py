"""What the tests of the objectives share: golden rows, array libraries, derivatives, random input.

What scripts use too is in modules of its own: ``rows/`` (golden numbers), ``libraries.py``, ``golden.py``.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from objectives import rows
from objectives.cases import ANSWERS, OBJECTIVES, RANGES, Objective, cloud, per_token_of, summed, variants
from objectives.libraries import JAX, NUMPY, STRICT, TORCH, Library

from penchant.objectives import METHODS, Method
from penchant.vocabulary import TERMS, Shape

# JAX reads this with its first array. What the tests wait for is its compiler; what they check needs none of its speed.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"


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


@pytest.fixture
def random_rows() -> Callable[..., list[np.ndarray]]:
    """Draws a loss's inputs: one column per parameter, in order, with ``count`` entries each."""

    def draw(data: st.DataObject, loss: Callable[..., Any], count: int = 4) -> list[np.ndarray]:
        names = Objective(loss).terms
        per_token = per_token_of(names)
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
    return cloud
