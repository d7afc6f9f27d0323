"""Conversations: lists of turns, read in one of two spellings, split into prompt and answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penchant.data.formats.fields import answer_text, describe, entries, from_text, nearest, quoted, text
from penchant.errors import InputError
from penchant.records import Message, Prompt, Role


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a turn is spelled: the field of the speaker, the field of the text, and the speakers' names."""

    speaker: str
    text: str
    roles: Mapping[str, Role]


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
        "function_call": "assistant",
        "observation": "tool",
        "function": "tool",
        "tool": "tool",
    },
)


def read_turn(value: object, name: str, source: str, dialect: Dialect = OPENAI) -> Message:
    """One turn with its role and text, and the tools that it calls or answers for.

    Args:
        value: The turn; in the other spelling too, if it has both of that one's fields.
        name: What a message calls it, e.g. ``'"chosen" turn 2'``.
        source: ``file:line``.
        dialect: The spelling that the layout has.
    """
    if not isinstance(value, Mapping):
        what = f'{name} must be an object with "{dialect.speaker}" and "{dialect.text}"'
        raise InputError(what, where=source, got=describe(value))
    other = OPENAI if dialect is SHAREGPT else SHAREGPT
    if dialect.speaker not in value and other.speaker in value and other.text in value:
        dialect = other
    for needed in (dialect.speaker, dialect.text):
        if needed not in value:
            near = nearest(needed, value)
            raise InputError(
                f'{name} has no "{needed}"',
                where=source,
                got=describe(value),
                fix=f'Rename {quoted(near)} to "{needed}"' if near else None,
            )
    role = _role(value[dialect.speaker], name, source, dialect)
    if dialect.speaker == "from" and value["from"] == "function_call":
        return Message(role=role, content="", tool_calls=_spelled_calls(value[dialect.text], name, source))
    calls = value.get("tool_calls") or ([value["function_call"]] if value.get("function_call") else None)
    content = value[dialect.text]
    if calls and content is None:
        content = ""  # a turn that does nothing but call
    turn = Message(role=role, content=_content(content, f'{name} "{dialect.text}"', source))
    if calls:
        turn["tool_calls"] = _calls(calls, name, source)
    if role == "tool":
        for field in ("tool_call_id", "name"):
            if value.get(field) is not None:
                turn[field] = text(value[field], f'{name} "{field}"', source)
    return turn


def _content(value: object, name: str, source: str) -> str:
    """A turn's text, or the parts of it that OpenAI's interface knows, joined."""
    if not isinstance(value, list | tuple) or not value:
        return text(value, name, source)
    for part in value:
        if not isinstance(part, Mapping) or part.get("type") != "text":
            kind = part.get("type") if isinstance(part, Mapping) else part
            what = f"{name} has a part that is not text"
            raise InputError(what, where=source, got=describe(kind), fix="Only text is read; drop the row")
    return "".join(text(part.get("text"), f"{name} text", source) for part in value)


def _calls(value: object, name: str, source: str) -> list[Mapping[str, object]]:
    """Tool calls, each with a function's name; arguments that are JSON text are read, as templates want them."""
    calls: list[Mapping[str, object]] = []
    for call in entries(value, f'{name} "tool_calls"', source):
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            what = f'{name} has a tool call without a "function" that has a "name"'
            raise InputError(what, where=source, got=describe(call))
        arguments = from_text(function.get("arguments", {}))
        made = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
        assert isinstance(call, Mapping)
        calls.append({"id": call["id"], **made} if isinstance(call.get("id"), str) else made)
    return calls


def _spelled_calls(value: object, name: str, source: str) -> list[Mapping[str, object]]:
    """ShareGPT writes a call, or a list of calls, as JSON text."""
    spelled = from_text(value)
    return _calls(spelled if isinstance(spelled, list) else [spelled], name, source)


def _role(value: object, name: str, source: str, dialect: Dialect) -> Role:
    speaker = text(value, f'{name} "{dialect.speaker}"', source)
    if speaker not in dialect.roles:
        known = ", ".join(f'"{role}"' for role in dialect.roles)
        what = f'{name} has an unknown "{dialect.speaker}"'
        raise InputError(what, where=source, got=describe(speaker), fix=f"Known: {known}")
    return dialect.roles[speaker]


def read_turns(value: object, name: str, source: str, dialect: Dialect = OPENAI) -> tuple[Message, ...]:
    """Every turn of a conversation; the list must not be empty."""
    given, value = value, from_text(value)
    if not isinstance(value, list | tuple):
        raise InputError(f"{name} must be a list of messages", where=source, got=describe(given))
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


def conversation(value: object, name: str, source: str) -> tuple[tuple[Message, ...], str]:
    """The prompt and the answer of a conversation that ends with the assistant's turn."""
    before, answer = split_answer(read_turns(value, name, source), name, source)
    return checked_prompt(before, name, source), answer


def system_before(value: object, turns: tuple[Message, ...], source: str) -> tuple[Message, ...]:
    """Turns after the one that a ``system`` column stands for; null and the empty string are how files write "none"."""
    if value is None or value == "":
        return turns
    system = text(value, '"system"', source)
    if turns[0]["role"] == "system":
        what = 'the row has two system prompts, in "system" and as the first turn'
        raise InputError(what, where=source, got=describe(system), fix="Keep one of them")
    return (Message(role="system", content=system), *turns)


def with_system(system: object, asked: object, name: str, source: str) -> Prompt:
    """A prompt that is text, or turns where there is a system prompt beside it."""
    prompt = read_prompt(asked, name, source)
    turns = (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
    whole = system_before(system, turns, source)
    return prompt if whole == turns else whole


def alpaca_prompt(row: Mapping[str, object], source: str) -> Prompt:
    """Alpaca's prompt: the instruction, a line break and the input; earlier rounds and a system prompt before."""
    asked = text(row["instruction"], '"instruction"', source)
    given = row.get("input")
    if given is not None and given != "":
        asked = "\n".join([asked, text(given, '"input"', source)]).removeprefix("\n")
    history = from_text(row.get("history"))
    if history in (None, "", []):
        return with_system(row.get("system"), asked, '"instruction"', source)
    turns: list[Message] = []
    for k, exchange in enumerate(entries(history, '"history"', source), 1):
        if not isinstance(exchange, list | tuple) or len(exchange) != 2:
            what = f'"history" round {k} must be a question with its answer'
            raise InputError(what, where=source, got=describe(exchange))
        for role, said in zip(("user", "assistant"), exchange, strict=True):
            content = text(said, f'"history" round {k}', source)
            turns.append(Message(role="user" if role == "user" else "assistant", content=content))
    whole = (*turns, Message(role="user", content=asked))
    return checked_prompt(system_before(row.get("system"), whole, source), '"instruction"', source)


def split_answer(turns: tuple[Message, ...], name: str, source: str) -> tuple[tuple[Message, ...], str]:
    """The turns before the last, and the last one's text: the assistant's answer."""
    *before, last = turns
    if last["role"] != "assistant":
        what = f"{name} does not end with the assistant's turn"
        got = f"the role {describe(last['role'])} last"
        raise InputError(what, where=source, got=got, fix="Drop the later turns", kind="turns")
    if last.get("tool_calls"):
        what = f"the last turn of {name} calls tools, and an answer must be text"
        raise InputError(what, where=source, fix="End the conversation with the turn that answers", kind="turns")
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


def shared_prompt(
    chosen: tuple[Message, ...],
    rejected: tuple[Message, ...],
    source: str,
    columns: tuple[str, str] = ("chosen", "rejected"),
) -> tuple[Message, ...]:
    """The turns before two answers, which must be the same: a preference is between answers to one prompt."""
    if chosen != rejected:
        raise InputError(
            f'"{columns[1]}" does not answer the same conversation as "{columns[0]}"',
            where=source,
            got=_first_difference(rejected, chosen),
            fix="Make all turns but the last equal, or drop the row",
            kind="prompts",
        )
    return checked_prompt(chosen, f'"{columns[0]}"', source)
