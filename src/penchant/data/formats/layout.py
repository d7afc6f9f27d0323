"""What a layout is: the columns that name it, and how one of its rows becomes a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from penchant.data.formats.fields import Row, nearest
from penchant.records import LabelledAnswer, PreferencePair, RankedAnswers, TokenAnswer, TokenPair

Record: TypeAlias = PreferencePair | LabelledAnswer | RankedAnswers | TokenPair | TokenAnswer

TURN_FIELDS = ("role", "content", "from", "value", "tool_calls", "function_call", "tool_call_id")

ANNOTATIONS = ("tools", "chat_template_kwargs")
"""Columns that any layout with text may have: they go to the chat template."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A public way of writing preference data, recognised by its columns.

    Args:
        name: What ``format=`` calls it.
        title: What a summary calls it.
        columns: The columns that a row must have.
        convert: Makes the record from a row that has them; takes the row and its ``file:line``.
        gives: Pairs, labelled answers, or lists of rated answers, whose rows may have one each.
        either: Groups of columns of which a row must have one each.
        optional: Columns that are used when they are there.
        fields: Fields of turns and of entries that are used.
        fits: What else a first row must show to be recognised, where columns do not tell enough.
        known: Who writes it, for the table of layouts.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    convert: Callable[[Row, str], Record]
    gives: Literal["pairs", "answers", "lists"] = "pairs"
    either: tuple[tuple[str, ...], ...] = ()
    optional: tuple[str, ...] = ()
    fields: tuple[str, ...] = TURN_FIELDS
    fits: Callable[[Row], bool] = lambda row: True
    known: str = ""

    @property
    def paired(self) -> bool:
        return self.gives == "pairs"

    @property
    def used(self) -> tuple[str, ...]:
        """Every column that ``convert`` may read."""
        return (*self.columns, *(name for group in self.either for name in group), *self.optional, *ANNOTATIONS)

    def matches(self, row: Row) -> bool:
        """Whether the row has the columns."""
        for column in self.columns:  # once for every row: three times as fast as a generator
            if column not in row:
                return False
        return not self.either or all(any(name in row for name in group) for group in self.either)

    def missing(self, row: Row) -> list[str]:
        """What the row lacks; a group by its first name."""
        groups = [group[0] for group in self.either if not any(name in row for name in group)]
        return [column for column in self.columns if column not in row] + groups

    def misspelled(self, row: Row) -> dict[str, str]:
        """Missing columns that stand in the row under a near spelling: wanted name to found name."""
        spare = [column for column in row if column not in self.used]
        near = {wanted: nearest(wanted, spare) for wanted in self.missing(row)}
        return {wanted: found for wanted, found in near.items() if found is not None}

    def unused(self, row: Row) -> Iterator[str]:
        """What the row holds and ``convert`` passes over: whole columns, and fields of turns as ``column.field``."""
        used = self.used
        for column, value in row.items():
            if column not in used:
                yield column
            elif not isinstance(value, str) and column not in ANNOTATIONS:
                yield from (f"{column}.{field}" for field in self._unused_in_turns(value))

    def _unused_in_turns(self, value: object) -> set[str]:
        turns = value if isinstance(value, list | tuple) else [value]
        # A Parquet column gives every turn every field; the null ones hold nothing that could be missed.
        return {
            str(field)
            for turn in turns
            if isinstance(turn, Mapping)
            for field, content in turn.items()
            if field not in self.fields and content is not None
        }
