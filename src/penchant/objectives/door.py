"""The door of every objective: inputs are checked and made comparable before the formula sees them."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import array_api_compat as compat
import numpy as np

from penchant.arrays import peek, stop_gradient, unify
from penchant.errors import InputError, shorten, suggest
from penchant.records import Array
from penchant.vocabulary import CHOICES, CONSTANTS, TERMS, Shape, admits

P = ParamSpec("P")
_CHECKED: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()


def objective(loss: Callable[P, Array]) -> Callable[P, Array]:
    """Let a loss written for arrays take numbers, lists and arrays of any library, checked by parameter name.

    Terms become arrays of one library and float type, constants are held to their domain, and terms that carry
    no gradient (reference log-probs, ``z_ref``) are detached. The result has the kind that came in.

    A loss without the parameter ``reduction`` couples the rows of its batch and returns one number for all of them.

    Raises:
        InputError: if a shape, a label, a length or a constant is out of its domain.
        TypeError: if a parameter of the loss is not in the vocabulary (a mistake of the loss's author).
    """
    signature = inspect.signature(loss)
    unknown = set(signature.parameters) - set(TERMS) - set(CONSTANTS) - set(CHOICES)
    if unknown:
        raise TypeError(f"{loss.__name__}: not in the vocabulary: {', '.join(sorted(unknown))}")

    @functools.wraps(loss)
    def checked(*args: P.args, **kwargs: P.kwargs) -> Array:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        check_constants(bound.arguments, loss.__name__)
        rows = {name: value for name, value in bound.arguments.items() if name in TERMS}
        arrays, restore = unify(rows, loss.__name__)
        _check_shapes(arrays, loss.__name__)
        for name, array in arrays.items():
            bound.arguments[name] = _admit(name, array, loss.__name__)
        return restore(loss(*bound.args, **bound.kwargs))

    _CHECKED.add(checked)
    return checked


def is_objective(loss: Callable[..., Any]) -> bool:
    """Whether a function's inputs are checked already."""
    return loss in _CHECKED


def check_constants(values: Mapping[str, Any], where: str) -> None:
    """Hold constants and choices to their domain.

    Raises:
        InputError: naming the constant, its domain and the value found.
    """
    for name, value in values.items():
        if name in CHOICES and value not in CHOICES[name].words:
            words = CHOICES[name].words
            raise InputError(f"no {name} {value!r}", where=where, fix=suggest(str(value), words))
        if name in CONSTANTS and not _in_domain(name, value):
            raise InputError(f"{name!r} must be {CONSTANTS[name].domain}", where=where, got=shorten(value))


def _in_domain(name: str, value: Any) -> bool:
    if compat.is_array_api_obj(value):
        value = peek(value)
        if value is None:
            return True
    if isinstance(value, bool | str):
        return False
    try:
        return admits(CONSTANTS[name], float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _admit(name: str, array: Array, where: str) -> Array:
    """Hold an input to its domain; labels become booleans, and what carries no gradient is detached."""
    term = TERMS[name]
    values = peek(array) if term.positive or term.binary else None
    if values is not None and term.positive and not ((values >= 1) & np.isfinite(values)).all():
        fix = "Count at least one token per answer; drop rows without"
        raise InputError(f"{name!r} holds a length below 1", where=where, got=shorten(values.tolist()), fix=fix)
    if values is not None and term.binary and not ((values == 0) | (values == 1)).all():
        raise InputError(f"{name!r} must hold true/false or 1/0", where=where, got=shorten(values.tolist()))
    if term.binary:
        array = array == 1
    return array if term.gradient else stop_gradient(array)


def _check_shapes(arrays: Mapping[str, Array], where: str) -> None:
    """Every input has the shape its term declares, for the same rows: (4,) with (4, 1) would silently make (4, 4)."""
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    for name, shape in shapes.items():
        least = 1 if TERMS[name].shape is Shape.LIST else 0
        if not least <= len(shape) <= least + 1:
            raise InputError(f"{name!r} has shape {shape}", where=where, fix=f"Give {TERMS[name].shape.value}")
        if 0 in shape:
            raise InputError(f"{name!r} is empty", where=where, fix="Give at least one row")
        if least and shape[-1] == 1:
            raise InputError(f"{name!r} has shape {shape}", where=where, fix="Give at least two answers per list")
    lists = {name: shape for name, shape in shapes.items() if TERMS[name].shape is Shape.LIST}
    rows = {name: shape[:-1] if name in lists else shape for name, shape in shapes.items()}
    _agree({name: shape for name, shape in rows.items() if shape}, shapes, "row", where)
    _agree({name: shape[-1:] for name, shape in lists.items()}, shapes, "answer", where)


def _agree(counts: Mapping[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...]], unit: str, where: str) -> None:
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {shapes[name]}" for name in counts)
        raise InputError("shapes disagree", where=where, got=found, fix=f"Give one number per {unit} to each")
