"""ShareGPT pairs: ``conversations`` of ``from``/``value`` turns, with ``chosen`` and ``rejected`` as one turn each."""

from __future__ import annotations

from penchant.data.formats.fields import answer_text, describe, pair, text
from penchant.data.formats.layout import Layout, Row
from penchant.data.formats.turns import SHAREGPT, checked_prompt, read_turn, read_turns
from penchant.errors import InputError
from penchant.records import Message, PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    turns = read_turns(row["conversations"], '"conversations"', source, SHAREGPT)
    prompt = checked_prompt(_system(row, turns, source) + turns, '"conversations"', source)
    return pair(prompt, _answer(row, "chosen", source), _answer(row, "rejected", source), source)


def _system(row: Row, turns: tuple[Message, ...], source: str) -> tuple[Message, ...]:
    """The turn that a ``system`` column stands for; null and the empty string are how files write "none"."""
    value = row.get("system")
    if value is None or value == "":
        return ()
    system = text(value, '"system"', source)
    if turns[0]["role"] == "system":
        what = 'the row has two system prompts, in "system" and as the first of "conversations"'
        raise InputError(what, where=source, got=describe(system), fix="Keep one of them")
    return (Message(role="system", content=system),)


def _answer(row: Row, column: str, source: str) -> str:
    name = f'"{column}"'
    turn = read_turn(row[column], name, source, SHAREGPT)
    if turn["role"] != "assistant":
        what = f"{name} is not the assistant's turn"
        got = f"the role {describe(turn['role'])}"
        raise InputError(what, where=source, got=got, fix='Answers come from "gpt"', kind="turns")
    return answer_text(turn["content"], name, source)


LAYOUT = Layout(
    name="sharegpt",
    title="ShareGPT pairs",
    columns=("conversations", "chosen", "rejected"),
    convert=convert,
    optional=("system",),
    dialect=SHAREGPT,
)
