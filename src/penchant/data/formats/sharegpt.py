"""ShareGPT pairs: ``conversations`` of ``from``/``value`` turns, with ``chosen`` and ``rejected`` as one turn each."""

from __future__ import annotations

from penchant.data.formats.fields import Row, answer_text, describe, from_text, pair
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import SHAREGPT, checked_prompt, read_turn, read_turns, system_before
from penchant.errors import InputError
from penchant.records import PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    turns = read_turns(row["conversations"], '"conversations"', source, SHAREGPT)
    prompt = checked_prompt(system_before(row.get("system"), turns, source), '"conversations"', source)
    return pair(prompt, _answer(row, "chosen", source), _answer(row, "rejected", source), source, row=row)


def _answer(row: Row, column: str, source: str) -> str:
    name = f'"{column}"'
    turn = read_turn(from_text(row[column]), name, source, SHAREGPT)
    if turn["role"] != "assistant" or turn.get("tool_calls"):
        what = f"{name} is not the assistant's turn" if turn["role"] != "assistant" else f"{name} calls tools"
        got = f"the role {describe(turn['role'])}"
        raise InputError(what, where=source, got=got, fix='Answers are text from "gpt"', kind="turns")
    return answer_text(turn["content"], name, source)


LAYOUT = Layout(
    name="sharegpt",
    title="ShareGPT pairs",
    columns=("conversations", "chosen", "rejected"),
    convert=convert,
    optional=("system",),
    known="LLaMA-Factory's sharegpt",
)
