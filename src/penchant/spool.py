"""Many records out of memory: the last few as they are, those before in a temporary file, read back one at a time."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import msgspec

from penchant.errors import InputError

Record = TypeVar("Record")
Row = TypeVar("Row")

IN_MEMORY = 1000
"""Fewer records never touch the disk."""


class _Rows(Sequence[Row], Generic[Row]):
    """What a list of records can be asked; a slice is a list."""

    def _at(self, index: int) -> Row:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self._at(one) for one in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index])

    def __iter__(self) -> Iterator[Row]:
        return map(self._at, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)  # a process that is not forked has no part in the file


class Spool(_Rows[Record]):
    """Records in the order in which they were added: 8 bytes of memory for each, and a file that goes with the spool.

    Every access gives a new object, equal to what was added. Where a record would not come back equal (a template
    argument that is an object of Python's, say), it and all after it stay in memory.

    Args:
        records: Dataclasses to begin with, of one class or of several.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._tail: list[Record] = []
        self._ends = array("Q", [0])
        self._file: Any = None
        self._decoders: list[msgspec.msgpack.Decoder[Any]] = []
        self._kinds: dict[type, int] = {}
        self._stays = False
        self.extend(records)

    @property
    def kinds(self) -> set[type]:
        """The classes of the records."""
        return set(self._kinds)

    def append(self, record: Record) -> None:
        """Add a record.

        Raises:
            InputError: if the temporary folder has no room.
        """
        if type(record) not in self._kinds:
            self._kinds[type(record)] = len(self._kinds)
        self._tail.append(record)
        if len(self._tail) == IN_MEMORY and not self._stays:
            self._write()

    def extend(self, records: Iterable[Record]) -> None:
        """Add records, drawn one at a time."""
        for record in records:
            self.append(record)

    def __len__(self) -> int:
        return len(self._ends) - 1 + len(self._tail)

    def _at(self, index: int) -> Record:
        written = len(self._ends) - 1
        if index >= written:
            return self._tail[index - written]
        start, end = self._ends[index], self._ends[index + 1]
        return self._read(os.pread(self._file.fileno(), end - start, start))

    def _read(self, data: bytes) -> Record:
        record: Record = self._decoders[data[0]].decode(memoryview(data)[1:])
        return record

    def _write(self) -> None:
        self._decoders += [msgspec.msgpack.Decoder(kind) for kind in list(self._kinds)[len(self._decoders) :]]
        encode = msgspec.msgpack.encode
        try:
            lines = [bytes([self._kinds[type(record)]]) + encode(record) for record in self._tail]
            alike = all(self._read(line) == record for line, record in zip(lines, self._tail, strict=True))
        except (TypeError, ValueError, OverflowError):
            alike = False
        if not alike:
            self._stays = True
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="penchant-rows-", buffering=0)  # noqa: SIM115
            rest = memoryview(b"".join(lines))
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            fix = "Make room, or name another folder in the environment variable TMPDIR"
            raise InputError(f"rows cannot be kept: {error.strerror}", where=tempfile.gettempdir(), fix=fix) from error
        end = self._ends[-1]
        for line in lines:
            end += len(line)
            self._ends.append(end)
        self._tail = []


class Chosen(_Rows[Row]):
    """Some of other rows, by their places; a row may stand in several.

    Args:
        rows: The rows.
        places: Indices of those that are meant, in order.
    """

    def __init__(self, rows: Sequence[Row], places: Iterable[int]) -> None:
        self.rows, self.places = rows, array("q", places)

    def __len__(self) -> int:
        return len(self.places)

    def _at(self, index: int) -> Row:
        return self.rows[self.places[index]]


def distinct(rows: Sequence[Row]) -> Iterable[Row]:
    """The rows without repetitions of one and the same; equal rows stay."""
    if isinstance(rows, Spool):
        return rows
    if isinstance(rows, Chosen):
        return Chosen(rows.rows, sorted(set(rows.places)))
    return {id(row): row for row in rows}.values()


def kinds(rows: Sequence[Any]) -> set[type]:
    """The classes of the rows."""
    if isinstance(rows, Chosen):
        rows = rows.rows
    return rows.kinds if isinstance(rows, Spool) else {type(row) for row in rows}
