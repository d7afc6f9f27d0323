"""Two models' conversations and which won, as in Chatbot Arena: ``conversation_a``, ``conversation_b``, ``winner``."""

from __future__ import annotations

from penchant.data.formats.comparison import compared
from penchant.data.formats.fields import Row, describe, unstated
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_turns, shared_prompt, split_answer
from penchant.errors import InputError
from penchant.records import PreferencePair

_WINNERS = {"model_a": -1.0, "model_b": 1.0, "tie": 0.0, "tie (bothbad)": 0.0}


def convert(row: Row, source: str) -> PreferencePair:
    winner = row["winner"]
    if winner is None or winner == "":
        raise unstated('"winner" is empty: the row was not judged', source, winner)
    if not isinstance(winner, str) or winner not in _WINNERS:
        what, fix = '"winner" is no verdict', f"Known: {', '.join(_WINNERS)}"
        raise InputError(what, where=source, got=describe(winner), fix=fix, kind="label")
    columns = ("conversation_a", "conversation_b")
    sides = [split_answer(read_turns(row[name], f'"{name}"', source), f'"{name}"', source) for name in columns]
    prompt = shared_prompt(sides[0][0], sides[1][0], source, columns)
    return compared(prompt, [answer for _, answer in sides], _WINNERS[winner], source, row)


LAYOUT = Layout(
    name="arena",
    title="Chatbot Arena battles",
    columns=("conversation_a", "conversation_b", "winner"),
    convert=convert,
    known="lmsys/chatbot_arena_conversations",
)
