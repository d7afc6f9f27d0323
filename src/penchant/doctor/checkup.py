"""The rules on text over rows that are already read, in at most three lines: what a training run says of its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penchant.data import ReadRow
from penchant.doctor.examine import examine
from penchant.doctor.report import Report, RuleResult
from penchant.doctor.rule import Record, Severity
from penchant.records import LabelledAnswer, PreferencePair, RankedAnswers
from penchant.spool import distinct, kinds


def check_up(rows: Sequence[Record], held_out: Sequence[Record] | None = None) -> Report | None:
    """What the doctor finds; nothing in rows that are tokens already.

    Args:
        rows: Training rows.
        held_out: Evaluation rows, whose prompts must not be among them.
    """
    if not kinds(rows) <= {PreferencePair, LabelledAnswer, RankedAnswers}:
        return None
    return examine(_as_read(rows), held_out=None if held_out is None else _as_read(held_out)).report


def in_lines(report: Report | None) -> list[str]:
    """The rows at fault, the numbers on the whole, and where to read more."""
    if report is None:
        return ["rows that are tokens already are not examined: the doctor reads text"]
    found = [result for result in report.results if result.severity > Severity.NOTE]
    lines = [_rows_at_fault(report), "; ".join(result.detail for result in report.results if result.detail)]
    if found:
        lines.append(
            f'"penchant lint" on the same files says which rows, why it matters and what to do ({_ids(found)})'
        )
    return [line for line in lines if line]


def _as_read(rows: Sequence[Record]) -> Iterator[ReadRow]:
    # a row that is taken twice is not a duplicate
    return (ReadRow(row.source, None, row, None, None) for row in distinct(rows))


def _rows_at_fault(report: Report) -> str:
    counted = [result for result in report.results if result.count is not None and result.severity > Severity.NOTE]
    words = [f"{result.rule.title}: {result.count:,} (first {result.worst[0][0]})" for result in counted]
    return "; ".join(words) or f"no fault found in the text of {report.rows:,} rows"


def _ids(results: list[RuleResult]) -> str:
    return ", ".join(result.rule.id for result in results)
