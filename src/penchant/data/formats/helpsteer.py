"""One answer and its marks for five qualities, as HelpSteer has it; the rating is ``helpfulness``.

Rows that follow one another with the same prompt are answers to one prompt.
"""

from __future__ import annotations

from penchant.data.formats.fields import Row, number, ranked
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.records import RankedAnswers


def convert(row: Row, source: str) -> RankedAnswers:
    prompt = read_prompt(row["prompt"], '"prompt"', source)
    answer = read_answer(row["response"], '"response"', prompt, source)
    return ranked(prompt, [answer], [number(row["helpfulness"], '"helpfulness"', source)], source, row)


LAYOUT = Layout(
    name="helpsteer",
    title="HelpSteer answers with ratings",
    columns=("prompt", "response", "helpfulness"),
    convert=convert,
    gives="lists",
    known="nvidia/HelpSteer, HelpSteer2",
)
