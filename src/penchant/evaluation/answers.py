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
_TWO = (
    *(("chosen", "rejected"), ("completion_a", "completion_b"), ("response_a", "response_b")),
    *(("answer_a", "answer_b"), ("output_1", "output_2"), ("response_0", "response_1")),
)
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
    ``output``), two of them (``chosen`` and ``rejected``, ``completion_a`` and ``completion_b``, ...) or a list
    (``completions``, ...), or it is in a known layout of preference data.

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
    stated = _stated(row, source)
    if stated is None:
        yield from _of_layout(row, source)
        return
    for name, value in stated:
        yield value if isinstance(value, str) and not value else read_answer(value, f'"{name}"', prompt, source)


def _stated(row: Mapping[str, Any], source: str) -> list[tuple[str, Any]] | None:
    """Columns that are answers by their name, whatever else the row says of them."""
    for name in _ONE:
        if name in row:
            return [(name, row[name])]
    for first, second in _TWO:
        if first in row and second in row:
            return [(first, row[first]), (second, row[second])]
    for name in _SEVERAL:
        value = row.get(name)
        if name in row and not isinstance(value, list | tuple):
            raise InputError(f'"{name}" must be a list of answers', where=source, got=shorten(value))
        if isinstance(value, list | tuple) and not any(isinstance(one, Mapping) for one in value):
            return [(name, one) for one in value]
    return None


def _of_layout(row: Mapping[str, Any], source: str) -> tuple[str, ...]:
    try:
        record = recognise(row, source).convert(row, source)
    except InputError as error:
        what = f'the row has no answer under "{_ONE[0]}" or "{_SEVERAL[0]}", and is in no layout: {error.what}'
        raise InputError(what, where=source, got=shorten(", ".join(map(str, row)))) from error
    if isinstance(record, TokenPair | TokenAnswer):
        raise InputError("the row is tokens already, and answers are wanted as text", where=source)
    if isinstance(record, PreferencePair):
        return (record.chosen, record.rejected)
    return (record.completion,) if isinstance(record, LabelledAnswer) else tuple(record.answers)


def _difficulty(row: Mapping[str, Any], source: str, before: float | None) -> float | None:
    value = row.get("difficulty")
    if value is None:
        return before
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError('"difficulty" must be a number', where=source, got=shorten(value))
    return float(value)
