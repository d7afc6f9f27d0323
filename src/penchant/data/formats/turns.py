"""Conversations: lists of turns, read in one of two spellings, split into prompt and answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penchant.data.formats.fields import answer_text, describe, nearest, quoted, text
from penchant.errors import InputError
from penchant.records import Message, Prompt, Role


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a turn is spelled: the field of the speaker, the field of the text, and the speakers' names."""

    speaker: str
    text: str
    roles: Mapping[str, Role]
    tool_roles: frozenset[str] = frozenset()


OPENAI = Dialect(
    speaker="role",
    text="content",
    roles={"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"},
)
SHAREGPT = Dialect(
    speaker="from",
    text="value",
    roles={
        "system": "system",
        "human": "user",
        "user": "user",
        "gpt": "assistant",
        "assistant": "assistant",
        "chatgpt": "assistant",
    },
    tool_roles=frozenset({"observation", "function", "function_call", "tool"}),
)

_TOOL_FIELDS = ("tool_calls", "function_call")


def read_turn(value: object, name: str, source: str, dialect: Dialect = OPENAI) -> Message:
    """One turn with only its role and text; ``name`` is what a message calls it, e.g. ``'"chosen" turn 2'``."""
    if not isinstance(value, Mapping):
        what = f'{name} must be an object with "{dialect.speaker}" and "{dialect.text}"'
        raise InputError(what, where=source, got=describe(value))
    for needed in (dialect.speaker, dialect.text):
        if needed not in value:
            near = nearest(needed, value)
            raise InputError(
                f'{name} has no "{needed}"',
                where=source,
                got=describe(value),
                fix=f'Rename {quoted(near)} to "{needed}"' if near else None,
            )
    # Without its tool calls an assistant's turn reads as a different answer, so they are not dropped in passing.
    for tool_field in _TOOL_FIELDS:
        if value.get(tool_field):
            what = f'{name} holds "{tool_field}"; tool calls are not supported yet'
            raise InputError(what, where=source, fix="Drop the row")
    role = _role(value[dialect.speaker], name, source, dialect)
    return Message(role=role, content=text(value[dialect.text], f'{name} "{dialect.text}"', source))


def _role(value: object, name: str, source: str, dialect: Dialect) -> Role:
    speaker = text(value, f'{name} "{dialect.speaker}"', source)
    if speaker in dialect.tool_roles:
        what = f'{name} is a tool\'s turn ("{dialect.speaker}" is "{speaker}"); tool turns are not supported yet'
        raise InputError(what, where=source, fix="Drop the row")
    if speaker not in dialect.roles:
        known = ", ".join(f'"{role}"' for role in dialect.roles)
        what = f'{name} has an unknown "{dialect.speaker}"'
        raise InputError(what, where=source, got=describe(speaker), fix=f"Known: {known}")
    return dialect.roles[speaker]


def read_turns(value: object, name: str, source: str, dialect: Dialect = OPENAI) -> tuple[Message, ...]:
    """Every turn of a conversation; the list must not be empty."""
    if not isinstance(value, list | tuple):
        raise InputError(f"{name} must be a list of messages", where=source, got=describe(value))
    if not value:
        raise InputError(f"{name} is an empty list of messages", where=source, fix="Drop the row", kind="empty")
    return tuple(read_turn(turn, f"{name} turn {k}", source, dialect) for k, turn in enumerate(value, 1))


def read_prompt(value: object, name: str, source: str) -> Prompt:
    """A prompt as it was given: text stays text, a list becomes turns."""
    if isinstance(value, str):
        if not value.strip():
            raise InputError(f"{name} is empty", where=source, got=describe(value), fix="Drop the row", kind="empty")
        return text(value, name, source)
    if not isinstance(value, list | tuple):
        raise InputError(f"{name} must be a string or a list of messages", where=source, got=describe(value))
    return checked_prompt(read_turns(value, name, source), name, source)


def checked_prompt(turns: tuple[Message, ...], name: str, source: str) -> tuple[Message, ...]:
    """``turns`` if they are a prompt: a user says something, and the assistant is next to speak."""
    spoken = [turn["content"] for turn in turns if turn["role"] == "user"]
    if not spoken:
        what = f"{name} has no user turn before the answer"
        raise InputError(what, where=source, fix="Add the user's turn or drop the row", kind="turns")
    if not any(content.strip() for content in spoken):
        raise InputError(f"{name} has only empty user turns", where=source, fix="Drop the row", kind="empty")
    if turns[-1]["role"] == "assistant":
        what = f"{name} has an assistant turn right before the answer, which is the assistant's too"
        fix, got = "Join the two turns or drop one", describe(turns[-1]["content"])
        raise InputError(what, where=source, got=got, fix=fix, kind="turns")
    return turns


def split_answer(turns: tuple[Message, ...], name: str, source: str) -> tuple[tuple[Message, ...], str]:
    """The turns before the last, and the last one's text: the assistant's answer."""
    *before, last = turns
    if last["role"] != "assistant":
        what = f"{name} does not end with the assistant's turn"
        got = f"the role {describe(last['role'])} last"
        raise InputError(what, where=source, got=got, fix="Drop the later turns", kind="turns")
    return tuple(before), answer_text(last["content"], f"the last turn of {name}", source)


def read_answer(value: object, name: str, prompt: Prompt, source: str) -> str:
    """An answer beside its own prompt column: text, the assistant's turn, or the conversation with the prompt in it."""
    if isinstance(value, str):
        return answer_text(value, name, source)
    if not isinstance(value, list | tuple):
        raise InputError(f"{name} must be a string or a list of messages", where=source, got=describe(value))
    before, answer = split_answer(read_turns(value, name, source), name, source)
    given = (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
    if before and before != given:
        raise InputError(
            f'{name} does not begin with the turns of "prompt"',
            where=source,
            got=_first_difference(before, given),
            fix="Give the assistant's turn alone, or repeat the prompt exactly before it",
            kind="prompts",
        )
    return answer


def _first_difference(found: tuple[Message, ...], wanted: tuple[Message, ...]) -> str:
    """The first turn that is not the other conversation's, or the two lengths when one is the other's beginning."""
    for k, (turn, other) in enumerate(zip(found, wanted, strict=False), 1):
        if turn != other:
            return f"the {turn['role']} turn {describe(turn['content'])} as turn {k}"
    return f"{len(found)} turns, not {len(wanted)}"


def shared_prompt(chosen: tuple[Message, ...], rejected: tuple[Message, ...], source: str) -> tuple[Message, ...]:
    """The turns before two answers, which must be the same: a preference is between answers to one prompt."""
    if chosen != rejected:
        raise InputError(
            '"rejected" does not answer the same conversation as "chosen"',
            where=source,
            got=_first_difference(rejected, chosen),
            fix="Make all turns but the last equal, or drop the row",
            kind="prompts",
        )
    return checked_prompt(chosen, '"chosen"', source)
