"""Answers by prompt, from the files of ``penchant sample``, of other tools, or of preference data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penchant.data.files import path_text, rows_of_file
from penchant.data.formats import recognise
from penchant.data.formats.turns import read_answer
from penchant.errors import InputError, shorten
from penchant.evaluation.prompts import prompt_key, prompt_of
from penchant.records import LabelledAnswer, PreferencePair, Prompt, TokenAnswer, TokenPair

_ONE = ("completion", "answer", "response", "output")
_SEVERAL = ("completions", "answers", "responses", "outputs")


@dataclass(slots=True)
class Answered:
    """A prompt and its answers in the files' order; ``difficulty`` is its number of that name, if a row gave one."""

    prompt: Prompt
    answers: list[str] = field(default_factory=list)
    difficulty: float | None = None


def read_answers(paths: Sequence[str | Path]) -> dict[str, Answered]:
    """The answers in some files, by their prompt's key.

    A row holds a ``prompt`` (or ``instruction``, ``question``) with a ``completion`` (``answer``, ``response``,
    ``output``) or a list of them (``completions``, ...), or it is a preference pair in a known layout.

    Raises:
        InputError: at the first row without prompt or answer, or if there is no row.
    """
    found: dict[str, Answered] = {}
    for path in map(Path, paths):
        rows = 0
        for source, row in rows_of_file(path):
            rows += 1
            prompt = prompt_of(row, source)
            assert isinstance(row, Mapping), "a row with a prompt is an object"
            one = found.setdefault(prompt_key(prompt), Answered(prompt))
            one.answers += answers_of(row, prompt, source)
            one.difficulty = _difficulty(row, source, one.difficulty)
        if not rows:
            raise InputError("the file holds no answers", where=path_text(path))
    return found


def answers_of(row: Mapping[str, Any], prompt: Prompt, source: str) -> Iterator[str]:
    """A row's answers; an empty one is an answer too: a model may say nothing.

    Raises:
        InputError: if there is none, or one is not text.
    """
    name = next((name for name in (*_ONE, *_SEVERAL) if name in row), None)
    if name is None:
        try:
            record = recognise(row, source).convert(row, source)
        except InputError as error:
            what = f'the row has no answer under "{_ONE[0]}" or "{_SEVERAL[0]}", and is no pair: {error.what}'
            raise InputError(what, where=source, got=shorten(", ".join(map(str, row)))) from error
        if isinstance(record, TokenPair | TokenAnswer):
            raise InputError("the row is tokens already, and answers are wanted as text", where=source)
        if isinstance(record, PreferencePair):
            yield from (record.chosen, record.rejected)
        else:
            yield from (record.completion,) if isinstance(record, LabelledAnswer) else record.answers
        return
    value = row[name]
    if name in _SEVERAL and not isinstance(value, list | tuple):
        raise InputError(f'"{name}" must be a list of answers', where=source, got=shorten(value))
    for one in value if name in _SEVERAL else (value,):
        yield one if one == "" else read_answer(one, f'"{name}"', prompt, source)


def _difficulty(row: Mapping[str, Any], source: str, before: float | None) -> float | None:
    value = row.get("difficulty")
    if value is None:
        return before
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError('"difficulty" must be a number', where=source, got=shorten(value))
    return float(value)
