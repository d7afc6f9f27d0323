"""Walk over the rows once, ask every rule, and make the report."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from penchant.data import ReadRow
from penchant.data.rows import score_gap
from penchant.doctor import across, refused, text, whole
from penchant.doctor.columns import Columns
from penchant.doctor.example import Example
from penchant.doctor.report import Report, Tally
from penchant.doctor.rule import Finding, Record, Rule, Verdict
from penchant.errors import InputError
from penchant.records import TokenAnswer, TokenPair

_BATCH = 256
_CHECKS = tuple((one, one.check) for one in text.RULES)


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
    tally, columns, examiners = Tally(), Columns(), tuple(examiners)
    readable: array[int] = array("q")
    layouts: dict[str, None] = {}
    waiting: list[tuple[int, Record]] = []
    number = -1
    for number, row in enumerate(rows):
        if row.layout:
            layouts[row.layout.title] = None
        if row.record is None:
            assert row.fault is not None, "a row is read or refused"
            tally.add(refused.classify(row.fault), number, row.source, Finding(_reason(row.fault)))
            continue
        if isinstance(row.record, TokenPair | TokenAnswer):
            what, fix = "the rows are tokens already, and the doctor reads text", "Examine the text they were made of"
            raise InputError(what, where=row.source, fix=fix)
        _examine_text(Example.of(row.record, score_gap(row)), row.source, number, tally, columns)
        readable.append(number)
        if examiners:
            waiting.append((number, row.record))
        if len(waiting) == _BATCH:
            _show(waiting, examiners, tally)
            waiting = []
    if waiting:
        _show(waiting, examiners, tally)
    for one in examiners:
        tally.verdicts.update(one.close())
        tally.looked_at.update(one.looked_at)
    _compare(columns, readable, held_out, tally)
    rows_seen = number + 1
    report = Report(tuple(layouts), rows_seen, rows_seen - len(readable), tally.results(max(rows_seen, 1)))
    return Examination(report, tally.reasons)


def _examine_text(example: Example, source: str, number: int, tally: Tally, columns: Columns) -> None:
    for one, check in _CHECKS:
        finding = check(example)
        if finding is not None:
            tally.add(one, number, source, finding)
    columns.add(example, source)


def _show(waiting: list[tuple[int, Record]], examiners: tuple[Examiner, ...], tally: Tally) -> None:
    for examiner in examiners:
        for index, one, finding in examiner.see([record for _, record in waiting]):
            number, record = waiting[index]
            tally.add(one, number, record.source, finding)


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
