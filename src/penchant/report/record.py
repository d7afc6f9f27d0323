"""What a run folder keeps for its report: the format of the files under ``record/``, and their one writer.

Every file begins with the format's version (the first line, where it has lines). A reader refuses a newer one; unknown
fields are left alone, so that a field may be added without a new version.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from penchant.whole import write_whole

VERSION = 1
_Value = TypeVar("_Value")
FOLDER = "record"
RUN, DOCTOR = "run.json", "doctor.json"
ROWS, TOKENS, SAMPLES = "rows.jsonl", "tokens.jsonl", "samples.jsonl"
ALARMS = "alarms.jsonl"
"""The alarms stand beside ``log.jsonl`` and are written while the run goes on."""


class MethodFacts(msgspec.Struct):
    """The method in words."""

    name: str
    formula: str
    key_difference: str
    paper: str | None = None
    link: str | None = None


class NoiseFacts(msgspec.Struct):
    """Rounding in margins, as root mean squares in nats: of the noise, and of what a first step moves them by."""

    nats: float
    signal: float
    dtype: str


class RunFacts(msgspec.Struct):
    """``run.json``: written before the first step, and again at the end.

    Attributes:
        name: The run folder's name.
        penchant: The version that wrote it.
        method: What was minimised.
        constants: Its constants.
        reference: Whether rewards are measured against a reference.
        per_token: Whether the method ranks answers by log-probs per token.
        unit: ``pairs`` or ``answers``.
        rows: Rows to train on.
        held_out: Rows to evaluate on.
        steps: Optimiser steps planned.
        batch_size: Rows per step.
        learning_rate: The peak.
        facts: What the run's summary says, name by name.
        command: What makes it again.
        started: Local time, ISO 8601.
        noise: Rounding in margins; ``None`` for weights in float32 or where it was not measured.
        finished: When it ended; ``None`` while it goes on, or if it was stopped.
        measuring_s: Seconds spent on what the report alone needs.
        kl: KL(trained, start) in nats per token over answers of the data, one number per row measured.
        version: Of the format.
    """

    name: str
    penchant: str
    method: MethodFacts
    constants: dict[str, Any]
    reference: bool
    per_token: bool
    unit: str
    rows: int
    held_out: int
    steps: int
    batch_size: int
    learning_rate: float
    facts: dict[str, str]
    command: str
    started: str
    noise: NoiseFacts | None = None
    finished: str | None = None
    measuring_s: float = 0.0
    kl: list[float] | None = None
    version: int = VERSION


class Head(msgspec.Struct):
    """First line of a file of lines.

    Attributes:
        of: Which rows: ``held-out`` or ``training``.
        note: How the lines came about, as a clause.
        version: Of the format.
    """

    of: str = ""
    note: str = ""
    version: int = VERSION


class Row(msgspec.Struct):
    """A row's log-probs (nats, summed) and rewards: of the chosen and the rejected answer, of the one answer, or of all
    the answers of a list, best first.

    Attributes:
        source: ``file:line``.
        prompt: Equal numbers mark rows of one prompt.
        lengths: Tokens of the answers.
        after: Log-probs under the trained model.
        rewards: Its implicit rewards.
        before: Log-probs under the model that training began with.
        start_rewards: Its implicit rewards; all 0 for a method with a reference.
        label: Of a single answer.
        scores: The ratings of a list's answers, best first.
    """

    source: str
    prompt: int
    lengths: list[int]
    after: list[float]
    rewards: list[float]
    before: list[float] | None = None
    start_rewards: list[float] | None = None
    label: bool | None = None
    scores: list[float] | None = None


def ordered(row: Row, values: Sequence[_Value]) -> list[tuple[_Value, _Value]]:
    """A value of the better and of the worse answer, for each two answers of a row whose ratings differ."""
    if row.scores is None:
        return [(values[0], values[1])]
    both = zip(itertools.combinations(values, 2), itertools.combinations(row.scores, 2), strict=True)
    return [two for two, (better, worse) in both if better > worse]


class Token(msgspec.Struct, array_like=True):
    """Some text and its log-prob before and after training; a character over several tokens stands with the last."""

    text: str
    before: float
    after: float


class TokenAnswerFacts(msgspec.Struct):
    """One answer; ``role`` is chosen, rejected, desirable, undesirable, or what it was rated."""

    role: str
    reward: float
    tokens: list[Token]


class TokenRow(msgspec.Struct):
    """A row shown token by token: ``kind`` is best or worst."""

    kind: str
    source: str
    prompt: str
    answers: list[TokenAnswerFacts]


class Sample(msgspec.Struct):
    """An answer to one prompt before and after training; ``verdict`` says what a rule or a judge made of it."""

    prompt: str
    before: str
    after: str | None = None
    verdict: str | None = None


class Alarm(msgspec.Struct):
    """Something that went wrong while training: its number, the step, what was seen, and what to do."""

    id: str
    step: int
    sentence: str
    remedy: str


def plain(text: str) -> str:
    """The text as UTF-8 can hold it: half a surrogate pair becomes its number."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_json(folder: Path, name: str, value: Any) -> None:
    """One value, given as a structure or with its version; a reader sees the old file or the new one, never half."""
    _write(folder, name, msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def write_lines(folder: Path, name: str, head: Head, lines: Iterable[msgspec.Struct]) -> None:
    """A head and its lines, whole or not at all."""
    encode = msgspec.json.Encoder().encode
    _write(folder, name, b"".join(encode(line) + b"\n" for line in (head, *lines)))


def _write(folder: Path, name: str, data: bytes) -> None:
    target = folder / FOLDER / name
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, data)
