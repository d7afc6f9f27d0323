"""A conversation and a verdict on its last turn: ``messages``, and ``label`` or ``kto_tag``."""

from __future__ import annotations

from penchant.data.formats.fields import Row, labelled
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import conversation
from penchant.records import LabelledAnswer


def convert(row: Row, source: str) -> LabelledAnswer:
    name = "kto_tag" if "kto_tag" in row else "label"
    prompt, completion = conversation(row["messages"], '"messages"', source)
    return labelled(prompt, completion, row[name], source, row, name)


LAYOUT = Layout(
    name="labelled-messages",
    title="messages/label answers",
    columns=("messages",),
    either=(("label", "kto_tag"),),
    convert=convert,
    gives="answers",
    known="LLaMA-Factory, ms-swift",
)
