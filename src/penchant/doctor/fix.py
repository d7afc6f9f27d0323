"""Write the rows that pass, and the others beside them with the reasons."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from penchant.doctor.rows import BROKEN, ReadRow
from penchant.doctor.rule import Rule
from penchant.errors import InputError


def refused_path(out: Path) -> Path:
    """Where the rows go that do not pass: ``clean.jsonl`` has ``clean.refused.jsonl`` beside it."""
    return out.with_name(f"{out.stem}.refused.jsonl")


def check_fixable(out: Path) -> None:
    """See before the work that the result can be written.

    Raises:
        InputError: if the name is no JSON Lines file, its folder is missing, or either file is there already.
    """
    if out.suffix not in (".jsonl", ".ndjson"):
        raise InputError(
            "the rows that pass are written as JSON Lines", where="--fix", got=str(out), fix="End in .jsonl"
        )
    if not out.parent.is_dir():
        raise InputError("no such folder", where="--fix", got=str(out.parent))
    for path in (out, refused_path(out)):
        if path.exists():
            raise InputError(
                "the file is there already", where="--fix", got=str(path), fix="Name another, or remove it"
            )


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
    targets = (out, refused_path(out))
    drafts = [target.with_name(f".{target.name}.part") for target in targets]
    passed = dropped = 0
    try:
        with drafts[0].open("wb") as good, drafts[1].open("wb") as bad:
            for number, row in enumerate(rows):
                _check_whole(row)
                why = reasons.get(number)
                if why is None:
                    good.write(msgspec.json.encode(row.raw) + b"\n")
                    passed += 1
                else:
                    bad.write(msgspec.json.encode(_refusal(row, why)) + b"\n")
                    dropped += 1
        for draft, target in zip(drafts, targets, strict=True):
            draft.replace(target)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    return passed, dropped


def _check_whole(row: ReadRow) -> None:
    if row.raw is BROKEN and row.fault is not None:
        fix = "Repair the file first; --fix would lose them"
        raise InputError(row.fault.what, where=row.source, got=row.fault.got, fix=fix)


def _refusal(row: ReadRow, why: list[tuple[Rule, str]]) -> dict[str, Any]:
    reasons = [{"id": rule.id, "title": rule.title, "detail": detail} for rule, detail in why]
    return {"source": row.source, "reasons": reasons, "row": row.raw}
