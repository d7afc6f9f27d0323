"""One answer and its rating: ``prompt``, ``completion`` (or ``response``), ``score`` (or ``rating``, ``reward``).

Rows that follow one another with the same prompt are answers to one prompt.
"""

from __future__ import annotations

from penchant.data.formats.fields import Row, number, ranked
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.records import RankedAnswers

_ANSWERS = ("completion", "response", "answer")
_SCORES = ("score", "rating", "reward")


def convert(row: Row, source: str) -> RankedAnswers:
    column = next(name for name in _ANSWERS if name in row)
    given = next(name for name in _SCORES if name in row)
    prompt = read_prompt(row["prompt"], '"prompt"', source)
    answer = read_answer(row[column], f'"{column}"', prompt, source)
    return ranked(prompt, [answer], [number(row[given], f'"{given}"', source)], source, row)


LAYOUT = Layout(
    name="rated-answers",
    title="answers with ratings",
    columns=("prompt",),
    either=(_ANSWERS, _SCORES),
    convert=convert,
    gives="lists",
    known="penchant convert --to ratings",
)
