"""A judge's preference between two outputs, as AlpacaEval writes it: from 1, the first is better, to 2, the second is.

What lies between is a probability; 1.5 is a tie, and so is 0 in older files.
"""

from __future__ import annotations

from penchant.data.formats.comparison import compared
from penchant.data.formats.fields import Row, describe, number, unstated
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.errors import InputError
from penchant.records import PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    given = row["preference"]
    if given is None:
        raise unstated('"preference" is empty: the row was not judged', source, given)
    preference = number(given, '"preference"', source, 0, 2) or 1.5
    if preference < 1:
        what = '"preference" must be from 1 to 2, or 0'
        raise InputError(what, where=source, got=describe(given), fix="Drop the row", kind="label")
    prompt = read_prompt(row["instruction"], '"instruction"', source)
    answers = [read_answer(row[name], f'"{name}"', prompt, source) for name in ("output_1", "output_2")]
    toward_second = preference - 1.5
    return compared(prompt, answers, toward_second, source, row, preference_probs=0.5 + abs(toward_second))


LAYOUT = Layout(
    name="alpaca-eval",
    title="AlpacaEval annotations",
    columns=("instruction", "output_1", "output_2", "preference"),
    convert=convert,
    known="alpaca_eval",
)
