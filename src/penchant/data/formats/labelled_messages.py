"""A conversation and a verdict on its last turn: ``messages`` and ``label``."""

from __future__ import annotations

from penchant.data.formats.fields import labelled
from penchant.data.formats.layout import Layout, Row
from penchant.data.formats.turns import checked_prompt, read_turns, split_answer
from penchant.records import LabelledAnswer


def convert(row: Row, source: str) -> LabelledAnswer:
    before, completion = split_answer(read_turns(row["messages"], '"messages"', source), '"messages"', source)
    prompt = checked_prompt(before, '"messages"', source)
    return labelled(prompt, completion, row["label"], source)


LAYOUT = Layout(
    name="labelled-messages",
    title="messages/label answers",
    columns=("messages", "label"),
    convert=convert,
)
