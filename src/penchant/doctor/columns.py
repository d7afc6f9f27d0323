"""What is kept of every row for the rules that look at all of them: hashes and lengths, never texts."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from penchant.doctor.example import Example

PAIR, TIE, RATED = -1, -2, -3
"""In the column of labels, for rows that have none: a pair, a pair without preference, a single rated answer."""
_LABELS = (PAIR, TIE, RATED, 0, 1)
_OF_PROMPT = ("prompt", "asked", "system", "last")
_NO_LINE = -1
NO_SYSTEM = 0
"""In the column of system turns, for rows that have none."""
_ENDS = ".,:;!?\"'…。！？，：；।۔؟”’»」』"
"""What a prompt may end with and ask the same."""
_ASCII_ENDS = _ENDS.encode("ascii", "ignore")
_SPACE = bytes(code for code in range(128) if chr(code).isspace())


@dataclass(slots=True)
class Columns:
    """Numbers per row, 61 bytes in all.

    Texts are hashed to 64 bits: among a million rows the chance that any two different ones meet is about 3 in 10^8.
    Prompts are compared without case and white space, answers without the white space around them. ``asked`` is the
    prompt but for system turns and the punctuation at its end. The system turns and the last turn are hashed to 32
    bits: they are compared only where ``asked`` or the answers agree.
    """

    prompt: array[int] = field(default_factory=lambda: array("q"))
    asked: array[int] = field(default_factory=lambda: array("q"))
    system: array[int] = field(default_factory=lambda: array("i"))
    last: array[int] = field(default_factory=lambda: array("i"))
    first: array[int] = field(default_factory=lambda: array("q"))
    second: array[int] = field(default_factory=lambda: array("q"))
    first_length: array[int] = field(default_factory=lambda: array("i"))
    second_length: array[int] = field(default_factory=lambda: array("i"))
    label: array[int] = field(default_factory=lambda: array("b"))
    _file: array[int] = field(default_factory=lambda: array("i"))
    _line: array[int] = field(default_factory=lambda: array("q"))
    _files: dict[str, int] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.prompt)

    def add(self, row: Example, source: str) -> None:
        """Keep one row's numbers; ``source`` ends in the line's number."""
        first = row.answers[0].strip()
        second = row.answers[1].strip() if row.paired else ""
        self._add_prompt(row)
        self.first.append(hash(first))
        self.second.append(hash(second) if row.paired else 0)
        self.first_length.append(len(first))
        self.second_length.append(len(second))
        self.label.append(_kind(row))
        name = source.rstrip("0123456789")
        self._file.append(self._number_of(name))
        self._line.append(int(source[len(name) :] or _NO_LINE))

    def _add_prompt(self, row: Example) -> None:
        bare = [_bare(turn) for turn in row.turns]
        whole = bare[0] if len(bare) == 1 else b"".join(bare)
        asked = last = _open_ended(whole)
        self.prompt.append(hash((asked, whole[len(asked) :])))
        system = NO_SYSTEM
        if len(bare) > 1:
            last = _open_ended(bare[-1])
            if "system" in row.roles:
                by = [(role == "system", turn) for role, turn in zip(row.roles, bare, strict=True)]
                asked = _open_ended(b"".join(turn for of_system, turn in by if not of_system))
                system = _short_hash(b"".join(turn for of_system, turn in by if of_system))
        self.asked.append(hash(asked))
        self.system.append(system)
        self.last.append(_short_hash(last))

    def extend(self, other: Columns) -> None:
        """Keep another's rows behind those that are here."""
        for name in (*_OF_PROMPT, "first", "second", "first_length", "second_length", "label", "_line"):
            getattr(self, name).extend(getattr(other, name))
        numbers = [self._number_of(name) for name in other._names]
        self._file.extend(numbers[file] for file in other._file)

    def _number_of(self, name: str) -> int:
        """The number of a file, which it is given when it is first seen."""
        if name not in self._files:
            self._files[name] = len(self._names)
            self._names.append(name)
        return self._files[name]

    def source(self, index: int) -> str:
        """``file:line`` of a row that was added."""
        line = self._line[index]
        return f"{self._names[self._file[index]]}{'' if line == _NO_LINE else line}"

    @property
    def paired(self) -> NDArray[np.bool_]:
        """Which rows are pairs."""
        result: NDArray[np.bool_] = self.numbers("label") == PAIR
        return result

    def numbers(self, name: str) -> NDArray[np.int64]:
        """One column as an array of shape ``(rows,)``."""
        return np.asarray(getattr(self, name), dtype=np.int64)

    def hashes(self, name: str) -> NDArray[np.uint64]:
        """One column of 64-bit hashes, as keys."""
        return self.numbers(name).astype(np.uint64)

    def keys(self, *, mirrored: bool = False) -> NDArray[np.uint64]:
        """One 64-bit key per row, the same for the same row; mirrored, that of the row which says the opposite."""
        first, second, label = self.numbers("first"), self.numbers("second"), self.numbers("label")
        if mirrored:
            first, second = np.where(self.paired, second, first), np.where(self.paired, first, second)
            other = np.where(label >= 0, 1 - label, label - len(_LABELS))  # ties and ratings have no opposite
            label = np.where(self.paired, label, other)
        return mix(self.numbers("prompt"), first, second, label)


def _bare(text: str) -> bytes:
    """A text without case and white space; for ASCII in two passes of C."""
    if text.isascii():
        return text.lower().encode().translate(None, _SPACE)
    return "".join(text.casefold().split()).encode()


def _open_ended(bare: bytes) -> bytes:
    """What :func:`_bare` left, without the punctuation at its end; all of it where it is nothing else."""
    return (bare.rstrip(_ASCII_ENDS) if bare[-1:] < b"\x80" else bare.decode().rstrip(_ENDS).encode()) or bare


def _short_hash(text: bytes) -> int:
    """32 bits, as a signed number that is not 0."""
    return (hash(text) >> 32) or 1


def _kind(row: Example) -> int:
    if row.label is not None:
        return int(row.label)
    return (TIE if row.tie else PAIR) if row.paired else RATED


def mix(*columns: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Several columns hashed into one: multiply by an odd constant and fold the high bits down, column by column."""
    key = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        key = (key ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key
