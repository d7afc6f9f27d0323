"""Answers to a question of StackExchange with their votes: ``question``, ``answers`` of ``text`` and ``pm_score``."""

from __future__ import annotations

from penchant.data.formats.fields import Row, answer_text, entries, field_of, first_has, number, ranked
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_prompt
from penchant.records import RankedAnswers


def convert(row: Row, source: str) -> RankedAnswers:
    answers, scores = [], []
    for k, entry in enumerate(entries(row["answers"], '"answers"', source), 1):
        name = f'"answers" entry {k}'
        answers.append(answer_text(field_of(entry, "text", name, source), f'{name} "text"', source))
        scores.append(number(field_of(entry, "pm_score", name, source), f'{name} "pm_score"', source))
    return ranked(read_prompt(row["question"], '"question"', source), answers, scores, source, row)


LAYOUT = Layout(
    name="stack-exchange",
    title="StackExchange questions with rated answers",
    columns=("question", "answers"),
    convert=convert,
    gives="lists",
    fields=("text", "pm_score"),
    fits=lambda row: first_has(row["answers"], "pm_score"),
    known="HuggingFaceH4/stack-exchange-preferences",
)
