"""A conversation whose last turn is the chosen answer, and the rejected one beside it, as ms-swift has it.

``messages``, and ``rejected_response`` (a string) or ``rejected_messages`` (the whole conversation, or its last turn).
"""

from __future__ import annotations

from penchant.data.formats.fields import Row, pair
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import conversation, read_answer
from penchant.records import PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    prompt, chosen = conversation(row["messages"], '"messages"', source)
    column = "rejected_response" if row.get("rejected_response") is not None else "rejected_messages"
    rejected = read_answer(row.get(column), f'"{column}"', prompt, source)
    return pair(prompt, chosen, rejected, source, row=row)


LAYOUT = Layout(
    name="swift-pairs",
    title="messages/rejected_response pairs",
    columns=("messages",),
    either=(("rejected_response", "rejected_messages"),),
    convert=convert,
    known="ms-swift",
)
