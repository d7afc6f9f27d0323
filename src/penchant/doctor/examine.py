"""Walk over the rows once, ask every rule, and make the report."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from penchant.data import ReadRow, read_rows
from penchant.data.parts import in_parts
from penchant.data.rows import score_gap
from penchant.data.sources import Paths
from penchant.doctor import across, refused, text, whole
from penchant.doctor.columns import Columns
from penchant.doctor.example import Example
from penchant.doctor.report import Report, Tally
from penchant.doctor.rule import Finding, Record, Rule, Verdict
from penchant.errors import InputError
from penchant.records import TokenAnswer, TokenPair

_BATCH = 256
_CHECKS = tuple((one, one.check) for one in text.RULES)
_BY_ID = {one.id: one for one in (*refused.RULES, *text.RULES)}


class Examiner(Protocol):
    """Rules that see rows in batches, as those on tokens and log-probs do."""

    def see(self, rows: list[Record]) -> Iterator[tuple[int, Rule, Finding]]:
        """Findings in some rows, each with the row's index in the list."""

    @property
    def looked_at(self) -> Mapping[Rule, int]:
        """How many rows a rule looked at, where it was not all."""

    def close(self) -> Iterator[tuple[Rule, Verdict]]:
        """What the rules say of all the rows together."""


@dataclass(frozen=True, slots=True)
class Examination:
    """The report, and which rows ``--fix`` leaves out: row number to the rules and what they found."""

    report: Report
    reasons: dict[int, list[tuple[Rule, str]]]


def examine(
    rows: Iterable[ReadRow], *, held_out: Iterable[ReadRow] | None = None, examiners: Iterable[Examiner] = ()
) -> Examination:
    """Examine rows drawn one at a time; texts are let go as soon as they were seen.

    Args:
        rows: What to examine.
        held_out: The evaluation set that the rows must not share prompts with.
        examiners: Rules that need a model.
    """
    examiners = tuple(examiners)
    return _judged(_seen(rows, keep=bool(examiners)), held_out, examiners)


def examine_files(
    paths: Paths,
    format: str | None = None,
    *,
    held_out: Iterable[ReadRow] | None = None,
    examiners: Iterable[Examiner] = (),
) -> Examination:
    """Examine what :func:`read_rows` takes; without a model, a large file by a process per core."""
    examiners = tuple(examiners)
    if examiners:
        return examine(read_rows(paths, format), held_out=held_out, examiners=examiners)
    return _judged(in_parts(paths, format, _seen, apart=lambda layout: True), held_out, ())


@dataclass(slots=True)
class _Batch:
    """Rows that the rules on text have seen, numbered from 0: what they found, and what is kept of the rows."""

    rows: int = 0
    layouts: dict[str, None] = field(default_factory=dict)
    findings: list[tuple[str, int, str, Finding]] = field(default_factory=list)
    columns: Columns = field(default_factory=Columns)
    readable: array[int] = field(default_factory=lambda: array("q"))
    records: list[Record] = field(default_factory=list)

    def see(self, row: ReadRow, *, keep: bool) -> None:
        """Examine the next row, whose record is kept for other rules or not."""
        number = self.rows
        self.rows += 1
        if row.layout:
            self.layouts[row.layout.title] = None
        if row.record is None:
            assert row.fault is not None, "a row is read or refused"
            self.findings.append((refused.classify(row.fault).id, number, row.source, Finding(_reason(row.fault))))
            return
        if isinstance(row.record, TokenPair | TokenAnswer):
            what, fix = "the rows are tokens already, and the doctor reads text", "Examine the text they were made of"
            raise InputError(what, where=row.source, fix=fix)
        example = Example.of(row.record, score_gap(row))
        for one, check in _CHECKS:
            finding = check(example)
            if finding is not None:
                self.findings.append((one.id, number, row.source, finding))
        self.columns.add(example, row.source)
        self.readable.append(number)
        if keep:
            self.records.append(row.record)


def _seen(rows: Iterable[ReadRow], *, keep: bool = False) -> Iterator[_Batch]:
    """Rows in batches, examined; nothing for no rows."""
    waiting = iter(rows)
    while True:
        batch = _Batch()
        for row in islice(waiting, _BATCH):
            batch.see(row, keep=keep)
        if not batch.rows:
            return
        yield batch


def _judged(
    batches: Iterable[_Batch], held_out: Iterable[ReadRow] | None, examiners: tuple[Examiner, ...]
) -> Examination:
    """What the batches come to, with the rules that look at all rows."""
    tally, columns = Tally(), Columns()
    readable: array[int] = array("q")
    layouts: dict[str, None] = {}
    rows = 0
    for batch in batches:
        layouts |= batch.layouts
        for name, number, source, finding in batch.findings:
            tally.add(_BY_ID[name], rows + number, source, finding)
        columns.extend(batch.columns)
        numbers = [rows + number for number in batch.readable]
        readable.extend(numbers)
        _show(numbers, batch.records, examiners, tally)
        rows += batch.rows
    for one in examiners:
        tally.verdicts.update(one.close())
        tally.looked_at.update(one.looked_at)
    _compare(columns, readable, held_out, tally)
    report = Report(tuple(layouts), rows, rows - len(readable), tally.results(max(rows, 1)))
    return Examination(report, tally.reasons)


def _show(numbers: Sequence[int], records: list[Record], examiners: tuple[Examiner, ...], tally: Tally) -> None:
    for examiner in examiners if records else ():
        for index, one, finding in examiner.see(records):
            tally.add(one, numbers[index], records[index].source, finding)


def _compare(columns: Columns, readable: array[int], held_out: Iterable[ReadRow] | None, tally: Tally) -> None:
    """The rules that look at all rows; ``readable`` has the number of each row that stands in the columns."""
    other = _columns_of(held_out) if held_out is not None else None
    for one in across.RULES:
        for index, finding in one.check(columns, other):
            tally.add(one, readable[index], columns.source(index), finding)
    for one in whole.RULES:
        verdict = one.check(columns)
        if verdict is not None:
            tally.verdicts[one] = verdict


def _columns_of(rows: Iterable[ReadRow]) -> Columns:
    columns = Columns()
    for row in rows:
        if row.record is not None and not isinstance(row.record, TokenPair | TokenAnswer):
            columns.add(Example.of(row.record), row.source)
    return columns


def _reason(fault: InputError) -> str:
    """The reader's message without its place and without what to do, which the rule says."""
    return f"{fault.what}{f' (got {fault.got})' if fault.got is not None else ''}"
