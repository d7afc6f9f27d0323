"""The one error that a user sees: what is wrong, where, what was found, what to do."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable

_MOST_NAMES = 20


class InputError(ValueError):
    """Something the user gave is wrong; the message is one line and needs no traceback.

    Args:
        what: What is wrong, as a short clause without a final full stop.
        where: Where it is, e.g. ``"pairs.jsonl:17"`` or ``"dpo_loss"``.
        got: The value that was found, shown as written here.
        fix: What to do about it, as a sentence; its full stop may be left out.
        kind: One word for a fault that programs tell from others; it is not printed.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: str | None = None,
        fix: str | None = None,
        kind: str | None = None,
    ):
        self.what, self.where, self.got, self.fix, self.kind = what, where, got, fix, kind
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        found = f" (got {self.got})" if self.got is not None else ""
        remedy = f" {self.fix}{'' if self.fix.endswith(('.', '?')) else '.'}" if self.fix else ""
        return " ".join(f"{place}{self.what}{found}.{remedy}".split())

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.got, self.fix, self.kind)


def _rebuild(
    cls: type[InputError], what: str, where: str | None, got: str | None, fix: str | None, kind: str | None
) -> InputError:
    return cls(what, where=where, got=got, fix=fix, kind=kind)


def suggest(word: str, known: Iterable[str], listed: str = "See `penchant train --help`") -> str:
    """``Did you mean 'dpo'?`` for the nearest known word, else the known words if they are few, or where they are."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=5)  # best first, and the sort keeps that order among equals
    near.sort(key=lambda name: (sorted(name) != sorted(word), -_same_start(name, word), abs(len(name) - len(word))))
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(names)}" if len(names) <= _MOST_NAMES else listed


def _same_start(name: str, word: str) -> int:
    """How many letters two words begin with alike."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(name, word, strict=False)))


def shorten(value: object, limit: int = 60) -> str:
    """A value's ``repr`` in at most ``limit`` characters, for the ``got`` part of a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
