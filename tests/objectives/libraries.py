"""The array libraries the objectives are tested on, and how each differentiates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import torch


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
    return list(torch.autograd.grad(function(*leaves).sum(), [leaves[i] for i in by], materialize_grads=True))


def _jax_slopes(function: Callable[..., Any], inputs: Sequence[Any], by: tuple[int, ...]) -> list[Any]:
    return list(jax.grad(lambda *arrays: jnp.sum(function(*arrays)), argnums=by)(*inputs))


NUMPY = Library("numpy", np.ndarray, np.asarray)
STRICT = Library("array_api_strict", type(array_api_strict.asarray(0.0)), array_api_strict.asarray)
TORCH = Library("torch", torch.Tensor, lambda plain: torch.from_numpy(np.array(plain)), _torch_slopes)
JAX = Library("jax", jax.Array, jnp.asarray, _jax_slopes)
