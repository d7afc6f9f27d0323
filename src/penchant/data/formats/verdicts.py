"""People's verdicts on two models' answers, in five steps: ``completion_a``, ``completion_b``, ``preference``.

The verdict is ``a-is-better``, ``a-is-slightly-better``, ``tie`` and so on; whether each answer is acceptable may stand
beside it, and becomes its label where single answers are wanted.
"""

from __future__ import annotations

from penchant.data.formats.comparison import compared
from penchant.data.formats.fields import Row, describe, unstated
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.errors import InputError
from penchant.records import PreferencePair

_STEPS = {
    "a-is-better": -2.0,
    "a-is-slightly-better": -1.0,
    "tie": 0.0,
    "b-is-slightly-better": 1.0,
    "b-is-better": 2.0,
}
_ACCEPTABLE = ("completion_a_is_acceptable", "completion_b_is_acceptable")


def convert(row: Row, source: str) -> PreferencePair:
    verdict = row["preference"]
    if verdict is None or verdict == "":
        raise unstated('"preference" is empty: the row was not judged', source, verdict)
    if not isinstance(verdict, str) or verdict not in _STEPS:
        what, fix = '"preference" is no verdict of five steps', f"Known: {', '.join(_STEPS)}"
        raise InputError(what, where=source, got=describe(verdict), fix=fix, kind="label")
    step = _STEPS[verdict]
    prompt = read_prompt(row["prompt"], '"prompt"', source)
    answers = [read_answer(row[name], f'"{name}"', prompt, source) for name in ("completion_a", "completion_b")]
    thumbs = [{"yes": 1.0, "no": 0.0}.get(str(row.get(name))) for name in _ACCEPTABLE]
    sides = thumbs if step <= 0 else thumbs[::-1]
    numbers = {"margin": abs(step)}
    for name, thumb in zip(("chosen_label", "rejected_label"), sides, strict=True):
        if thumb is not None:
            numbers[name] = thumb
    return compared(prompt, answers, step, source, row, **numbers)


LAYOUT = Layout(
    name="annotations",
    title="A/B annotations",
    columns=("prompt", "completion_a", "completion_b", "preference"),
    convert=convert,
    optional=_ACCEPTABLE,
    known="open-instruct's human evaluation",
)
