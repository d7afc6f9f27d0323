"""Checks of single fields, and how a value or a column is named in an error message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from penchant.errors import InputError, shorten
from penchant.records import LabelledAnswer, PreferencePair, Prompt

_SHOWN_COLUMNS = 8
_SHOWN_CHARACTERS = 40
_SHOWN_BITS = 128
_SLIP = 0.75
"""How alike two spellings are, from 0 to 1, when one is taken for a slip of the other: "lable" and "label" are 0.8."""


def quoted(name: str) -> str:
    """A column name in double quotes, printable and of bounded length, since the file chose it."""
    text = name[:_SHOWN_CHARACTERS]
    if not text.isprintable():
        text = repr(text)[1:-1]
    return f'"{text}"' if len(name) <= _SHOWN_CHARACTERS else f'"{text}…"'


def listed(names: Iterable[str]) -> str:
    """Column names in quotes and commas; the first few, then how many more there are."""
    every = list(names)
    shown = ", ".join(quoted(name) for name in every[:_SHOWN_COLUMNS])
    more = len(every) - _SHOWN_COLUMNS
    return f"{shown} and {more} more" if more > 0 else shown


def describe(value: object) -> str:
    """A value for the ``got`` part of a message, in JSON's words.

    Containers are named by their size or columns alone: ``repr`` of a deeply nested one would exhaust the stack.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return shorten(value[: 2 * _SHOWN_CHARACTERS])
        case int() if value.bit_length() > _SHOWN_BITS:
            return f"a whole number of {value.bit_length()} bits"
        case int() | float():
            return shorten(value)
        case list() | tuple():
            return f"an array of {len(value)}" if value else "an empty array"
        case Mapping():
            return f"an object with {listed(str(key) for key in value)}" if value else "an empty object"
        case _:
            return f"a Python {type(value).__name__}"


def nearest(name: str, columns: Iterable[object]) -> str | None:
    """The column whose spelling is so near to ``name`` that it is probably a slip of the pen.

    Two that are equally near, ``completion_a`` and ``completion_b``, are no slip: the file means something else.
    """
    known = [column for column in columns if isinstance(column, str) and len(column) <= _SHOWN_CHARACTERS]
    likeness = {column: difflib.SequenceMatcher(None, name, column).ratio() for column in known}
    near = [column for column in known if likeness[column] >= max(_SLIP, *likeness.values())]
    return near[0] if len(near) == 1 else None


def text(value: object, name: str, source: str) -> str:
    """``value`` as a string that a tokenizer can take; ``name`` is what the message calls it."""
    if not isinstance(value, str):
        raise InputError(f"{name} must be a string", where=source, got=describe(value))
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name} holds half a character (a lone surrogate) at position {error.start}",
            where=source,
            fix="Repair the text or drop the row",
        ) from error
    return value


def answer_text(value: object, name: str, source: str) -> str:
    """``value`` as an answer: a string with something in it."""
    answer = text(value, name, source)
    if not answer.strip():
        raise InputError(
            f"{name} is an empty answer", where=source, got=describe(answer), fix="Drop the row", kind="empty"
        )
    return answer


def pair(prompt: Prompt, chosen: str, rejected: str, source: str) -> PreferencePair:
    """A pair whose two answers differ."""
    if chosen == rejected:
        what = '"chosen" equals "rejected"; the pair states no preference'
        raise InputError(what, where=source, got=describe(chosen), fix="Drop the row", kind="identical")
    return PreferencePair(prompt=prompt, chosen=chosen, rejected=rejected, source=source)


def labelled(prompt: Prompt, completion: str, label: object, source: str) -> LabelledAnswer:
    """A labelled answer; the label is JSON's true or false, or 1 or 0.

    A score such as 0.5 or a word such as "yes" is refused: which way it points is the author's to say.
    """
    if not isinstance(label, int) or label not in (0, 1):
        raise InputError(
            '"label" is neither true nor false',
            where=source,
            got=describe(label),
            fix="Write true for an answer to learn from, false for one to avoid",
            kind="label",
        )
    return LabelledAnswer(prompt=prompt, completion=completion, label=bool(label), source=source)
