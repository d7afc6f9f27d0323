"""Golden rows against a function, on any array library: what does not agree, in words.

All rows of a function with the same constants are one call, brought to one shape: JAX compiles every operation anew for
every shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from objectives.libraries import Library
from objectives.rows.recipe import Row

ROWS_A_CALL = 24
CANCELLING = {
    "soft_dpo",
    "reward_aware",
    "rao_kupper",
    "davidson",
    "discopop",
    "exo",
    "cal_dpo",
    "apo_down",
    "focal_dpo",
}
"""Losses whose slope is a difference of terms of its own size, and 0 somewhere."""


def cancels(row: Row) -> bool:
    """Whether a slope is such a difference: by name, or because answers or rows compete."""
    name = row.function.removesuffix("_loss")
    return name in CANCELLING or row.recipe.couples_rows or bool(row.recipe.lists)


def complaints(rows: Sequence[Row], function: Callable[..., Any], library: Library, dtype: str) -> Iterator[str]:
    """Every value and slope of these rows, all of one function, that the function gets wrong."""
    for group in _groups(rows):
        yield from _complaints(group, function, library, dtype)


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that fit into one call."""

    def kind(row: Row) -> Any:
        shapes = [np.shape(column)[1:] for column in row.inputs.values()]
        return (sorted(row.constants.items()), shapes, len(row.slopes), row.name if row.recipe.couples_rows else "")

    ordered = sorted(rows, key=lambda row: repr(kind(row)))
    return [list(group) for _, group in itertools.groupby(ordered, key=kind)]


def _complaints(rows: list[Row], function: Callable[..., Any], library: Library, dtype: str) -> Iterator[str]:
    recipe, constants = rows[0].recipe, rows[0].constants
    columns = [
        np.concatenate(parts) for parts in zip(*(map(np.array, row.inputs.values()) for row in rows), strict=True)
    ]
    count = len(columns[0])
    if not recipe.couples_rows:
        columns = [np.resize(column, (max(count, ROWS_A_CALL), *column.shape[1:])) for column in columns]
    options = constants | ({"reduction": "none"} if row_wise(rows[0]) else {})

    def call(*arrays: Any) -> Any:
        return function(*arrays, **options)

    arrays = library.arrays(columns, dtype)
    result, slopes = _value_and_slopes(call, library, arrays, rows[0])
    if dtype not in str(result.dtype):
        yield f"{rows[0]}: {result.dtype} for {dtype}"
    ends = list(itertools.accumulate(len(next(iter(row.inputs.values()))) for row in rows))
    segments = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    rel, tiny, floor = (1e-12, 1e-300, 1e-16) if dtype == "float64" else (1e-6, 1e-37, 1e-8)
    values = np.asarray(result, dtype="float64")
    for row, part in zip(rows, segments, strict=True):
        mean = np.mean(values if recipe.couples_rows else values[part])
        yield from _differ(f"{row} in {dtype} on {library.name}", mean, row.loss, rel, tiny)
    least = floor if cancels(rows[0]) else tiny
    for row, part in zip(rows, segments, strict=True):
        for found, (name, typed) in zip(slopes, row.slopes.items(), strict=False):  # none where there is no autodiff
            yield from _differ(f"{row} by {name} in {dtype} on {library.name}", found[part], typed, rel, least)


def _value_and_slopes(call: Callable[..., Any], library: Library, arrays: list[Any], row: Row) -> tuple[Any, list[Any]]:
    by = tuple(range(len(row.slopes)))
    if library.name == "jax" and (row.recipe.couples_rows or row.recipe.lists):
        # shapes of their own: one program, not one for every operation
        both = jax.value_and_grad(lambda *columns: (lambda y: (y.sum(), y))(call(*columns)), by, has_aux=True)
        (_, result), slopes = jax.jit(both)(*arrays)
        return result, [np.asarray(slope) for slope in slopes]
    return call(*arrays), library.slopes(call, arrays, by) if library.differentiate else []


def row_wise(row: Row) -> bool:
    """Whether the row's function has a loss per row."""
    return row.function.endswith("_loss") and not row.recipe.couples_rows


def _differ(what: str, found: Any, typed: Any, rel: float, floor: float) -> Iterator[str]:
    found, typed = np.asarray(found, dtype="float64"), np.asarray(typed, dtype="float64")
    agree = (found == typed) | (np.abs(found - typed) <= np.maximum(rel * np.abs(typed), floor))
    if found.shape != typed.shape or not agree.all():
        yield f"{what}: {found.tolist()} instead of {typed.tolist()}"
