"""A prompt, its answers, and a number for each: ``prompt``, ``answers`` and ``scores``, or their other names.

``ranks`` count from the best; every other number is higher for the better answer.
"""

from __future__ import annotations

from penchant.data.formats.fields import Row, entries, number, ranked
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.records import RankedAnswers

ANSWERS = ("answers", "completions", "responses", "generations")
SCORES = ("scores", "ratings", "rewards")
RANKS = ("ranks", "ranking")


def convert(row: Row, source: str) -> RankedAnswers:
    column = next(name for name in ANSWERS if name in row)
    given = next(name for name in (*SCORES, *RANKS) if name in row)
    prompt = read_prompt(row["prompt"], '"prompt"', source)
    answers = [
        read_answer(answer, f'"{column}" entry {k}', prompt, source)
        for k, answer in enumerate(entries(row[column], f'"{column}"', source), 1)
    ]
    numbers = [
        number(value, f'"{given}" entry {k}', source)
        for k, value in enumerate(entries(row[given], f'"{given}"', source), 1)
    ]
    return ranked(prompt, answers, [-n for n in numbers] if given in RANKS else numbers, source, row)


LAYOUT = Layout(
    name="ranked-lists",
    title="prompts with lists of rated answers",
    columns=("prompt",),
    either=(ANSWERS, (*SCORES, *RANKS)),
    convert=convert,
    gives="lists",
    known="penchant convert --to ranking, argilla's distilabel",
)
