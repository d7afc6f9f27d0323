"""What the tests of the objectives share: golden rows, array libraries, derivatives, random input.

Test modules are imported by path (``--import-mode=importlib``) and cannot import each other, so these are fixtures.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import penchant
from penchant import numpy as oracle
from penchant.objectives import METHODS, Method


def _rows() -> Any:
    path = Path(__file__).with_name("rows.py")
    spec = importlib.util.spec_from_file_location("objectives_rows", path)
    module = sys.modules["objectives_rows"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rows = _rows()


# --- array libraries -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Library:
    """One array library: how to make its arrays, what class they have, how it differentiates (if it can)."""

    name: str
    kind: type
    make: Callable[[np.ndarray], Any]
    differentiate: Callable[..., list[Any]] | None = None

    def array(self, values: Any, dtype: str = "float64") -> Any:
        """An array of the library; labels (bool) keep their type."""
        plain = np.asarray(values)
        return self.make(plain if plain.dtype == bool else plain.astype(dtype))

    def arrays(self, columns: Any, dtype: str = "float64") -> list[Any]:
        return [self.array(column, dtype) for column in columns]

    def slopes(self, function: Callable[..., Any], inputs: Sequence[Any], by: Sequence[int]) -> list[np.ndarray]:
        """Derivatives of the sum of ``function(*inputs)`` by the inputs at the positions ``by``."""
        return [np.asarray(slope) for slope in self.differentiate(function, inputs, tuple(by))]


def _torch_slopes(function: Callable[..., Any], inputs: Sequence[Any], by: tuple[int, ...]) -> list[Any]:
    leaves = [x.detach().clone().requires_grad_() if i in by else x for i, x in enumerate(inputs)]
    return list(torch.autograd.grad(function(*leaves).sum(), [leaves[i] for i in by]))


def _jax_slopes(function: Callable[..., Any], inputs: Sequence[Any], by: tuple[int, ...]) -> list[Any]:
    return list(jax.grad(lambda *arrays: jnp.sum(function(*arrays)), argnums=by)(*inputs))


NUMPY = Library("numpy", np.ndarray, np.asarray)
STRICT = Library("array_api_strict", type(array_api_strict.asarray(0.0)), array_api_strict.asarray)
TORCH = Library("torch", torch.Tensor, lambda plain: torch.from_numpy(np.array(plain)), _torch_slopes)
JAX = Library("jax", jax.Array, jnp.asarray, _jax_slopes)


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
    """Every golden row in turn; see rows.py."""
    return request.param


@pytest.fixture
def recompute() -> Callable[..., Any]:
    """The high-precision recipe of the golden rows."""
    return rows.recompute


@pytest.fixture
def all_rows() -> list[Any]:
    return rows.ROWS


@pytest.fixture(params=METHODS.values(), ids=_name)
def method(request: pytest.FixtureRequest) -> Method:
    """Every method of the catalogue in turn."""
    return request.param


@dataclass(frozen=True)
class Objective:
    """One published loss beside the oracle's loss and closed-form derivative; ``steep`` are the inputs with a slope."""

    name: str
    steep: tuple[int, ...]

    @property
    def loss(self) -> Callable[..., Any]:
        return getattr(penchant, f"{self.name}_loss")

    @property
    def true_loss(self) -> Callable[..., Any]:
        return getattr(oracle, f"{self.name}_loss")

    @property
    def true_slopes(self) -> Callable[..., tuple[Any, ...]]:
        return getattr(oracle, f"{self.name}_grad")


OBJECTIVES = [
    Objective("dpo", (0, 1)),
    Objective("ipo", (0, 1)),
    Objective("kto", (0,)),
    Objective("simpo", (0, 1)),
    Objective("orpo", (0, 1)),
]


@pytest.fixture
def objectives() -> dict[str, Objective]:
    return {objective.name: objective for objective in OBJECTIVES}


@pytest.fixture(params=OBJECTIVES, ids=_name)
def objective(request: pytest.FixtureRequest) -> Objective:
    """The five losses in turn."""
    return request.param


# --- random input ----------------------------------------------------------------------------------------------------


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)


CONSTANTS = {
    "beta": numbers(0.01, 10),
    "gamma": numbers(-5, 5),
    "lambda_": numbers(0, 2),
    "label_smoothing": numbers(0, 0.49),
    "desirable_weight": numbers(0, 3),
    "undesirable_weight": numbers(0, 3),
    "value_function": st.sampled_from(["log_sigmoid", "sigmoid"]),
}


def _entry(name: str, per_token: bool) -> st.SearchStrategy[Any]:
    if name.endswith("lengths"):
        return st.integers(1, 64)
    if name == "is_desirable":
        return st.booleans()
    if name == "z_ref":
        return numbers(0, 5)
    if name.startswith("log_ratio"):
        return numbers(-100, 100)
    return numbers(-20, -1e-6) if per_token else numbers(-500, 0)


@pytest.fixture
def random_rows() -> Callable[..., list[np.ndarray]]:
    """Draws a loss's inputs: one column per parameter, in order, with ``count`` entries each."""

    def draw(data: st.DataObject, loss: Callable[..., Any], count: int = 4) -> list[np.ndarray]:
        names = [name for name, p in inspect.signature(loss).parameters.items() if name not in CONSTANTS][:-1]
        per_token = "chosen_lengths" in names
        columns = [
            data.draw(st.lists(_entry(name, per_token), min_size=count, max_size=count), label=name) for name in names
        ]
        return summed([np.array(column) for column in columns], per_token)

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
        ratios = [rng.normal(0, 20, count) for _ in range(2)]
        if objective.name == "dpo":
            refs = [rng.uniform(-400, -100, count) for _ in range(2)]
            return [refs[0] + ratios[0], refs[1] + ratios[1], *refs]
        if objective.name == "ipo":
            return ratios
        if objective.name == "kto":
            return [ratios[0], rng.random(count) < 0.5, rng.uniform(0, 5, count)]
        lengths = [rng.integers(1, 65, count) for _ in range(2)]
        means = [-np.exp(rng.normal(0, 1.5, count)) for _ in range(2)]
        return summed([*means, *lengths], per_token=True)

    return cloud


def summed(columns: list[np.ndarray], per_token: bool) -> list[np.ndarray]:
    """Log-probs per token times the number of tokens, where the loss divides by it."""
    if per_token:
        columns[0], columns[1] = columns[0] * columns[2], columns[1] * columns[3]
    return columns
