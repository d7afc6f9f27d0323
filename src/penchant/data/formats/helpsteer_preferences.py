"""Two answers and a preference from -3 to 3, as HelpSteer 2 and 3 have it: below 0 the first is better, 0 is a tie.

``prompt`` or ``context``; ``response_1`` or ``response1`` and the other; ``preference_strength`` or
``overall_preference``.
"""

from __future__ import annotations

from penchant.data.formats.comparison import compared
from penchant.data.formats.fields import Row, number, unstated
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.records import PreferencePair

_PROMPTS = ("prompt", "context")
_FIRST, _SECOND = ("response_1", "response1"), ("response_2", "response2")
_STRENGTHS = ("preference_strength", "overall_preference")


def convert(row: Row, source: str) -> PreferencePair:
    asked, one, two, given = (
        next(name for name in group if name in row) for group in (_PROMPTS, _FIRST, _SECOND, _STRENGTHS)
    )
    if row[given] is None:
        raise unstated(f'"{given}" is empty: the row states no preference', source, row[given])
    strength = number(row[given], f'"{given}"', source, -3, 3)
    prompt = read_prompt(row[asked], f'"{asked}"', source)
    answers = [read_answer(row[name], f'"{name}"', prompt, source) for name in (one, two)]
    return compared(prompt, answers, strength, source, row, margin=abs(strength))


LAYOUT = Layout(
    name="helpsteer-preferences",
    title="HelpSteer preferences",
    columns=(),
    either=(_PROMPTS, _FIRST, _SECOND, _STRENGTHS),
    convert=convert,
    known="nvidia/HelpSteer2 (preference), HelpSteer3",
)
