"""An instruction and completions of several models, rated: ``instruction``, ``completions`` of ``response``.

The rating is ``overall_score``, or the mean of ``fine-grained_score`` where that is all there is.
"""

from __future__ import annotations

from collections.abc import Mapping

from penchant.data.formats.fields import Row, answer_text, entries, field_of, number, ranked
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_prompt
from penchant.records import RankedAnswers

_RATINGS = ("overall_score", "fine-grained_score")


def convert(row: Row, source: str) -> RankedAnswers:
    answers, scores = [], []
    for k, entry in enumerate(entries(row["completions"], '"completions"', source), 1):
        name = f'"completions" entry {k}'
        answers.append(answer_text(field_of(entry, "response", name, source), f'{name} "response"', source))
        assert isinstance(entry, Mapping)
        field = next((field for field in _RATINGS if entry.get(field) is not None), _RATINGS[0])
        scores.append(number(field_of(entry, field, name, source), f'{name} "{field}"', source))
    return ranked(read_prompt(row["instruction"], '"instruction"', source), answers, scores, source, row)


LAYOUT = Layout(
    name="ultrafeedback",
    title="UltraFeedback completions with ratings",
    columns=("instruction", "completions"),
    convert=convert,
    gives="lists",
    fields=("response", *_RATINGS),
    known="openbmb/UltraFeedback",
)
