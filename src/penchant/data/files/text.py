"""JSON Lines and JSON arrays, read as they stream past; a row that is no JSON does not end the file."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

import msgspec

from penchant.data.files.place import MOST_ROW_BYTES, Broken, Located, too_long
from penchant.data.formats.fields import describe, quoted
from penchant.errors import InputError

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 20
_SNIPPET_BYTES = 80
_NEAR_THE_END = 16
"""An error so near to what was read so far may only be a word that is not there yet."""

_CONTAINERS = (dict, list)
_SPACE = re.compile(r"[ \t\r\n]*")
_PART = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""A string, whole or as far as the text goes, or a bracket."""
_NO_NUMBER = re.compile(rb"NaN|Infinity")
_DETAIL = re.compile(r"(?:JSON is malformed: )?(.*) \(byte (\d+)\)")
"""How msgspec words a fault: ``JSON is malformed: invalid character (byte 6)``."""

_LINES_OR_ARRAY = "Write one whole object on each line, or an array of objects that begins with [ and ends with ]"


class Part(NamedTuple):
    """Whole lines of a file: the byte where they begin, the number of the first, from 1, and how many there are."""

    start: int
    first: int
    lines: int


def json_rows(stream: BinaryIO, where: str) -> Located:
    """JSON Lines or a JSON array: the first character tells them apart, whatever the file's ending."""
    start = stream.read(_CHUNK).removeprefix(_BOM)
    opening = start.lstrip()
    if opening.startswith(b"["):
        yield from _Array(stream, where, start).rows()
    else:
        yield from _line_rows(_lines(stream, where, start, 1), where, 1)


def _lines(stream: BinaryIO, where: str, start: bytes, first: int) -> Iterator[bytes]:
    """Lines of bounded length; ``start`` is what has been read already, ``first`` the first line's number."""
    *whole, last = start.split(b"\n")
    yield from whole
    line = last + stream.readline(max(0, MOST_ROW_BYTES - len(last)))
    number = first - 1 + len(whole)
    while line:
        number += 1
        if len(line) >= MOST_ROW_BYTES and not line.endswith(b"\n"):
            raise too_long(f"{where}:{number}")
        yield line
        line = stream.readline(MOST_ROW_BYTES)


def line_parts(stream: BinaryIO, size: int) -> Iterator[Part]:
    """JSON Lines in parts of about ``size`` bytes that can be read apart; none for an array."""
    start = stream.read(_CHUNK)
    if start.removeprefix(_BOM).lstrip().startswith(b"["):
        return
    at, first = len(_BOM) if start.startswith(_BOM) else 0, 1
    stream.seek(at)
    end, lines = at, 0
    while data := stream.read(min(size, _CHUNK)):
        begun = len(data) - 1 - data.rfind(b"\n")
        rest = stream.readline(max(0, MOST_ROW_BYTES - begun)) if begun else b""
        end, lines = end + len(data) + len(rest), lines + data.count(b"\n") + (begun > 0)
        whole = not begun or rest.endswith(b"\n")
        if end - at >= size or not whole:
            yield Part(at, first, lines)
            at, first, lines = end, first + lines, 0
        if not whole:
            return  # the file's end, or a row over the limit, behind which nothing is read
    if lines:
        yield Part(at, first, lines)


def rows_of_part(stream: BinaryIO, where: str, part: Part) -> Located:
    """The rows of one part, each with its place in the whole file."""
    stream.seek(part.start)
    lines = _lines(stream, where, b"", part.first)
    return _line_rows(islice(lines, part.lines), where, part.first)


def _line_rows(lines: Iterable[bytes], where: str, first: int) -> Located:
    decode = msgspec.json.decode
    for number, line in enumerate(lines, first):
        try:
            value = decode(line)
        # A UnicodeDecodeError is a ValueError; so are all complaints of msgspec's.
        except (ValueError, RecursionError) as error:
            if not line.strip():
                continue
            fault = _Place(where, number).fault(line.rstrip(b"\r\n"), error)
            value = Broken(line.strip().decode("utf-8", "backslashreplace"), fault)
        if not _keys_once(line, value):
            value = _twice(line, value, f"{where}:{number}")
        yield f"{where}:{number}", value


def _keys_once(line: bytes, value: object) -> bool:
    """Whether no name stands twice in an object, of which readers keep the last in silence; in doubt, false.

    Every name is followed by ``":``; so may be other text, and then the row is looked at closely.
    """
    if not isinstance(value, dict):
        return True
    names = 0
    waiting: list[Any] = [value]
    for item in waiting:  # grows while it is walked over
        if isinstance(item, dict):
            names += len(item)
            waiting += [part for part in item.values() if part.__class__ in _CONTAINERS]
        else:
            waiting += [part for part in item if part.__class__ in _CONTAINERS]
    return line.count(b'":') == names


def _twice(line: bytes, value: object, where: str) -> object:
    """The row, or what is wrong with it: a name that stands twice in one object."""
    found: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) < len(pairs):
            names = [name for name, _ in pairs]
            found.append(next(name for name in names if names.count(name) > 1))
        return result

    text = line.decode("utf-8")
    try:
        json.loads(text, object_pairs_hook=look)
    except RecursionError as error:
        return Broken(text.strip(), _Place(where.rpartition(":")[0], int(where.rpartition(":")[2])).fault(line, error))
    return Broken(text.strip(), _repeated(found[0], where)) if found else value


def _repeated(name: str, where: str) -> InputError:
    what = f"{quoted(name)} stands twice in one object, and only one can be read"
    return InputError(what, where=where, fix="Keep one of them")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row's text begins, for faults inside it: its line, and the characters before it on that line."""

    where: str
    line: int
    column: int = 0

    def fault(self, row: bytes, error: Exception) -> InputError:
        """A complaint about a row's text, in terms of the file."""
        try:
            row.decode("utf-8")
        except UnicodeDecodeError as bad:
            line, column = self._line_and_column(row, bad.start)
            what = f"the byte at column {column} is not UTF-8"
            place, got = f"{self.where}:{line}", f"0x{row[bad.start]:02x}"
            return InputError(what, where=place, got=got, fix="Save the file as UTF-8")
        if isinstance(error, RecursionError):
            what = "the JSON is nested too deeply"
            return InputError(what, where=f"{self.where}:{self.line}", fix="Drop the row")
        detail = _DETAIL.fullmatch(str(error))
        if detail is not None:
            # msgspec names the byte itself, but for trailing characters the byte after the first of them.
            return self.fault_at(row, int(detail[2]) - (detail[1] == "trailing characters"), detail[1])
        if isinstance(error, msgspec.ValidationError):
            what = "the row holds a number too large for JSON readers"
            return InputError(what, where=f"{self.where}:{self.line}", fix="Write it smaller or drop the column")
        line, column = self._line_and_column(row, len(row.rstrip()))
        what = f"not valid JSON: the text breaks off at column {column}"
        return InputError(what, where=f"{self.where}:{line}", fix=_LINES_OR_ARRAY)

    def fault_at(self, row: bytes, position: int, complaint: str) -> InputError:
        """A complaint about one byte of a row's text."""
        line, column = self._line_and_column(row, position)
        number = _NO_NUMBER.match(row, position)
        if number is not None:
            what = f"not valid JSON at column {column}: JSON has no {number[0].decode()}"
            return InputError(what, where=f"{self.where}:{line}", fix="Write null or drop the column")
        rest = row[position : position + _SNIPPET_BYTES].split(b"\n")[0].decode("utf-8", "replace")
        what = f"not valid JSON at column {column}: {complaint}"
        got = describe(rest) if rest else "the end of the line"
        fix = "JSON puts names and texts in double quotes" if rest.startswith("'") else None
        return InputError(what, where=f"{self.where}:{line}", got=got, fix=fix)

    def _line_and_column(self, row: bytes, position: int) -> tuple[int, int]:
        """Both counted from 1, the column in characters as editors count it."""
        before = row[:position].decode("utf-8", "replace")
        lines = before.count("\n")
        column = len(before) - before.rfind("\n") if lines else self.column + len(before) + 1
        return self.line + lines, column


def _refuse_constant(word: str) -> float:
    raise ValueError(f"JSON has no {word}")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return number


class _Array:
    """A JSON array of rows as text that comes in pieces.

    Python's own decoder is asked for one row after another, because it says where a row ends. Where it finds a fault,
    the row's end is where its brackets close, and the array goes on behind it.
    """

    def __init__(self, stream: BinaryIO, where: str, start: bytes) -> None:
        self._stream, self._where = stream, where
        self._bytes = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text = self._bytes.decode(start)
        self._at = self._text.index("[") + 1
        self._line = 1 + self._text.count("\n", 0, self._at)
        self._column = 0  # characters of the present line that have been let go
        self._over = False
        self._json = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)

    def rows(self) -> Located:
        """Each row with the line on which it begins."""
        missing = False
        if self._next() == "]":
            return self._end()
        while True:
            place = self._place()
            value, raw = self._element()
            if missing:
                fault = place.fault_at(raw.encode("utf-8", "replace"), 0, "expected ',' or ']'")
                value = Broken(_shown(raw), fault)
            yield f"{self._where}:{place.line}", value
            after = self._next()
            if after == "]":
                return self._end()
            missing = after != ","
            if missing and after not in "{[":
                rest = self._text[self._at : self._at + _SNIPPET_BYTES].encode("utf-8", "replace")
                raise self._place().fault_at(rest, 0, "expected ',' or ']'")
            if not missing:
                self._at += 1
                if self._next() == "]":
                    raise self._place().fault_at(b"]", 0, "trailing comma in array")

    def _end(self) -> None:
        self._at += 1
        rest = self._next(may_end=True)
        if rest:
            raise self._place().fault_at(rest.encode("utf-8", "replace"), 0, "trailing characters")

    def _place(self) -> _Place:
        before = self._at - self._text.rfind("\n", 0, self._at) - 1
        return _Place(self._where, self._line, before if "\n" in self._text[: self._at] else self._column + self._at)

    def _next(self, *, may_end: bool = False) -> str:
        """Go on to the next character that is no white space, and give it."""
        while True:
            space = _SPACE.match(self._text, self._at)
            assert space is not None, "the pattern matches the empty string"
            self._line += self._text.count("\n", self._at, space.end())
            self._at = space.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                if may_end:
                    return ""
                raise self._broken_off()

    def _broken_off(self) -> InputError:
        return self._place().fault(b"", ValueError())

    def _more(self) -> bool:
        """Read on, at least as much as is waiting already; what lies behind is let go."""
        if self._over:
            return False
        waiting = len(self._text) - self._at
        if waiting > MOST_ROW_BYTES:
            raise too_long(f"{self._where}:{self._line}")
        self._column = self._place().column
        data = self._stream.read(min(max(_CHUNK, waiting), MOST_ROW_BYTES + 1 - waiting))
        self._over = not data
        self._text = self._text[self._at :] + self._bytes.decode(data, final=self._over)
        self._at = 0
        return True

    def _element(self) -> tuple[object, str]:
        """The value that begins here, or what is wrong with it, and its text; afterwards the place is behind it."""
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self._text) - _NEAR_THE_END
                if cut and self._more():
                    continue
                return self._skip(error)
            except (ValueError, RecursionError) as error:  # a number out of range or not of JSON; a nesting bomb
                return self._skip(error)
            if end == len(self._text) and self._more():
                continue  # a number may go on
            raw = self._text[self._at : end]
            value = self._checked(value, raw)
            self._pass(end)
            return value, raw

    def _checked(self, value: object, raw: str) -> object:
        """The value, unless its text holds bytes that are not UTF-8, or a name twice."""
        try:
            data = raw.encode("utf-8")
            if "\\ud" in raw or "\\uD" in raw:
                msgspec.json.decode(data)  # Python's decoder lets half a character pass
        except (ValueError, RecursionError) as error:
            return self._refused(raw, error)
        return value if _keys_once(data, value) else _twice(data, value, f"{self._where}:{self._line}")

    def _refused(self, raw: str, error: Exception) -> Broken:
        """Why a value cannot be read, in msgspec's words, as in JSON Lines; where it would read it, in Python's."""
        data = raw.encode("utf-8", "surrogateescape")
        try:
            msgspec.json.decode(data)
        except (ValueError, RecursionError) as other:
            return Broken(_shown(raw), self._place().fault(data, other))
        if isinstance(error, json.JSONDecodeError):
            return Broken(_shown(raw), self._place().fault_at(data, 0, error.msg))
        fault = error if isinstance(error, RecursionError) else msgspec.ValidationError()
        return Broken(_shown(raw), self._place().fault(data, fault))

    def _pass(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _skip(self, error: Exception) -> tuple[Broken, str]:
        """Behind a value with a fault in it: where the bracket that opens it closes."""
        depth, position = 0, self._at
        while True:
            part = _PART.search(self._text, position)
            if part is None or (part.end() == len(self._text) and not self._over):
                offset = position - self._at
                if not self._more():
                    raise self._fault_of_rest()
                position = self._at + offset
                continue
            if depth == 0 and part.start() > self._at:
                raise self._fault_of_rest()
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(part[0], 0)
            position = part.end()
            if depth <= 0:
                raw = self._text[self._at : position]
                refused = self._refused(raw, error)
                self._pass(position)
                return refused, raw

    def _fault_of_rest(self) -> InputError:
        """Why the text from here on is no row, and where the next begins is unknown."""
        rest = self._text[self._at :].encode("utf-8", "surrogateescape")
        try:
            msgspec.json.decode(rest)
        except (ValueError, RecursionError) as error:
            return self._place().fault(rest, error)
        return self._broken_off()


def _shown(raw: str) -> str:
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
