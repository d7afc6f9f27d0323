"""Write the rows that pass, and the others beside them with the reasons."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from penchant.data import ReadRow
from penchant.data.rows import STOPPED
from penchant.data.write import line, refusal, two_files
from penchant.doctor.rule import Rule
from penchant.errors import InputError


def write_fixed(rows: Iterable[ReadRow], reasons: dict[int, list[tuple[Rule, str]]], out: Path) -> tuple[int, int]:
    """Write every row as it was found, to one of two files; both appear whole or not at all.

    Args:
        rows: The same rows in the same order as were examined.
        reasons: Row number to why it is left out.
        out: The file of the rows that pass.

    Returns:
        How many rows passed, and how many did not.

    Raises:
        InputError: if a file cannot be read to its end.
    """
    passed = dropped = 0
    with two_files(out) as (good, bad):
        for number, row in enumerate(rows):
            _check_whole(row)
            why = reasons.get(number)
            if why is None:
                good.write(line(row.raw))
                passed += 1
            else:
                told = [{"id": rule.id, "title": rule.title, "detail": detail} for rule, detail in why]
                bad.write(line(refusal(row.source, row.raw, told)))
                dropped += 1
    return passed, dropped


def _check_whole(row: ReadRow) -> None:
    if row.raw is STOPPED and row.fault is not None:
        fix = "Repair the file first; --fix would lose them"
        raise InputError(row.fault.what, where=row.source, got=row.fault.got, fix=fix)
