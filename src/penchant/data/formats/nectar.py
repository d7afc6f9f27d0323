"""A transcript as the prompt, and ranked answers: ``prompt``, ``answers`` of ``answer`` and ``rank``, 1 the best."""

from __future__ import annotations

from penchant.data.formats.fields import Row, answer_text, entries, field_of, first_has, number, ranked
from penchant.data.formats.layout import Layout
from penchant.data.formats.transcripts import transcript_prompt
from penchant.data.formats.turns import checked_prompt, read_prompt
from penchant.records import Prompt, RankedAnswers


def convert(row: Row, source: str) -> RankedAnswers:
    answers, scores = [], []
    for k, entry in enumerate(entries(row["answers"], '"answers"', source), 1):
        name = f'"answers" entry {k}'
        answers.append(answer_text(field_of(entry, "answer", name, source), f'{name} "answer"', source))
        scores.append(-number(field_of(entry, "rank", name, source), f'{name} "rank"', source))
    return ranked(_prompt(row["prompt"], source), answers, scores, source, row)


def _prompt(value: object, source: str) -> Prompt:
    if isinstance(value, str) and value.lstrip().startswith("Human:"):
        return checked_prompt(transcript_prompt(value, '"prompt"', source), '"prompt"', source)
    return read_prompt(value, '"prompt"', source)


LAYOUT = Layout(
    name="nectar",
    title="prompts with ranked answers, as Nectar has them",
    columns=("prompt", "answers"),
    convert=convert,
    gives="lists",
    fields=("answer", "rank"),
    fits=lambda row: first_has(row["answers"], "rank"),
    known="berkeley-nest/Nectar",
)
