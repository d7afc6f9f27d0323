"""Files of rows: JSON Lines, JSON arrays, CSV, Parquet and Arrow, the text ones packed or not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from penchant.data.files.place import Broken, Located, path_text, strict
from penchant.data.files.tables import arrow_rows, csv_rows, needs_arrow, parquet_rows
from penchant.data.files.text import json_rows, line_parts, rows_of_part
from penchant.data.formats.fields import describe
from penchant.errors import InputError

__all__ = ["Broken", "Located", "is_data_file", "located_rows", "parts_of_file", "path_text", "rows_of_file"]

_JSON = (".jsonl", ".ndjson", ".json")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_TABLES = {".parquet": parquet_rows, ".arrow": arrow_rows, ".feather": arrow_rows}
_PACKED = (".gz", ".zst", ".bz2", ".xz")
_BUFFER = 1 << 20


def rows_of_file(path: Path) -> Located:
    """The rows of one file; a broken one raises its fault.

    Raises:
        InputError: at once if there is no such file, or its ending is unknown; later if it cannot be read on.
    """
    return strict(located_rows(path))


def located_rows(path: Path) -> Located:
    """The rows of one file, a broken one as :class:`Broken`; else as :func:`rows_of_file`."""
    where = path_text(path)
    check_exists(path, where)
    kind, packed = _kind(path)
    if kind in _TABLES and not packed:
        return _TABLES[kind](path)
    if kind in _JSON:
        return _streamed(path, where, packed, lambda stream: json_rows(stream, where))
    if kind in _DELIMITERS:
        return _streamed(path, where, packed, lambda stream: csv_rows(stream, where, delimiter=_DELIMITERS[kind]))
    known = ", ".join((*_JSON, *_DELIMITERS, *_TABLES))
    got = describe("".join(path.suffixes[-2:]) if packed else path.suffix)
    fix = f"Known endings: {known}; text may be packed as {', '.join(_PACKED)}"
    raise InputError("not a known kind of file", where=where, got=got, fix=fix)


def parts_of_file(path: Path, size: int) -> Iterator[Callable[[], Located]]:
    """A file's rows in parts of about ``size`` bytes, in order, each to be opened apart.

    None where a file cannot be cut, or is not worth it: what is not JSON Lines, is packed, or no larger than one part.
    """
    kind, packed = _kind(path)
    if kind not in _JSON or packed or not path.is_file() or path.stat().st_size <= size:
        return
    where = path_text(path)
    with _readable(where, packed), _opened(path, where, packed) as stream:
        for part in line_parts(stream, size):
            yield partial(_streamed, path, where, packed, partial(rows_of_part, where=where, part=part))


def is_data_file(path: Path) -> bool:
    """Whether the file's ending is one that can be read."""
    kind, packed = _kind(path)
    return kind in _JSON or kind in _DELIMITERS or (kind in _TABLES and not packed)


def check_exists(path: Path, where: str) -> None:
    """See that there is such a file.

    Raises:
        InputError: if there is none, or it is a folder.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        start = "" if path.is_absolute() else f"; a relative path starts at {Path.cwd()}"
        raise InputError("no such file", where=where, fix=f"Check the path{start}") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have, such as one with a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot be read: {reason}", where=where) from error
    if stat.S_ISDIR(mode):
        raise InputError("is a folder, not a file", where=where, fix="Name a file")


def _kind(path: Path) -> tuple[str, str]:
    """The ending that says what is in the file, and the one that says how it is packed."""
    packed = path.suffix.lower()
    if packed in _PACKED:
        return path.with_suffix("").suffix.lower(), packed
    return packed, ""


def _streamed(path: Path, where: str, packed: str, read: Any) -> Located:
    with _readable(where, packed), _opened(path, where, packed) as stream:
        yield from read(stream)


@contextmanager
def _readable(where: str, packed: str) -> Iterator[None]:
    """One line for what the system or the unpacking says."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        what = f"the {packed} file breaks off or is damaged: {error}"
        raise InputError(what, where=where, fix="Fetch the file again") from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot be read: {reason}", where=where) from error


def _opened(path: Path, where: str, packed: str) -> BinaryIO:
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    if packed == ".zst":
        return io.BufferedReader(needs_arrow("pyarrow", where).input_stream(str(path), compression="zstd"), _BUFFER)
    opened: BinaryIO = openers[packed](path, "rb") if packed else path.open("rb", buffering=_BUFFER)
    return opened
