"""What a layout is: the columns that name it, and how one of its rows becomes a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from penchant.data.formats.fields import nearest
from penchant.data.formats.turns import OPENAI, Dialect
from penchant.records import LabelledAnswer, PreferencePair

Row: TypeAlias = Mapping[str, object]
"""One row of a data file: column names to whatever the file holds."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A public way of writing preference data, recognised by its columns.

    Args:
        name: What ``format=`` calls it.
        title: What a summary calls it.
        columns: The columns that a row must have.
        convert: Makes the record from a row that has them; takes the row and its ``file:line``.
        optional: Columns that are used when they are there.
        dialect: How its turns are spelled.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    convert: Callable[[Row, str], PreferencePair | LabelledAnswer]
    optional: tuple[str, ...] = ()
    dialect: Dialect = OPENAI

    @property
    def paired(self) -> bool:
        return "rejected" in self.columns

    def matches(self, row: Row) -> bool:
        return all(column in row for column in self.columns)

    def missing(self, row: Row) -> list[str]:
        return [column for column in self.columns if column not in row]

    def misspelled(self, row: Row) -> dict[str, str]:
        """Missing columns that stand in the row under a near spelling: wanted name to found name."""
        spare = [column for column in row if column not in self.columns]
        near = {wanted: nearest(wanted, spare) for wanted in self.missing(row)}
        return {wanted: found for wanted, found in near.items() if found is not None}

    def unused(self, row: Row) -> Iterator[str]:
        """What the row holds and ``convert`` passes over: whole columns, and fields of turns as ``column.field``."""
        for column, value in row.items():
            if column not in self.columns and column not in self.optional:
                yield column
            else:
                yield from (f"{column}.{field}" for field in self._unused_in_turns(value))

    def _unused_in_turns(self, value: object) -> set[str]:
        turns = value if isinstance(value, list | tuple) else [value]
        known = (self.dialect.speaker, self.dialect.text)
        # A Parquet column gives every turn every field; the null ones hold nothing that could be missed.
        return {
            str(field)
            for turn in turns
            if isinstance(turn, Mapping)
            for field, content in turn.items()
            if field not in known and content is not None
        }
