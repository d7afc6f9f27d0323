"""Rows as JSON Lines, and beside them those that were refused, with the reasons; both files whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from penchant.data.files import Broken
from penchant.errors import InputError

_ENDINGS = (".jsonl", ".ndjson")
_encode = msgspec.json.Encoder().encode


def refused_path(out: Path) -> Path:
    """Where the rows go that are refused: ``clean.jsonl`` has ``clean.refused.jsonl`` beside it."""
    return out.with_name(f"{out.stem}.refused.jsonl")


def check_writable(out: Path, option: str) -> None:
    """See before the work that the result can be written.

    Raises:
        InputError: if the name is no JSON Lines file, its folder is missing, or either file is there already.
    """
    if out.suffix not in _ENDINGS:
        raise InputError("rows are written as JSON Lines", where=option, got=str(out), fix="End in .jsonl")
    if not out.parent.is_dir():
        raise InputError("no such folder", where=option, got=str(out.parent))
    for path in (out, refused_path(out)):
        if path.exists():
            raise InputError("the file is there already", where=option, got=str(path), fix="Name another, or remove it")


@contextmanager
def two_files(out: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The file of rows and that of refused rows; they appear when all went well, the second if anything is in it."""
    targets = (out, refused_path(out))
    drafts = [target.with_name(f".{target.name}.part") for target in targets]
    try:
        with ExitStack() as stack:
            good, bad = (stack.enter_context(draft.open("wb")) for draft in drafts)
            yield good, bad
        for draft, target in zip(drafts, targets, strict=True):
            if target == out or draft.stat().st_size:
                draft.replace(target)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def line(value: Any) -> bytes:
    """One row as a line of JSON; what JSON has no word for is written as text."""
    try:
        return _encode(value) + b"\n"
    except (UnicodeEncodeError, TypeError):
        return json.dumps(value, default=str).encode() + b"\n"


def refusal(source: str, raw: object, reasons: Sequence[dict[str, str]]) -> dict[str, Any]:
    """A refused row as it is written: its place, why, and what was found, as ``row`` or, if it is no JSON, ``text``."""
    found = {"text": raw.text} if isinstance(raw, Broken) else {"row": raw}
    return {"source": source, "reasons": list(reasons), **found}
