"""Two answers of StackExchange, the first with more votes: ``question``, ``response_j``, ``response_k``."""

from __future__ import annotations

from penchant.data.formats.fields import Row, answer_text, pair
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_prompt
from penchant.records import PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    prompt = read_prompt(row["question"], '"question"', source)
    better = answer_text(row["response_j"], '"response_j"', source)
    return pair(prompt, better, answer_text(row["response_k"], '"response_k"', source), source, row=row)


LAYOUT = Layout(
    name="stack-exchange-pairs",
    title="StackExchange pairs",
    columns=("question", "response_j", "response_k"),
    convert=convert,
    known="lvwerra/stack-exchange-paired",
)
