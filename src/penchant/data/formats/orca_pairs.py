"""A question beside two answers, as Intel's Orca pairs have it: ``question``, ``chosen``, ``rejected``, ``system``."""

from __future__ import annotations

from penchant.data.formats.fields import Row, answer_text, pair
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import with_system
from penchant.records import PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    prompt = with_system(row.get("system"), row["question"], '"question"', source)
    chosen = answer_text(row["chosen"], '"chosen"', source)
    return pair(prompt, chosen, answer_text(row["rejected"], '"rejected"', source), source, row=row)


LAYOUT = Layout(
    name="orca-pairs",
    title="question/chosen/rejected pairs",
    columns=("question", "chosen", "rejected"),
    convert=convert,
    optional=("system",),
    known="Intel/orca_dpo_pairs, Axolotl's chatml.intel",
)
