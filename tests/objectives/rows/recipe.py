"""How golden rows are made and checked: the numbers are typed in, the recipe that gave them stands beside them.

Losses (mean over the row's entries, or the one number of a loss that couples them) and slopes (of each entry's own
loss, or of that number) are the float64 numbers nearest to 80-digit arithmetic on inputs and constants read as the
decimals they are written as. Each page holds ``RECIPES``, plain formulas on mpmath numbers, and ``ROWS``;
``Recipe.recompute(row)`` runs the formula and lets mpmath differentiate. What is below 5e-324 is typed as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp

Entry = float | tuple[float, ...]
Column = tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A loss on mpmath numbers.

    Attributes:
        formula: The loss of one entry, from its terms in order and the constants by name; of the whole batch, from
            columns, where rows are coupled.
        terms: The parameters that rows give, in order.
        defaults: The constants' defaults.
        lists: The terms whose entries are lists.
        constant: The terms that the method differentiates as constants, though they carry a gradient elsewhere.
        held: What the method computes from an entry and then holds constant; the formula gets it as ``held``.
        couples_rows: Whether the batch has one loss.
    """

    formula: Callable[..., mp.mpf]
    terms: tuple[str, ...]
    defaults: dict[str, Any] = field(default_factory=dict)
    lists: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    held: Callable[..., Any] | None = None
    couples_rows: bool = False

    def columns(self, values: tuple[Any, ...]) -> dict[str, Column]:
        """Typed values by parameter name, with one entry per row of the batch."""
        return {name: self._column(name, value) for name, value in zip(self.terms, values, strict=False)}

    def _column(self, name: str, value: Any) -> Column:
        single = not isinstance(value[0], tuple) if name in self.lists else not isinstance(value, tuple)
        return (value,) if single else value

    def recompute(self, row: Row, steep: int) -> tuple[mp.mpf, list[list[Any]]]:
        """The row's loss and its slopes by the first ``steep`` terms, one list per term, with 80 digits."""
        with mp.workdps(80):
            given = self.defaults | row.constants
            constants = {name: value if isinstance(value, str) else decimal(value) for name, value in given.items()}
            columns = [decimal(column) for column in self.columns(row.given).values()]
            entries = [columns] if self.couples_rows else [list(entry) for entry in zip(*columns, strict=True)]

            def value(entry: list[Any], at: list[Any]) -> mp.mpf:
                """The loss of an entry, with what is held constant taken where the derivative is."""
                held = {} if self.held is None else {"held": self.held(*at, **constants)}
                return self.formula(*entry, **constants, **held)

            def slope(entry: list[Any], i: int, k: int | None) -> mp.mpf:
                if self.terms[i] in self.constant:
                    return mp.mpf(0)
                here = entry[i] if k is None else entry[i][k]
                return mp.diff(lambda x: value(_with(entry, i, k, x), entry), here)

            def slopes(entry: list[Any], i: int) -> Any:
                if isinstance(entry[i], list):
                    return [slope(entry, i, k) for k in range(len(entry[i]))]
                return slope(entry, i, None)

            mean = mp.fsum(value(entry, entry) for entry in entries) / len(entries)
            found = [[slopes(entry, i) for entry in entries] for i in range(steep)]
            return mean, [column[0] for column in found] if self.couples_rows else found


@dataclass(frozen=True, slots=True)
class Row:
    """One golden row as it was typed; ``recipe`` is put in when the pages are brought together."""

    function: str
    name: str
    given: tuple[Any, ...]
    loss: float
    steep: tuple[Any, ...]
    constants: dict[str, Any]
    recipe: Recipe | None = None

    def __str__(self) -> str:
        return f"{self.function.removesuffix('_loss')}: {self.name}"

    @property
    def inputs(self) -> dict[str, Column]:
        """By parameter name, one entry per row of the batch."""
        return self.recipe.columns(self.given)

    @property
    def slopes(self) -> dict[str, Column]:
        """By parameter name, one entry per row of the batch."""
        return self.recipe.columns(self.steep)


def row(function: str, name: str, inputs: tuple[Any, ...], loss: float, *slopes: Any, **constants: Any) -> Row:
    """A row from its inputs in the function's order and the slopes by the first of them; one entry needs no tuple."""
    return Row(function, name, inputs, loss, slopes, constants)


def type_row(row: Row, steep: int) -> str:
    """The numbers to type after a row's inputs: its loss and its slopes by the first ``steep`` terms."""

    def nearest(value: Any) -> str:
        if isinstance(value, list):
            return nearest(value[0]) if len(value) == 1 else f"({', '.join(map(nearest, value))})"
        return repr(float(value))

    loss, slopes = row.recipe.recompute(row, steep)
    return ", ".join(map(nearest, [loss, *slopes]))


def _with(entry: list[Any], i: int, k: int | None, x: mp.mpf) -> list[Any]:
    """The entry with x in place of its term i, or of that term's number k."""
    changed = x if k is None else [*entry[i][:k], x, *entry[i][k + 1 :]]
    return [*entry[:i], changed, *entry[i + 1 :]]


def decimal(value: Any) -> Any:
    """The decimal numbers that were typed, not the binary fractions beside them."""
    return [decimal(v) for v in value] if isinstance(value, tuple) else mp.mpf(repr(float(value)))


def softplus(x):
    """log(1 + e^x), written so that e^x far below 1 is not lost beside the 1."""
    return mp.log1p(mp.exp(x))


def bernoulli_kl(z, target):
    """KL of σ(z) from σ(target)."""
    up, down = softplus(-target) - softplus(-z), softplus(target) - softplus(z)
    return up / (1 + mp.exp(-z)) + down / (1 + mp.exp(z))
