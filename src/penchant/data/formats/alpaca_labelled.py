"""Alpaca's columns with one answer and a verdict: ``instruction``, ``output``, and ``kto_tag`` or ``label``."""

from __future__ import annotations

from penchant.data.formats.fields import Row, answer_text, labelled
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import alpaca_prompt
from penchant.records import LabelledAnswer


def convert(row: Row, source: str) -> LabelledAnswer:
    name = "kto_tag" if "kto_tag" in row else "label"
    answer = answer_text(row["output"], '"output"', source)
    return labelled(alpaca_prompt(row, source), answer, row[name], source, row, name)


LAYOUT = Layout(
    name="alpaca-labelled",
    title="instruction/output/label answers",
    columns=("instruction", "output"),
    either=(("kto_tag", "label"),),
    convert=convert,
    gives="answers",
    optional=("input", "system", "history"),
    known="LLaMA-Factory's alpaca",
)
