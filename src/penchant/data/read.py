"""Preference data read whole, into the records that a method trains on; the first fault is raised."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Generic, Literal, TypeVar, overload

from penchant.data.formats import layout_named
from penchant.data.formats.fields import Row, quoted, truth
from penchant.data.formats.layout import Layout, Record
from penchant.data.rows import rows_of_source, stated, with_numbers
from penchant.data.shaping import BEST_WORST, BY_LISTS, answers_of, grouped, is_tie, labels_of
from penchant.data.sources import Paths, Source, copies, sources_of
from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair, RankedAnswers, TokenAnswer, TokenPair
from penchant.spool import Chosen, Spool
from penchant.vocabulary import TERMS

Read = TypeVar("Read", PreferencePair, LabelledAnswer, RankedAnswers)

WEIGHING_COLUMNS = ("weight", "margin", "chosen_score", "rejected_score", "score_chosen", "score_rejected")
"""Columns that would change training if they were used; a summary names them before any other unused column."""

_LEFT_OUT = ("no preference stated", "answers alone under their prompt", "ties")
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
        made: What was made of them where they were not taken as they are, such as ``48 pairs, the best against the
            worst``.
        left_out: Rows that say nothing to learn from, in words with their numbers.
        unused: Each column that was not used, with the number of rows that have it.
        weight: How often each row is taken.
    """

    file: str
    format: str
    title: str
    rows: int
    made: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)
    weight: float = 1.0

    def summary(self) -> str:
        """``read as ShareGPT pairs, 300 rows``."""
        count = self.made or counted(self.rows, "row")
        left = ", ".join(f"{words} {number:,}" for words, number in self.left_out.items())
        left = f", left out: {left}" if left else ""
        times = f", each taken {self.weight:g} times" if self.weight != 1 else ""
        return f"read as {self.title}, {count}{left}{times}{self._unused_clause()}"

    def _unused_clause(self) -> str:
        if not self.unused:
            return ""
        names = sorted(self.unused, key=lambda name: (name.split(".")[-1] not in WEIGHING_COLUMNS, name))
        # Names without quotes where they can stand alone: the clause is read far more often than it is pasted.
        shown = [name if _PLAIN_NAME.fullmatch(name) else quoted(name) for name in names[:_SHOWN_UNUSED]]
        more = f" and {len(names) - _SHOWN_UNUSED} more" if len(names) > _SHOWN_UNUSED else ""
        return f" (columns not used: {', '.join(shown)}{more})"


def counted(number: int, what: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{number} {what}{'s' if number != 1 else ''}"


@dataclass(frozen=True, slots=True)
class Preferences(Generic[Read]):
    """Rows ready for training, in the files' order, and how each file was read; many rows lie in a temporary file."""

    rows: Sequence[Read]
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

    Lists of rated answers give the best against the worst. Ties are left out, unless ``is_tie`` is among ``terms``;
    so are rows that were never judged. Rows that are token ids already are given as :class:`TokenPair` or
    :class:`TokenAnswer`.

    Args:
        paths: A file, a folder, a Hugging Face dataset, several of them, or the rows themselves as dicts.
            ``NAME@2`` takes each row twice, ``NAME@0.1`` a tenth of them.
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
    return _read_all(paths, "answers" if unpaired else "pairs", format, terms)


def read_lists(paths: Paths, *, format: str | None = None, terms: Sequence[str] = ()) -> Preferences[RankedAnswers]:
    """Lists of rated answers from files or rows; the arguments are those of :func:`read_preferences`.

    Rows of one answer each that follow one another with the same prompt make one list.

    Raises:
        InputError: At the first fault in a file or row, or if a file holds pairs or labels instead.
    """
    return _read_all(paths, "lists", format, terms)


def _read_all(paths: Paths, kind: str, format: str | None, terms: Sequence[str]) -> Preferences[Any]:
    forced = layout_named(format) if format is not None else None
    rows: Spool[Any] = Spool()
    taken = array("q")
    readings = []
    for source in sources_of(paths):
        reader, first = _Reader(kind, tuple(terms)), len(rows)
        rows.extend(reader.read(source, forced))
        found = len(rows) - first
        readings.append(reader.reading(source, found))
        taken.extend(first + number for number in range(found) for _ in range(copies(source.weight, number)))
    if not taken:
        raise InputError("no rows are left to train on", where=readings[0].file, got=readings[0].summary())
    weighed = any(reading.weight != 1 for reading in readings)
    return Preferences(Chosen(rows, taken) if weighed else rows, tuple(readings))


class _Reader:
    """One file's records of the kind that is wanted, and what became of the others."""

    def __init__(self, kind: str, terms: tuple[str, ...]) -> None:
        self._kind, self._terms = kind, terms
        self._layout: Layout | None = None
        self._rows = 0
        self._unused: Counter[str] = Counter()
        self._left_out = Counter(dict.fromkeys(_LEFT_OUT, 0))

    def read(self, source: Source, forced: Layout | None) -> Iterator[Any]:
        records: Iterator[Any] = self._records(source, forced)
        first = next(records, None)
        if first is None:
            return
        records = chain([first], records)
        assert self._layout is not None, "the first record tells"
        if self._layout.gives == "lists":
            lists = self._alone_left_out(grouped(records))
            records = lists if self._kind == "lists" else self._pairs(lists)
        if self._kind == "answers":
            records = (answer for row in records for answer in self._answers(row))
        yield from records

    def _records(self, source: Source, forced: Layout | None) -> Iterator[Record]:
        for row in rows_of_source(source, forced):
            self._rows += 1
            if row.fault is not None:
                if row.fault.kind != "unstated":
                    raise row.fault
                self._left_out["no preference stated"] += 1
                self._layout = self._layout or row.layout
                continue
            assert row.layout is not None and isinstance(row.raw, Mapping), "the row was read"
            if self._layout is None:
                self._layout = row.layout
                self._check_kind(row.layout, row.source)
            record, used = with_numbers(row, self._asked(row.record))
            if self._kind == "answers" and isinstance(row.record, PreferencePair):
                record = replace(record, numbers={**labels_of(row.record), **record.numbers})
            self._unused.update(name for name in row.layout.unused(row.raw) if name not in used)
            if isinstance(record, PreferencePair) and self._is_tie(row.record, row.raw):
                self._left_out["ties"] += 1
                continue
            yield record

    def _asked(self, record: Record | None) -> tuple[str, ...]:
        """What the row itself must state: not what follows from a list's scores, and of a pair each answer's own."""
        if isinstance(record, RankedAnswers):
            return tuple(term for term in self._terms if term not in BY_LISTS)
        if isinstance(record, PreferencePair) and self._kind == "answers" and "score" in self._terms:
            return (*(term for term in self._terms if term != "score"), "chosen_scores", "rejected_scores")
        return self._terms

    def _is_tie(self, record: Record | None, row: Row) -> bool:
        """A tie is no preference, whatever else the method takes; only one that asks for ties learns from it."""
        if "is_tie" in self._terms or (
            self._kind == "answers" and isinstance(record, PreferencePair) and labels_of(record)
        ):
            return False
        told = isinstance(record, PreferencePair) and is_tie(record)
        return told or any(truth(row.get(name)) is True for name in TERMS["is_tie"].columns)

    def _check_kind(self, layout: Layout, source: str) -> None:
        if self._kind == "pairs" and layout.gives == "answers":
            raise InputError(
                f"the file holds labelled answers ({layout.title}), and methods that compare two answers, "
                "such as DPO, IPO and SimPO, need pairs",
                where=source,
                fix="Take a method of single answers, such as kto (penchant logps: --unpaired), or give rows with "
                '"chosen" and "rejected"',
            )
        if self._kind == "lists" and layout.gives != "lists":
            what = f"the file holds no lists of rated answers ({layout.title}), and the method needs them"
            raise InputError(what, where=source, fix="Convert it: penchant convert IN OUT --to ranking")

    def _pairs(self, lists: Iterable[RankedAnswers]) -> Iterator[PreferencePair]:
        for row in lists:
            pairs = BEST_WORST.pairs(row)
            ties = [pair for pair in pairs if is_tie(pair)] if "is_tie" not in self._terms else []
            self._left_out["ties"] += len(ties) or not pairs
            yield from (self._trimmed(pair) for pair in pairs if pair not in ties)

    def _trimmed(self, pair: PreferencePair) -> PreferencePair:
        """A pair of a list with the numbers that are asked for; of single answers, what gives them their score."""
        terms = (*self._terms, "chosen_scores", "rejected_scores") if "score" in self._terms else self._terms
        return replace(pair, numbers=stated(pair.numbers, terms))

    def _alone_left_out(self, lists: Iterable[RankedAnswers]) -> Iterator[RankedAnswers]:
        for row in lists:
            if len(row.answers) > 1:
                yield row
            else:
                self._left_out["answers alone under their prompt"] += 1

    def _answers(self, row: Any) -> list[Any]:
        """A labelled answer itself, or a pair's two answers, side by side: the trainer shuffles."""
        if isinstance(row, LabelledAnswer | TokenAnswer):
            return [row]
        if isinstance(row, TokenPair):
            sides = ((row.chosen_ids, True), (row.rejected_ids, False))
            return [TokenAnswer(row.prompt_ids, ids, label, row.source, [], row.numbers) for ids, label in sides]
        return [replace(answer, numbers=stated(answer.numbers, self._terms)) for answer in answers_of(row)]

    def reading(self, source: Source, found: int) -> Reading:
        """What is said of the file."""
        layout = self._layout
        assert layout is not None, "a source without rows is refused"
        left_out = {words: number for words, number in self._left_out.items() if number}
        made = self._made(layout, found)
        return Reading(
            source.name, layout.name, layout.title, self._rows, made, left_out, dict(self._unused), source.weight
        )

    def _made(self, layout: Layout, found: int) -> str:
        split = self._kind == "answers" and layout.gives != "answers"
        if layout.gives == "lists" and self._kind != "lists":
            into = f"{counted(found // 2 if split else found, 'pair')}, the best against the worst"
            into += f", split into {found} labelled answers" * split
            return f"{counted(self._rows, 'row')} made into {into}"
        return f"{counted(found // 2, 'pair')} split into {found} labelled answers" if split else ""
