"""Rows with the place to name when one is at fault, and what stands for a row that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from penchant.errors import InputError

Located: TypeAlias = Iterator[tuple[str, object]]
"""Rows, not yet known to be objects, each after its ``file:line`` (``file:row N`` in tables)."""

MOST_ROW_BYTES = 1 << 28
"""A longer row ends the reading of its file: no conversation is as long, but a broken or hostile file may be."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands among the rows for text that is none: the text as it was found, and what is wrong with it.

    Bytes that are not UTF-8 stand in the text as ``\\xff``.
    """

    text: str
    fault: InputError


def strict(rows: Located) -> Located:
    """The rows, up to the first that is broken, whose fault is raised."""
    for source, value in rows:
        if isinstance(value, Broken):
            raise value.fault
        yield source, value


def path_text(path: Path) -> str:
    """A path as text that can be printed, whatever bytes its name is made of."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def too_long(where: str) -> InputError:
    """The fault of a row over the limit."""
    what = f"a row is longer than {MOST_ROW_BYTES >> 20} MB"
    return InputError(what, where=where, fix="Put each row on a line of its own, or drop the row")
