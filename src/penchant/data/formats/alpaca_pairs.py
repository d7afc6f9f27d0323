"""Alpaca's columns and two answers: ``instruction``, ``chosen``, ``rejected``; ``input``, ``system``, ``history``."""

from __future__ import annotations

from penchant.data.formats.fields import Row, pair
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import alpaca_prompt, read_answer
from penchant.records import PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    prompt = alpaca_prompt(row, source)
    chosen = read_answer(row["chosen"], '"chosen"', prompt, source)
    return pair(prompt, chosen, read_answer(row["rejected"], '"rejected"', prompt, source), source, row=row)


LAYOUT = Layout(
    name="alpaca-pairs",
    title="instruction/chosen/rejected pairs",
    columns=("instruction", "chosen", "rejected"),
    convert=convert,
    optional=("input", "system", "history"),
    known="LLaMA-Factory's alpaca",
)
