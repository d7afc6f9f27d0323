"""Checks of single fields, and how a value or a column is named in an error message."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from penchant.errors import InputError, shorten
from penchant.records import LabelledAnswer, Numbers, PreferencePair, Prompt, RankedAnswers, TemplateArgs

Row: TypeAlias = Mapping[str, object]
NO_COLUMNS: Row = MappingProxyType({})
NO_NUMBERS: Numbers = {}
NO_ARGS: TemplateArgs = {}

_SHOWN_COLUMNS = 8
_SHOWN_CHARACTERS = 40
_SHOWN_BITS = 128
_TAKEN = (
    "conversation",
    "tools",
    "documents",
    "chat_template",
    "add_generation_prompt",
    "tokenize",
    "padding",
    "continue_final_message",
    "truncation",
    "max_length",
    "return_tensors",
    "return_dict",
    "tokenizer_kwargs",
    "return_assistant_tokens_mask",
)
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
    if value.isascii():
        return value
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


def number(value: object, name: str, source: str, least: float = -math.inf, most: float = math.inf) -> float:
    """``value`` as a finite number within limits; text that spells one counts, since CSV knows nothing else."""
    if isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            found = math.nan
    else:
        found = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(found) and least <= found <= most):
        limits = f" from {least:g}" if math.isfinite(least) else ""
        limits += f" to {most:g}" if math.isfinite(most) else " up" * bool(limits)
        raise InputError(f"{name} must be a number{limits}", where=source, got=describe(value))
    return found


def truth(value: object) -> bool | None:
    """True or false as JSON, 1 and 0, and CSV write them; nothing for anything else."""
    if isinstance(value, str):
        return {"true": True, "false": False, "1": True, "0": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, int) and value in (0, 1) else None


def unstated(what: str, source: str, got: object) -> InputError:
    """The fault of a row that was never judged: training passes it over, and counts it."""
    return InputError(what, where=source, got=describe(got), fix="Drop the row", kind="unstated")


def pair(
    prompt: Prompt, chosen: str, rejected: str, source: str, numbers: Numbers = NO_NUMBERS, row: Row = NO_COLUMNS
) -> PreferencePair:
    """A pair whose two answers differ, with what ``row`` gives the chat template."""
    if chosen == rejected:
        what = '"chosen" equals "rejected"; the pair states no preference'
        raise InputError(what, where=source, got=describe(chosen), fix="Drop the row", kind="identical")
    return PreferencePair(prompt, chosen, rejected, source, numbers, template_args(row, source))


def ranked(
    prompt: Prompt, answers: Sequence[str], scores: Sequence[float], source: str, row: Row = NO_COLUMNS
) -> RankedAnswers:
    """A list of answers with one score each."""
    if not answers or len(answers) != len(scores):
        what = f"the row has {len(answers)} answers and {len(scores)} ratings"
        raise InputError(what, where=source, fix="Give one rating for each answer")
    return RankedAnswers(prompt, tuple(answers), tuple(scores), source, NO_NUMBERS, template_args(row, source))


def entries(value: object, name: str, source: str) -> Sequence[object]:
    """``value`` as a list with something in it; its JSON text counts."""
    found = from_text(value)
    if not isinstance(found, list | tuple):
        raise InputError(f"{name} must be a list", where=source, got=describe(value))
    if not found:
        raise InputError(f"{name} is an empty list", where=source, fix="Drop the row", kind="empty")
    return found


def first_has(value: object, field: str) -> bool:
    """Whether a column is a list whose first entry is an object with the field."""
    found = from_text(value)
    return isinstance(found, list | tuple) and bool(found) and isinstance(found[0], Mapping) and field in found[0]


def field_of(entry: object, field: str, name: str, source: str) -> object:
    """A field of an object."""
    if not isinstance(entry, Mapping):
        raise InputError(f"{name} must be an object with {quoted(field)}", where=source, got=describe(entry))
    if field not in entry:
        raise InputError(f"{name} has no {quoted(field)}", where=source, got=describe(entry))
    return entry[field]


def from_text(value: object) -> object:
    """The list or object that a text spells as JSON, as cells of tables do; any other value as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return value


def template_args(row: Row, source: str) -> TemplateArgs:
    """What a row gives the chat template besides its turns: the columns ``tools`` and ``chat_template_kwargs``."""
    if "tools" not in row and "chat_template_kwargs" not in row:
        return NO_ARGS
    args: dict[str, object] = {}
    switches = from_text(row.get("chat_template_kwargs"))
    if switches not in (None, ""):
        if not isinstance(switches, Mapping) or not all(isinstance(name, str) for name in switches):
            raise InputError('"chat_template_kwargs" must be an object', where=source, got=describe(switches))
        taken = [name for name in switches if name in _TAKEN]
        if taken:
            what = '"chat_template_kwargs" sets what is not the row\'s to set'
            raise InputError(what, where=source, got=listed(taken), fix="Drop it")
        args |= {name: value for name, value in switches.items() if value is not None}
    tools = from_text(row.get("tools"))
    if tools is not None and tools not in ("", []):
        if not isinstance(tools, list | tuple) or not all(isinstance(tool, Mapping) for tool in tools):
            raise InputError('"tools" must be a list of objects', where=source, got=describe(tools))
        args["tools"] = list(tools)
    return args


def labelled(
    prompt: Prompt, completion: str, label: object, source: str, row: Row = NO_COLUMNS, name: str = "label"
) -> LabelledAnswer:
    """A labelled answer; the label is JSON's true or false, or 1 or 0.

    A score such as 0.5 or a word such as "yes" is refused: which way it points is the author's to say.
    """
    thumb = truth(label)
    if thumb is None:
        raise InputError(
            f'"{name}" is neither true nor false',
            where=source,
            got=describe(label),
            fix="Write true for an answer to learn from, false for one to avoid",
            kind="label",
        )
    return LabelledAnswer(prompt, completion, thumb, source, NO_NUMBERS, template_args(row, source))
