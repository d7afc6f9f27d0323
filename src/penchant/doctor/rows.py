"""Rows drawn from data files one at a time, the refused ones with the reader's reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from penchant.data.formats import layout_named, missing_columns, recognise
from penchant.data.formats.fields import describe
from penchant.data.formats.files import path_text, rows_of_file
from penchant.data.formats.layout import Layout
from penchant.doctor.rule import Record
from penchant.errors import InputError

BROKEN: Final = object()
"""Stands for what a file holds where it is not JSON; the rows behind it cannot be read."""


class ReadRow(NamedTuple):
    """One row as it was found: ``record`` where the reader takes it, ``fault`` where it refuses it.

    Attributes:
        source: ``file:line``.
        raw: What the file holds, or :data:`BROKEN`.
        record: The pair or labelled answer.
        fault: Why there is none.
        layout: The file's layout in words.
    """

    source: str
    raw: object
    record: Record | None
    fault: InputError | None
    layout: str


def read_rows(paths: Iterable[str], format: str | None = None) -> Iterator[ReadRow]:
    """Every row of the files, in order; a refused row is given with its fault and does not stop the reading.

    Text that is not JSON ends its file, because where the next row begins is then unknown: its fault is the last row.

    Raises:
        InputError: if a file cannot be opened, holds no rows, or its first row is in no known layout.
    """
    forced = layout_named(format) if format is not None else None
    sources = [(path_text(Path(path)), rows_of_file(Path(path))) for path in paths]
    for file, located in sources:
        layout: Layout | None = forced
        rows = 0
        try:
            for source, raw in located:
                rows += 1
                if not isinstance(raw, dict):
                    fault = InputError("the row is not an object with named columns", where=source, got=describe(raw))
                    yield ReadRow(source, raw, None, fault, layout.title if layout else "")
                    continue
                layout = layout or recognise(raw, source)
                yield _read(layout, raw, source)
        except InputError as fault:
            if layout is None:
                raise
            place = fault.where or file
            stop = InputError(f"{fault.what}; the rows behind it were not read", where=place, got=fault.got)
            yield ReadRow(place, BROKEN, None, stop, layout.title)
        if not rows:
            raise InputError("the file holds no rows", where=file)


def _read(layout: Layout, raw: dict[str, object], source: str) -> ReadRow:
    try:
        if not layout.matches(raw):
            raise missing_columns(layout, raw, source, f"{layout.title}, the layout of the file's first row")
        return ReadRow(source, raw, layout.convert(raw, source), None, layout.title)
    except InputError as fault:
        return ReadRow(source, raw, None, fault, layout.title)
