"""CSV, Parquet and Arrow files, a batch of rows at a time."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from penchant.data.files.place import MOST_ROW_BYTES, Broken, Located, path_text
from penchant.errors import InputError

_BATCH_ROWS = 1024
_PAGE = 1 << 16
_BATCH_BYTES = 1 << 24
_SHOWN_REASON = 200


def csv_rows(stream: BinaryIO, where: str, *, delimiter: str) -> Located:
    """Rows of text cells under the names of the first line; an empty cell is no value.

    Numbers, labels and lists of messages are read from a cell's text where the layout asks for them.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    limit = csv.field_size_limit(MOST_ROW_BYTES)
    line = 1
    try:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        names = next(reader, [])
        if len(set(names)) < len(names):
            name = next(name for name in names if names.count(name) > 1)
            raise InputError(f"the column {name!r} stands twice in the first line", where=f"{where}:1")
        line = reader.line_num + 1
        for cells in reader:
            source, line = f"{where}:{line}", reader.line_num + 1
            if cells:
                yield source, _row_of_cells(names, cells, source)
    except csv.Error as error:
        raise InputError(f"not valid CSV: {error}", where=f"{where}:{line}", fix="Repair the quotes") from error
    finally:
        csv.field_size_limit(limit)
        text.detach()


def _row_of_cells(names: list[str], cells: list[str], source: str) -> object:
    whole = ",".join(cells)
    if len(cells) != len(names):
        what = f"the row has {len(cells)} cells and the first line {len(names)}"
        fix = "Put cells with commas or line breaks into double quotes"
        return Broken(_shown(whole), InputError(what, where=source, fix=fix))
    try:
        whole.encode("utf-8")
    except UnicodeEncodeError:
        return Broken(_shown(whole), InputError("the row is not UTF-8", where=source, fix="Save the file as UTF-8"))
    return {name: cell or None for name, cell in zip(names, cells, strict=True)}


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def parquet_rows(path: Path) -> Located:
    """The rows of a Parquet file, by number."""
    return _numbered(path, "Parquet", _parquet_batches)


def arrow_rows(path: Path) -> Located:
    """The rows of an Arrow file, of the kind that holds an index (Feather too) or of a stream, as datasets writes."""
    return _numbered(path, "Arrow", _arrow_batches)


def needs_arrow(name: str, where: str) -> Any:
    """A module of pyarrow.

    Raises:
        InputError: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        fix = 'Run `pip install "penchant[train]"`'
        raise InputError("reading this kind of file needs pyarrow", where=where, fix=fix) from error


def _numbered(path: Path, kind: str, batches: Any) -> Located:
    where = path_text(path)
    arrow = needs_arrow("pyarrow", where)
    number = 0
    try:
        for batch in batches(path, where):
            for row in batch.to_pylist():
                number += 1
                yield f"{where}:row {number}", row
    # ValueError: bytes in a string column that are not UTF-8. RecursionError: nested types.
    except (arrow.ArrowException, OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:_SHOWN_REASON].rstrip(".")
        behind = f" behind row {number}" if number else ""
        raise InputError(f"cannot be read as {kind}{behind}: {reason}", where=where) from error


def _parquet_batches(path: Path, where: str) -> Iterator[Any]:
    # pre_buffer, for far-away storage, holds hundreds of megabytes of what was read already.
    with needs_arrow("pyarrow.parquet", where).ParquetFile(path, pre_buffer=False, buffer_size=_PAGE) as file:
        facts = file.metadata
        size = sum(facts.row_group(k).total_byte_size for k in range(facts.num_row_groups))
        yield from file.iter_batches(batch_size=_rows_at_once(size, facts.num_rows))


def _arrow_batches(path: Path, where: str) -> Iterator[Any]:
    arrow = needs_arrow("pyarrow", where)
    ipc = needs_arrow("pyarrow.ipc", where)
    with arrow.memory_map(str(path)) as file:
        try:
            reader = ipc.open_file(file)
            batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
        except arrow.ArrowInvalid:
            file.seek(0)
            batches = iter(ipc.open_stream(file))
        for batch in batches:
            batch.validate(full=True)  # a broken file would otherwise be read beyond its memory
            rows = _rows_at_once(batch.nbytes, batch.num_rows)
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)


def _rows_at_once(size: int, rows: int) -> int:
    """So many that a batch has about 16 MB."""
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * max(rows, 1) // max(size, 1)))
