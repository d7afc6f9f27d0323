"""Labelled answers that are tokens already: ``prompt_ids``, ``completion_ids``, ``label``."""

from __future__ import annotations

from penchant.data.formats.fields import Row, labelled
from penchant.data.formats.layout import Layout
from penchant.data.formats.token_pairs import PROMPT, read_ids
from penchant.records import TokenAnswer

_ANSWER = ("completion_ids", "answer_input_ids")


def convert(row: Row, source: str) -> TokenAnswer:
    label = labelled("", "", row["label"], source).label
    return TokenAnswer(read_ids(row, PROMPT, source), read_ids(row, _ANSWER, source), label, source, [])


LAYOUT = Layout(
    name="token-answers",
    title="tokenised answers with labels",
    columns=("label",),
    either=(PROMPT, _ANSWER),
    convert=convert,
    gives="answers",
    known="TRL's own columns after it has tokenised",
)
