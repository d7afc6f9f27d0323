"""Rows drawn from data one at a time, each read into a record or refused with the reason; a refusal stops nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from penchant.data.files import Broken
from penchant.data.formats import layout_named, missing_columns, recognise
from penchant.data.formats.fields import Row, describe, number, quoted, truth
from penchant.data.formats.layout import Layout, Record
from penchant.data.sources import Paths, Source, unweighed
from penchant.data.stated import stated_texts
from penchant.errors import InputError
from penchant.records import Numbers, PreferencePair
from penchant.vocabulary import ANSWER_TERMS, PAIR_TERMS, TERMS

STOPPED: Final = object()
"""Stands for what a file holds where it cannot be read on."""

ALL_TERMS = tuple(name for name, term in TERMS.items() if term.columns and term.holds == "number")
"""Every number that data may state, for those who want whatever a row says."""

_TEXT = {str}
_NUMBER_COLUMNS = frozenset(column for name in ALL_TERMS for column in TERMS[name].columns)

_OF_PAIRS = tuple(name for name in ALL_TERMS if name not in ANSWER_TERMS)
_OF_ANSWERS = tuple(name for name in ALL_TERMS if name not in PAIR_TERMS)


class ReadRow(NamedTuple):
    """One row as it was found: ``record`` where it can be read, ``fault`` where it is refused.

    Attributes:
        source: ``file:line``.
        raw: What the file holds; text that is no JSON as :class:`Broken`, and :data:`STOPPED` where it ends too early.
        record: What was read.
        fault: Why there is nothing.
        layout: The file's layout, once a row has shown it.
    """

    source: str
    raw: object
    record: Record | None
    fault: InputError | None
    layout: Layout | None


def read_rows(paths: Paths, format: str | None = None) -> Iterator[ReadRow]:
    """Every row, in order; memory holds one at a time.

    A file that breaks off, such as a truncated archive, ends with a refused row whose ``raw`` is :data:`STOPPED`.

    Args:
        paths: What :func:`read_preferences` takes.
        format: The layout's name; by default each file's first readable row tells.

    Raises:
        InputError: if a file cannot be opened, holds no rows, or its first row is in no known layout.
    """
    forced = layout_named(format) if format is not None else None
    for source in unweighed(paths):
        yield from rows_of_source(source, forced)


def rows_of_source(source: Source, forced: Layout | None, known: Layout | None = None) -> Iterator[ReadRow]:
    """The rows of one source, as :func:`read_rows` gives them; of a part of it where its layout is ``known``."""
    layout = forced or known
    broken: InputError | None = None  # the first row's fault, as long as nothing else is in the file
    rows = 0
    located = source.rows()
    while True:
        try:
            place, raw = next(located)
        except StopIteration:
            break
        except InputError as error:
            if layout is None:
                raise broken or error from None
            what = f"{error.what}; what lies behind was not read"
            stop = InputError(what, where=error.where or source.name, got=error.got, fix=error.fix)
            yield ReadRow(stop.where or "", STOPPED, None, stop, layout)
            return
        rows += 1
        fault = _no_object(raw, place)
        broken = (broken if rows > 1 else fault) if isinstance(raw, Broken) else None
        if fault is None:
            assert isinstance(raw, Mapping)
            layout = layout or recognise(raw, place)
            yield _read(layout, raw, place, forced=forced is not None)
        else:
            yield ReadRow(place, raw, None, fault, layout)
    if not rows and known is None:
        raise InputError("the file holds no rows", where=source.name)
    if layout is None and broken is not None:
        raise broken


def _no_object(raw: object, place: str) -> InputError | None:
    """Why a row is none, if it is not."""
    if isinstance(raw, Broken):
        return raw.fault
    if raw.__class__ is dict and set(map(type, raw)) == _TEXT:
        return None
    if not isinstance(raw, Mapping):
        return InputError("the row is not an object with named columns", where=place, got=describe(raw))
    for column in raw:
        if not isinstance(column, str):
            return InputError("a column's name is not a string", where=place, got=describe(column))
    return None


def _read(layout: Layout, raw: Row, place: str, *, forced: bool) -> ReadRow:
    try:
        if not layout.matches(raw):
            owner = f'the format "{layout.name}"' if forced else f"{layout.title}, the layout of the file's first row"
            raise missing_columns(layout, raw, place, owner)
        return ReadRow(place, raw, layout.convert(raw, place), None, layout)
    except InputError as fault:
        return ReadRow(place, raw, None, fault, layout)


def with_numbers(row: ReadRow, terms: Sequence[str]) -> tuple[Record, frozenset[str]]:
    """The record with exactly what is asked for, and the columns that gave it.

    Raises:
        InputError: if the row does not state one, or what it states is not what the term is.
    """
    record, raw, layout = row.record, row.raw, row.layout
    assert record is not None and isinstance(raw, Mapping) and layout is not None, "the row was read"
    numbers: dict[str, float] = {}
    used = []
    texts: dict[str, str] = {}
    for term in terms:
        column = None if term in record.numbers else _column(term, raw)
        if column is not None and TERMS[term].holds != "number":
            texts[term] = column
        elif column is not None:
            used.append(column)
            numbers[term] = _number(term, raw[column], column, row.source)
        else:
            known = _known(record.numbers, term)
            if known is None:
                raise _not_stated(term, row.source)
            numbers[term] = known
    changes: dict[str, Any] = stated_texts(record, texts, raw, row.source)
    changes |= {"numbers": numbers} if numbers or record.numbers else {}
    changed = dataclasses.replace(record, **changes) if changes else record
    return changed, frozenset((*used, *texts.values()))


def with_all_numbers(row: ReadRow) -> Record:
    """The record with every number that the row states.

    Raises:
        InputError: if one is outside its term's domain.
    """
    record, raw, layout = row.record, row.raw, row.layout
    assert record is not None and isinstance(raw, Mapping) and layout is not None, "the row was read"
    if _NUMBER_COLUMNS.isdisjoint(raw):
        return record
    terms = _OF_PAIRS if isinstance(record, PreferencePair) else _OF_ANSWERS
    used, found = layout.used, dict(record.numbers)
    for term in terms:
        column = _column(term, raw)
        if term not in found and column is not None and column not in used:
            found[term] = _number(term, raw[column], column, row.source)
    return dataclasses.replace(record, numbers=found) if found else record


def _known(numbers: Numbers, term: str) -> float | None:
    """What the layout itself states, or what follows from it: ratings give a margin."""
    if term == "margin" and term not in numbers and "chosen_scores" in numbers and "rejected_scores" in numbers:
        return numbers["chosen_scores"] - numbers["rejected_scores"]
    return numbers.get(term)


def score_gap(row: ReadRow) -> float | None:
    """By how much a pair's chosen answer is rated above the rejected one; nothing where a rating is not stated."""
    assert row.record is not None, "the row was read"
    found = []
    numbers, raw = row.record.numbers, row.raw
    for term in ("chosen_scores", "rejected_scores"):
        score: object = numbers.get(term)
        if score is None and isinstance(raw, Mapping):
            score = next((raw[name] for name in TERMS[term].columns if raw.get(name) is not None), None)
        if not isinstance(score, int | float):
            return None
        found.append(score)
    return found[0] - found[1]


def _column(term: str, row: Row) -> str | None:
    """The row's column that gives a term."""
    return next((name for name in TERMS[term].columns if row.get(name) is not None), None)


def _not_stated(term: str, source: str) -> InputError:
    names = TERMS[term].columns
    wanted = " or ".join(quoted(name) for name in names)
    return InputError(f"the row has no {wanted}, which is asked for: {TERMS[term].meaning}", where=source)


def _number(term: str, value: object, column: str, source: str) -> float:
    """A column's number, within the term's domain."""
    domain = TERMS[term]
    if not domain.binary:
        return number(value, quoted(column), source, domain.least, domain.most)
    found = truth(int(value) if isinstance(value, float) and value.is_integer() else value)
    if found is None:
        raise InputError(f"{quoted(column)} is neither true nor false", where=source, got=describe(value))
    return float(found)


def stated(numbers: Numbers, terms: Sequence[str]) -> Numbers:
    """The numbers of some terms only."""
    return {name: value for name, value in numbers.items() if name in terms}
