"""A conversation and ranked answers: ``context``, ``completions`` of ``completion`` and ``rank``, 0 the best."""

from __future__ import annotations

from penchant.data.formats.fields import Row, entries, field_of, number, ranked
from penchant.data.formats.layout import TURN_FIELDS, Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.records import RankedAnswers


def convert(row: Row, source: str) -> RankedAnswers:
    prompt = read_prompt(row["context"], '"context"', source)
    answers, scores = [], []
    for k, entry in enumerate(entries(row["completions"], '"completions"', source), 1):
        name = f'"completions" entry {k}'
        answers.append(read_answer(field_of(entry, "completion", name, source), f'{name} "completion"', prompt, source))
        scores.append(-number(field_of(entry, "rank", name, source), f'{name} "rank"', source))
    return ranked(prompt, answers, scores, source, row)


LAYOUT = Layout(
    name="ranked-completions",
    title="contexts with ranked completions",
    columns=("context", "completions"),
    convert=convert,
    gives="lists",
    fields=(*TURN_FIELDS, "rank", "completion"),
    known="NeMo-RL",
)
