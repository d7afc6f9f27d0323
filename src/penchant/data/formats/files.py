"""Files of rows: JSON Lines, a JSON array or Parquet, each row with the place to name when it is at fault."""

from __future__ import annotations

import importlib
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from penchant.data.formats.fields import describe
from penchant.errors import InputError

Located: TypeAlias = Iterator[tuple[str, object]]
"""Rows, not yet known to be objects, each after its ``file:line`` (``file:row N`` in Parquet)."""

_TEXT_SUFFIXES = (".jsonl", ".ndjson", ".json")
_BOM = b"\xef\xbb\xbf"
_BATCH_ROWS = 1024
_SNIPPET_BYTES = 80
_SHOWN_REASON = 200

_BETWEEN_ROWS = re.compile(rb"[\s,]*")
_NO_NUMBER = re.compile(rb"NaN|Infinity")
_DETAIL = re.compile(r"(?:JSON is malformed: )?(.*) \(byte (\d+)\)")
"""How msgspec words a fault: ``JSON is malformed: invalid character (byte 6)``."""


def rows_of_file(path: Path) -> Located:
    """The rows of one file; its name and existence are checked now, its content as the rows are drawn."""
    where = path_text(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        start = "" if path.is_absolute() else f"; a relative path starts at {Path.cwd()}"
        raise InputError("no such file", where=where, fix=f"Check the path{start}") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have, such as one with a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot be read: {reason}", where=where) from error
    if stat.S_ISDIR(mode):
        raise InputError("is a folder, not a file", where=where, fix="Name the files in it")
    suffix = path.suffix.lower()
    if suffix in _TEXT_SUFFIXES:
        return _text_rows(path)
    if suffix == ".parquet":
        return _parquet_rows(path)
    known = ", ".join((*_TEXT_SUFFIXES, ".parquet"))
    raise InputError("not a known kind of file", where=where, got=describe(suffix), fix=f"Known endings: {known}")


def path_text(path: Path) -> str:
    """A path as text that can be printed, whatever bytes its name is made of."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _text_rows(path: Path) -> Located:
    """JSON Lines or a JSON array: the first character tells them apart, whatever the file's ending."""
    text = _read_text(path)
    start = len(text.data) - len(text.data.lstrip())
    return text.array_rows(start) if text.data.startswith(b"[", start) else text.line_rows()


def _read_text(path: Path) -> _Text:
    where = path_text(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from error
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"the byte at offset {error.start} is not UTF-8"
        got = f"0x{data[error.start]:02x}"
        raise InputError(what, where=f"{where}:{line}", got=got, fix="Save the file as UTF-8") from error
    return _Text(where, data.removeprefix(_BOM))


@dataclass(frozen=True, slots=True)
class _Text:
    """A file's content, and the reading of it that knows where it is."""

    where: str
    data: bytes

    def line_rows(self) -> Located:
        start = 0
        for number, line in enumerate(self.data.split(b"\n"), 1):
            if line.strip():
                yield f"{self.where}:{number}", self._decode(line, start)
            start += len(line) + 1

    def array_rows(self, start: int) -> Located:
        """Each row apart, so that it has a line of its own; the separators between them are all that is scanned."""
        line, at = 1, 0
        position = start + 1
        for raw in self._split_array():
            between = _BETWEEN_ROWS.match(self.data, position)
            assert between is not None, "the pattern matches the empty string"
            position = between.end()
            line, at = line + self.data.count(b"\n", at, position), position
            row = bytes(raw)
            yield f"{self.where}:{line}", self._decode(row, position)
            position += len(row)

    def _split_array(self) -> list[msgspec.Raw]:
        try:
            return msgspec.json.decode(self.data, type=list[msgspec.Raw])
        except msgspec.DecodeError as error:
            raise self._fault(error, 0, self.data) from error
        except RecursionError as error:
            raise InputError("the JSON is nested too deeply", where=self.where) from error

    def _decode(self, row: bytes, start: int) -> object:
        try:
            return msgspec.json.decode(row)
        except msgspec.DecodeError as error:
            raise self._fault(error, start, row) from error
        except RecursionError as error:
            line, _ = self._line_and_column(start)
            what = "the JSON is nested too deeply"
            raise InputError(what, where=f"{self.where}:{line}", fix="Drop the row") from error

    def _fault(self, error: msgspec.DecodeError, start: int, part: bytes) -> InputError:
        """msgspec's complaint about ``part``, which begins at byte ``start``, in terms of the whole file."""
        detail = _DETAIL.fullmatch(str(error))
        if detail is not None:
            # msgspec names the byte itself, but for trailing characters the byte after the first of them.
            past = detail[1] == "trailing characters"
            return self._fault_at(detail[1], start + int(detail[2]) - past)
        if isinstance(error, msgspec.ValidationError):
            line, _ = self._line_and_column(start)
            what = "the row holds a number too large for JSON readers"
            return InputError(what, where=f"{self.where}:{line}", fix="Write it smaller or drop the column")
        line, column = self._line_and_column(start + len(part.rstrip()))
        return InputError(
            f"not valid JSON: the text breaks off at column {column}",
            where=f"{self.where}:{line}",
            fix="Write one whole object on each line, or an array of objects that begins with [ and ends with ]",
        )

    def _fault_at(self, complaint: str, position: int) -> InputError:
        line, column = self._line_and_column(position)
        number = _NO_NUMBER.match(self.data, position)
        if number is not None:
            what = f"not valid JSON at column {column}: JSON has no {number[0].decode()}"
            return InputError(what, where=f"{self.where}:{line}", fix="Write null or drop the column")
        rest = self.data[position : position + _SNIPPET_BYTES].split(b"\n")[0].decode("utf-8", "replace")
        what = f"not valid JSON at column {column}: {complaint}"
        got = describe(rest) if rest else "the end of the line"
        fix = "JSON puts names and texts in double quotes" if rest.startswith("'") else None
        return InputError(what, where=f"{self.where}:{line}", got=got, fix=fix)

    def _line_and_column(self, position: int) -> tuple[int, int]:
        """Both counted from 1, the column in characters as editors count it."""
        begin = self.data.rfind(b"\n", 0, position) + 1
        column = len(self.data[begin:position].decode("utf-8", "replace")) + 1
        return self.data.count(b"\n", 0, position) + 1, column


def _parquet_rows(path: Path) -> Located:
    where = path_text(path)
    number = 0
    for batch in _parquet_batches(path, where):
        for row in batch:
            number += 1
            yield f"{where}:row {number}", row


def _parquet_batches(path: Path, where: str) -> Iterator[list[dict[str, Any]]]:
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        fix = 'Run `pip install "penchant[train]"`'
        raise InputError("reading Parquet needs pyarrow", where=where, fix=fix) from error
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield batch.to_pylist()
    # ValueError: bytes in a string column that are not UTF-8. RecursionError: nested types.
    except (arrow.ArrowException, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:_SHOWN_REASON].rstrip(".")
        raise InputError(f"cannot be read as Parquet: {reason}", where=where) from error
