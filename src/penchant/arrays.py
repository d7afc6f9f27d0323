"""The few array operations the objectives need, over NumPy, PyTorch, JAX and any array-API library.

No library is imported here but NumPy: a PyTorch or JAX array that arrives proves that its library is loaded.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

import array_api_compat as compat
import array_api_compat.numpy as numpy_namespace
import numpy as np

from penchant.errors import InputError, shorten
from penchant.records import Array


def elementwise(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Let a function of one array take a number, a list, or an array of any library and shape."""

    @functools.wraps(function)
    def of_anything(x: Array) -> Array:
        arrays, restore = unify({"x": x}, function.__name__)
        return restore(function(arrays["x"]))

    return of_anything


@elementwise
def log_sigmoid(x: Array) -> Array:
    """log σ(x), exact in both tails, with slope 1/2 at 0 in every library.

    >>> log_sigmoid(-800.0)
    -800.0
    """
    if compat.is_torch_array(x):
        return sys.modules["torch"].nn.functional.logsigmoid(x)
    xp = compat.array_namespace(x)
    return -xp.logaddexp(xp.zeros_like(x), -x)


@elementwise
def sigmoid(x: Array) -> Array:
    """σ(x) without overflow. Value and slope keep their relative precision in both tails.

    The libraries' own sigmoid has the slope y(1 - y), which is 0 once y rounds to 1 (x above 17 in float32).

    >>> sigmoid([0.0, -1000.0])
    [0.5, 0.0]
    """
    xp = compat.array_namespace(x)
    small = xp.exp(xp.where(x >= 0, -x, x))
    return xp.where(x >= 0, 1 / (1 + small), small / (1 + small))


def logsumexp(x: Array, axis: int = -1) -> Array:
    """log Σ exp(x) along an axis, without overflow; entries of -inf count for nothing."""
    xp = compat.array_namespace(x)
    top = stop_gradient(xp.max(x, axis=axis, keepdims=True))
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    return xp.squeeze(top, axis=axis) + xp.log(xp.sum(xp.exp(x - top), axis=axis))


def stop_gradient(x: Array) -> Array:
    """The same values as a constant: no derivative flows through."""
    if compat.is_torch_array(x):
        return x.detach()
    if compat.is_jax_array(x):
        return sys.modules["jax"].lax.stop_gradient(x)
    return x


def peek(x: Array) -> Any:
    """The values as a NumPy array, or ``None`` where they are not known: in ``jit``, ``vmap``, ``torch.compile``.

    The values are looked at outside the array's own library because a comparison of known values inside ``jax.jit``
    would itself be traced.
    """
    if compat.is_torch_array(x):
        torch = sys.modules["torch"]
        traced = torch.compiler.is_compiling() or torch._C._functorch.is_functorch_wrapped_tensor(x)
        values = None if traced else x.detach().cpu().numpy()
    elif compat.is_jax_array(x):
        values = None if isinstance(x, sys.modules["jax"].core.Tracer) else np.asarray(x)
    elif compat.is_cupy_array(x):
        values = sys.modules["cupy"].asnumpy(x)
    else:
        values = x if compat.is_numpy_array(x) else np.from_dlpack(x)
    return values


def reduce(losses: Array, reduction: str) -> Array:
    """``"none"`` keeps one loss per row, ``"mean"`` and ``"sum"`` give a scalar."""
    if reduction == "none":
        return losses
    xp = compat.array_namespace(losses)
    return xp.mean(losses) if reduction == "mean" else xp.sum(losses)


def unify(values: Mapping[str, Any], where: str) -> tuple[dict[str, Array], Callable[[Array], Any]]:
    """Bring numbers, lists and arrays to arrays of one library, device and float type (float32 at least).

    Args:
        values: The inputs by name: each a number, a list or an array.
        where: The function's name, for messages.

    Returns:
        The arrays by name, and a function that turns a result back into the kind that came in: Python numbers and
        lists for Python input, arrays otherwise.

    Raises:
        InputError: if libraries are mixed or a value is not numeric.
    """
    given = {name: value for name, value in values.items() if compat.is_array_api_obj(value)}
    foreign = {name: value for name, value in given.items() if not compat.is_numpy_array(value)}
    namespaces = {compat.array_namespace(value).__name__: name for name, value in foreign.items()}
    if len(namespaces) > 1:
        libraries = " and ".join(name.removeprefix("array_api_compat.") for name in sorted(namespaces))
        raise InputError("the inputs mix array libraries", where=where, got=libraries, fix="Convert them to one")
    lead = next(iter(foreign.values()), None)
    xp = numpy_namespace if lead is None else compat.array_namespace(lead)
    device = None if lead is None else compat.device(lead)
    arrays = {name: _as_array(value, name, where, xp, device) for name, value in values.items()}
    dtype = _float_dtype([arrays[name] for name in given], xp)
    floats = {name: xp.astype(value, dtype, copy=False) for name, value in arrays.items()}
    return floats, _to_array if given else _to_python


def _as_array(value: Any, name: str, where: str, xp: Any, device: Any) -> Array:
    """An array of the leading library. Numbers and lists pass through NumPy, which keeps them in float64."""
    if compat.is_array_api_obj(value) and not compat.is_numpy_array(value):
        array = value
    else:
        try:
            array = np.asarray(value)
        except (ValueError, RuntimeError) as error:
            fix = "Give a list of plain numbers, or stack arrays into one"
            raise InputError(f"{name!r} is not one row of numbers", where=where, got=shorten(value), fix=fix) from error
        if array.dtype.kind not in "biuf":
            fix = "Give a number, a list or an array of numbers"
            raise InputError(f"{name!r} must hold real numbers", where=where, got=shorten(value), fix=fix)
        array = array if xp is numpy_namespace else xp.asarray(array, device=device)
    if not xp.isdtype(array.dtype, ("bool", "integral", "real floating")):
        raise InputError(f"{name!r} must hold real numbers", where=where, got=str(array.dtype))
    return array


def _float_dtype(arrays: list[Array], xp: Any) -> Any:
    """The widest float type among the arrays, never below float32; the library's default if none is a float."""
    wide = [a.dtype for a in arrays if compat.array_namespace(a) is xp and xp.isdtype(a.dtype, "real floating")]
    if not wide:
        return xp.asarray(0.0).dtype
    dtype = xp.result_type(*wide)
    return xp.float32 if xp.finfo(dtype).bits < 32 else dtype


def _to_array(result: Array) -> Array:
    return result[()] if compat.is_numpy_array(result) else result


def _to_python(result: Array) -> Any:
    return result.tolist()
