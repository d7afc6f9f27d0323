"""Two answers with a mark each, as the WebGPT comparisons have them: ``answer_0``, ``score_0``, and the other two."""

from __future__ import annotations

from collections.abc import Mapping

from penchant.data.formats.comparison import compared
from penchant.data.formats.fields import Row, answer_text, field_of, number
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_prompt
from penchant.records import PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    question = row["question"]
    asked = field_of(question, "full_text", '"question"', source) if isinstance(question, Mapping) else question
    marks = [number(row[f"score_{k}"], f'"score_{k}"', source) for k in (0, 1)]
    answers = [answer_text(row[f"answer_{k}"], f'"answer_{k}"', source) for k in (0, 1)]
    return compared(
        read_prompt(asked, '"question"', source),
        answers,
        marks[1] - marks[0],
        source,
        row,
        chosen_scores=max(marks),
        rejected_scores=min(marks),
    )


LAYOUT = Layout(
    name="webgpt",
    title="WebGPT comparisons",
    columns=("question", "answer_0", "answer_1", "score_0", "score_1"),
    convert=convert,
    fields=("full_text",),
    known="openai/webgpt_comparisons",
)
