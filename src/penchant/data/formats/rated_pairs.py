"""An instruction beside two answers with a rating each: ``instruction``, ``chosen_response``, ``rejected_response``."""

from __future__ import annotations

from penchant.data.formats.fields import Row, number, pair
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.records import PreferencePair

_RATINGS = {"chosen_scores": "chosen_avg_rating", "rejected_scores": "rejected_avg_rating"}


def convert(row: Row, source: str) -> PreferencePair:
    prompt = read_prompt(row["instruction"], '"instruction"', source)
    chosen = read_answer(row["chosen_response"], '"chosen_response"', prompt, source)
    rejected = read_answer(row["rejected_response"], '"rejected_response"', prompt, source)
    numbers = {
        term: number(row[column], f'"{column}"', source)
        for term, column in _RATINGS.items()
        if row.get(column) is not None
    }
    return pair(prompt, chosen, rejected, source, numbers, row)


LAYOUT = Layout(
    name="rated-pairs",
    title="instruction/chosen_response/rejected_response pairs",
    columns=("instruction", "chosen_response", "rejected_response"),
    convert=convert,
    optional=tuple(_RATINGS.values()),
    known="argilla's UltraFeedback binarised",
)
