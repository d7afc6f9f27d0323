"""A ShareGPT conversation and a verdict on its last turn: ``conversations``, and ``label`` or ``kto_tag``."""

from __future__ import annotations

from penchant.data.formats.fields import Row, labelled
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import SHAREGPT, checked_prompt, read_turns, split_answer, system_before
from penchant.records import LabelledAnswer


def convert(row: Row, source: str) -> LabelledAnswer:
    name = "kto_tag" if "kto_tag" in row else "label"
    turns = read_turns(row["conversations"], '"conversations"', source, SHAREGPT)
    before, completion = split_answer(system_before(row.get("system"), turns, source), '"conversations"', source)
    return labelled(checked_prompt(before, '"conversations"', source), completion, row[name], source, row, name)


LAYOUT = Layout(
    name="sharegpt-labelled",
    title="ShareGPT conversations with labels",
    columns=("conversations",),
    either=(("label", "kto_tag"),),
    convert=convert,
    gives="answers",
    optional=("system",),
    known="LLaMA-Factory's sharegpt",
)
