"""Preference files and rows, read into records; every fault is one line that names the row."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeAlias, TypeVar, overload

from penchant.data.formats import layout_named, missing_columns, recognise
from penchant.data.formats.fields import describe, quoted
from penchant.data.formats.files import Located, path_text, rows_of_file
from penchant.data.formats.layout import Layout, Row
from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair
from penchant.vocabulary import TERMS

Record = TypeVar("Record", PreferencePair, LabelledAnswer)
Paths: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Iterable[Mapping[str, object]]

WEIGHING_COLUMNS = ("weight", "margin", "chosen_score", "rejected_score", "score_chosen", "score_rejected")
"""Columns that would change training if they were used; a summary names them before any other unused column."""

_SHOWN_UNUSED = 12
_PLAIN_NAME = re.compile(r"[\w.-]{1,40}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How one file was read.

    Args:
        file: Its path, or ``"rows"`` when rows were given instead.
        format: The name of its layout.
        title: Its layout's name in words.
        rows: How many rows it holds.
        split: Whether each row, a pair, became two labelled answers.
        unused: Each column that was not used, with the number of rows that have it.
    """

    file: str
    format: str
    title: str
    rows: int
    split: bool
    unused: Mapping[str, int]

    def summary(self) -> str:
        """``read as ShareGPT pairs, 300 rows``."""
        count = f"{self.rows} row{'s' if self.rows != 1 else ''}"
        if self.split:
            pairs = f"{self.rows} pair{'s' if self.rows != 1 else ''}"
            count = f"{pairs} split into {2 * self.rows} labelled answers"
        return f"read as {self.title}, {count}{self._unused_clause()}"

    def _unused_clause(self) -> str:
        if not self.unused:
            return ""
        names = sorted(self.unused, key=lambda name: (name.split(".")[-1] not in WEIGHING_COLUMNS, name))
        # Names without quotes where they can stand alone: the clause is read far more often than it is pasted.
        shown = [name if _PLAIN_NAME.fullmatch(name) else quoted(name) for name in names[:_SHOWN_UNUSED]]
        more = f" and {len(names) - _SHOWN_UNUSED} more" if len(names) > _SHOWN_UNUSED else ""
        return f" (columns not used: {', '.join(shown)}{more})"


@dataclass(frozen=True, slots=True)
class Preferences(Generic[Record]):
    """Rows ready for training, in the files' order, and how each file was read."""

    rows: list[Record]
    readings: tuple[Reading, ...]

    def summary(self) -> str:
        """One line: ``read as ShareGPT pairs, 300 rows``; with several files, one clause for each."""
        if len(self.readings) == 1:
            return self.readings[0].summary()
        return "; ".join(f"{reading.file} {reading.summary()}" for reading in self.readings)


@overload
def read_preferences(
    paths: Paths, *, unpaired: Literal[False], format: str | None = None, terms: Sequence[str] = ()
) -> Preferences[PreferencePair]: ...
@overload
def read_preferences(
    paths: Paths, *, unpaired: Literal[True], format: str | None = None, terms: Sequence[str] = ()
) -> Preferences[LabelledAnswer]: ...
@overload
def read_preferences(
    paths: Paths, *, unpaired: bool, format: str | None = None, terms: Sequence[str] = ()
) -> Preferences[PreferencePair] | Preferences[LabelledAnswer]: ...
def read_preferences(
    paths: Paths, *, unpaired: bool, format: str | None = None, terms: Sequence[str] = ()
) -> Preferences[PreferencePair] | Preferences[LabelledAnswer]:
    """Preference data from files or rows, checked row by row.

    Args:
        paths: One file, several files, or the rows themselves as dicts. Files end in ``.jsonl``, ``.ndjson``,
            ``.json`` or ``.parquet``.
        unpaired: Whether the method learns from labelled answers one at a time, as KTO does, rather than from pairs.
            Pairs then become two labelled answers each, the chosen one first.
        format: The layout's name, e.g. ``"sharegpt"``; by default each file's first row tells.
        terms: Terms of the vocabulary that every row must give a number for, such as ``"weight"``; each has columns of
            its own.

    Returns:
        The rows with how each file was read.

    Raises:
        InputError: At the first fault in a file or row.
    """
    forced = layout_named(format) if format is not None else None
    rows: list[PreferencePair | LabelledAnswer] = []
    readings = []
    for file, located in _sources(paths):
        found, reading = _read_source(file, located, unpaired=unpaired, forced=forced, terms=terms)
        rows += found
        readings.append(reading)
    if unpaired:
        return Preferences([answer for row in rows for answer in _as_answers(row)], tuple(readings))
    return Preferences([_as_pair(row) for row in rows], tuple(readings))


def _sources(paths: Paths) -> list[tuple[str, Located]]:
    """What to read, each with its name: files, opened in turn, or the rows that were given."""
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if isinstance(paths, Mapping) or not isinstance(paths, Iterable):
        raise InputError("files, or a list of rows, are wanted", where="read_preferences", got=describe(paths))
    given = list(paths)
    if not given:
        raise InputError("no files and no rows were given", where="read_preferences")
    files = [Path(item) for item in given if isinstance(item, str | os.PathLike)]
    if len(files) == len(given):
        return [(path_text(file), rows_of_file(file)) for file in files]
    return [("rows", ((f"row {number}", row) for number, row in enumerate(given, 1)))]


def _read_source(
    file: str, located: Located, *, unpaired: bool, forced: Layout | None, terms: Sequence[str]
) -> tuple[list[PreferencePair | LabelledAnswer], Reading]:
    """One file's records; its first row settles the layout for all of them."""
    layout: Layout | None = None
    records = []
    unused: Counter[str] = Counter()
    for source, value in located:
        row = _as_object(value, source)
        if layout is None:
            layout = _settle_layout(row, source, unpaired=unpaired, forced=forced)
        elif not layout.matches(row):
            raise missing_columns(layout, row, source, f"{layout.title}, the layout of the file's first row")
        found = {term: _column(term, row, source) for term in terms}
        numbers = {term: _number(term, row[column], column, source) for term, column in found.items()}
        record = layout.convert(row, source)
        records.append(dataclasses.replace(record, numbers=numbers) if numbers else record)
        unused.update(name for name in layout.unused(row) if name not in found.values())
    if layout is None:
        raise InputError("the file holds no rows", where=file)
    reading = Reading(
        file=file,
        format=layout.name,
        title=layout.title,
        rows=len(records),
        split=unpaired and layout.paired,
        unused=dict(unused),
    )
    return records, reading


def _as_object(value: object, source: str) -> Row:
    if not isinstance(value, Mapping):
        raise InputError("the row is not an object with named columns", where=source, got=describe(value))
    for column in value:
        if not isinstance(column, str):
            raise InputError("a column's name is not a string", where=source, got=describe(column))
    return value


def _column(term: str, row: Row, source: str) -> str:
    """The row's column that gives a term."""
    names = TERMS[term].columns
    for name in names:
        if row.get(name) is not None:
            return name
    wanted = " or ".join(quoted(name) for name in names)
    raise InputError(f"the row has no {wanted}, which is asked for: {TERMS[term].meaning}", where=source)


def _number(term: str, value: object, column: str, source: str) -> float:
    """A column's number, within the term's domain."""
    domain = TERMS[term]
    plain = isinstance(value, int | float) and (domain.binary or not isinstance(value, bool))
    number = float(value) if isinstance(value, int | float) and plain else math.nan
    if domain.binary and number not in (0, 1):
        raise InputError(f"{quoted(column)} is neither true nor false", where=source, got=describe(value))
    if not (math.isfinite(number) and domain.least <= number <= domain.most):
        limits = f" from {domain.least:g}" if math.isfinite(domain.least) else ""
        limits += f" to {domain.most:g}" if math.isfinite(domain.most) else " up" * bool(limits)
        raise InputError(f"{quoted(column)} must be a number{limits}", where=source, got=describe(value))
    return number


def _settle_layout(row: Row, source: str, *, unpaired: bool, forced: Layout | None) -> Layout:
    layout = forced if forced is not None else recognise(row, source)
    if not layout.matches(row):
        raise missing_columns(layout, row, source, f'the format "{layout.name}"')
    if not (layout.paired or unpaired):
        raise InputError(
            f"the file holds labelled answers ({layout.title}), and methods that compare two answers, "
            "such as DPO, IPO and SimPO, need pairs",
            where=source,
            fix='Use `--method kto`, or give rows with "chosen" and "rejected"',
        )
    return layout


def _as_answers(record: PreferencePair | LabelledAnswer) -> list[LabelledAnswer]:
    """A labelled answer itself, or a pair's two answers, side by side: the trainer shuffles."""
    if isinstance(record, LabelledAnswer):
        return [record]
    return [
        LabelledAnswer(record.prompt, record.chosen, True, record.source, record.numbers),
        LabelledAnswer(record.prompt, record.rejected, False, record.source, record.numbers),
    ]


def _as_pair(record: PreferencePair | LabelledAnswer) -> PreferencePair:
    assert isinstance(record, PreferencePair), "the layout was settled as one of pairs"
    return record
