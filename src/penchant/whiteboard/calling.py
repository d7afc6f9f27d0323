"""Calls a hand-written function in its own array library and brings back plain numbers.

This runs beside the code under test: in the child process of ``penchant check``, or in the caller's own process for
:func:`penchant.testing.assert_matches`. Requests and replies are plain JSON values.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

Reply = dict[str, Any]


class Target:
    """A live function, called with arrays of one library.

    Args:
        function: The code under test.
        library: ``"numpy"``, ``"torch"``, ``"jax"`` or ``"python"`` (plain numbers).
        path: Its file, to name the line of an error.
    """

    def __init__(self, function: Callable[..., Any], library: str, path: str = ""):
        self.function, self.library, self.path = function, library, path

    def call(
        self,
        values: Mapping[str, Any],
        kinds: Mapping[str, str],
        dtype: str,
        grad: Sequence[str],
        positional: Sequence[str],
    ) -> Reply:
        """One call.

        Args:
            values: By parameter: a number, or nested lists.
            kinds: By parameter: ``"float"`` and ``"int"`` and ``"bool"`` become arrays, ``"constant"`` stays a number.
            dtype: Float type of the arrays.
            grad: Parameters to differentiate the sum of the result by.
            positional: Parameters that are given by position.
        """
        try:
            given = {name: self._array(value, kinds[name], dtype, name in grad) for name, value in values.items()}
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                if grad and self.library == "jax":
                    return self._jax_gradient(given, list(grad), positional)
                result = first(self._invoke(given, positional))
                reply = {"value": numbers(result), "changed": self._changed(given, values, kinds, dtype)}
                if grad and self.library == "torch":
                    reply |= _torch_gradient(result, given, grad)
            return reply
        except Exception as error:  # noqa: BLE001 - whatever the code under test raises is the finding
            return {"error": describe(error, self.path)}

    def _invoke(self, given: dict[str, Any], positional: Sequence[str]) -> Any:
        named = {name: value for name, value in given.items() if name not in positional}
        return self.function(*(given[name] for name in positional if name in given), **named)

    def _array(self, value: Any, kind: str, dtype: str, grad: bool) -> Any:
        if kind == "constant" or self.library == "python":
            return _python(value, kind)
        array: Any = np.asarray(value, dtype={"float": np.float64, "int": np.int64, "bool": np.bool_}[kind])
        if self.library == "torch":
            torch = import_module("torch")

            tensor = torch.as_tensor(array.copy())
            tensor = tensor.to(getattr(torch, dtype)) if kind == "float" else tensor
            return tensor.requires_grad_() if grad else tensor
        if self.library == "jax":
            jnp = import_module("jax.numpy")

            return jnp.asarray(array, dtype=dtype if kind == "float" else None)
        return array.astype(dtype) if kind == "float" else array

    def _changed(
        self, given: Mapping[str, Any], values: Mapping[str, Any], kinds: Mapping[str, str], dtype: str
    ) -> list[str]:
        """Parameters whose arrays are not what was given."""
        if self.library == "python":
            return []
        fresh = {name: self._array(value, kinds[name], dtype, False) for name, value in values.items()}
        return [
            name
            for name in values
            if kinds[name] != "constant" and not np.array_equal(_host(given[name]), _host(fresh[name]), equal_nan=True)
        ]

    def _jax_gradient(self, given: dict[str, Any], grad: list[str], positional: Sequence[str]) -> Reply:
        jax = import_module("jax")

        def total(chosen: dict[str, Any]) -> Any:
            result = first(self._invoke(given | chosen, positional))
            return jax.numpy.sum(jax.numpy.asarray(result)), result

        gradients, result = jax.grad(total, has_aux=True)({name: given[name] for name in grad})
        return {"value": numbers(result), "grads": {name: numbers(g) for name, g in gradients.items()}, "changed": []}


def _torch_gradient(result: Any, given: Mapping[str, Any], grad: Sequence[str]) -> Reply:
    torch = import_module("torch")

    if not (isinstance(result, torch.Tensor) and result.requires_grad):
        return {"grads": dict.fromkeys(grad)}
    try:
        found = torch.autograd.grad(result.sum(), [given[name] for name in grad], allow_unused=True)
    except RuntimeError as error:
        return {"backward_error": str(error).splitlines()[0]}
    return {"grads": {name: None if g is None else numbers(g) for name, g in zip(grad, found, strict=True)}}


def first(result: Any) -> Any:
    """The loss in what a function returned: the first of a tuple, or the entry called ``loss``."""
    if isinstance(result, Mapping):
        return result.get("loss", result.get("losses", next(iter(result.values()), None)))
    if isinstance(result, tuple):
        return first(result[0]) if result else None
    return result


def numbers(result: Any) -> Any:
    """A result as a number or nested lists of numbers.

    Raises:
        TypeError: if it is neither.
    """
    if result is None or isinstance(result, str | bytes):
        raise TypeError(f"the function returned {result!r} and not a loss")
    if isinstance(result, list):
        return [numbers(item) for item in result]
    return np.asarray(_host(result), dtype=np.float64).tolist()


def _host(value: Any) -> Any:
    if type(value).__module__.startswith("torch"):
        value = value.detach()
        return (value.double() if value.is_floating_point() else value).cpu().numpy()
    return np.asarray(value) if not isinstance(value, float | int) else value


def _python(value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return [_python(item, kind) for item in value]
    return {"bool": bool, "int": int}.get(kind, float)(value)


def describe(error: BaseException, path: str) -> dict[str, Any]:
    """An exception of the code under test: its kind, message and line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if path and frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines = [error.lineno]
    message = " ".join(str(error).split())
    return {"type": type(error).__name__, "message": message[:300], "line": lines[-1] if lines else None}
