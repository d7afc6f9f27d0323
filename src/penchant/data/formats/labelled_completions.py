"""One answer and a verdict: ``prompt``, ``completion``, ``label``, the first two strings or lists of messages."""

from __future__ import annotations

from penchant.data.formats.fields import Row, labelled
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.records import LabelledAnswer


def convert(row: Row, source: str) -> LabelledAnswer:
    prompt = read_prompt(row["prompt"], '"prompt"', source)
    completion = read_answer(row["completion"], '"completion"', prompt, source)
    return labelled(prompt, completion, row["label"], source, row)


LAYOUT = Layout(
    name="labelled-completions",
    title="prompt/completion/label answers",
    columns=("prompt", "completion", "label"),
    convert=convert,
    gives="answers",
    known="TRL",
)
