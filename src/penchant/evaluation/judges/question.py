"""What a judge is asked, how, and what comes back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penchant.errors import InputError, shorten
from penchant.evaluation.prompts import digest, plain
from penchant.records import Prompt

_WORDS = {"first": 1.0, "second": 0.0, "tie": 0.5}
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Question:
    """One answer to rate, or two to compare in the order in which they are shown."""

    prompt: Prompt
    answers: tuple[str, ...]

    def shown(self) -> dict[str, Any]:
        """As JSON: ``prompt`` with ``answer``, or with ``first`` and ``second``."""
        names = ("answer",) if len(self.answers) == 1 else ("first", "second")
        return {"prompt": plain(self.prompt)} | dict(zip(names, self.answers, strict=True))

    def key(self, judge: str) -> str:
        """A name that the judge and the texts alone decide."""
        return digest(judge, self.prompt, self.answers)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a judge said: a number, or a fault in words; ``raw`` is what it wrote, kept either way.

    A rating is any finite number. A comparison is the probability that the first answer is the better one.

    Attributes:
        value: The number, or ``None``.
        raw: The reply as text.
        fault: Why there is no number.
        answered: Whether the judge replied at all; what it replied is not asked for again.
    """

    value: float | None
    raw: str
    fault: str | None = None
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often a program is asked.

    Attributes:
        seconds: For one answer.
        retries: Further tries after a hang, a death or a malformed verdict.
        jobs: Questions under way at once.
    """

    seconds: float = 60.0
    retries: int = 2
    jobs: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise InputError("the time limit must be a number of seconds above 0", got=str(self.seconds))
        if self.retries < 0 or self.jobs < 1:
            what = "retries must be at least 0 and jobs at least 1"
            raise InputError(what, got=f"retries {self.retries}, jobs {self.jobs}")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How a model rates.

    Attributes:
        reference: Of the implicit reward. ``None`` takes the base that an adapter names.
        method: Whose implicit reward. ``None`` takes that of the policy's run folder with its constants, else DPO's.
        beta: Its beta; ``None`` takes the method's.
        max_length: Most tokens of prompt and answer; longer ones get no rating. ``None`` takes the model's limit.
        chat_template: ``"auto"`` or ``"none"``.
        dtype: Type of the weights.
        max_tokens: Positions that go through the model at once.
        trust_remote_code: Whether code that comes with a model may run.
    """

    reference: str | None = None
    method: str | None = None
    beta: float | None = None
    max_length: int | None = None
    chat_template: str = "auto"
    dtype: str = "float32"
    max_tokens: int = 4096
    trust_remote_code: bool = False


class Judge(Protocol):
    """Whoever answers questions.

    Attributes:
        name: What messages and files call it.
        identity: Changes when its verdicts may change.
        compares: Whether it is shown two answers rather than one.
        bradley_terry: Whether the sigmoid of a difference of its ratings is a probability.
    """

    name: str
    identity: str
    compares: bool
    bradley_terry: bool

    def replies(self, questions: Sequence[Question]) -> Iterator[tuple[int, Reply]]:
        """The place of every question with its reply, in any order, as they come.

        Raises:
            InputError: if the judge is beyond hope.
        """
        ...


def read_reply(value: Any, raw: str, *, compares: bool) -> Reply:
    """A verdict from what a judge returned: a number, a word, or an object that holds one.

    Ratings: ``3.5`` or ``{"score": 3.5}``. Comparisons: ``0.7``, ``{"preference": 0.7}``, ``"first"``, ``"second"``,
    ``"tie"`` or ``{"winner": "first"}``. Anything else is malformed.
    """
    names = ("preference", "winner") if compares else ("score",)
    found = value
    if isinstance(value, Mapping):
        found = next((value[name] for name in names if name in value), None)
    if compares and isinstance(found, str):
        found = _WORDS.get(found.strip().lower())
    wanted = 'a number from 0 to 1, "first", "second" or "tie"' if compares else "a finite number"
    fault = f"the verdict is not {wanted} but {shorten(value)}"
    if not isinstance(found, int | float):
        return Reply(None, raw, fault)
    try:
        number = float(found)
    except OverflowError:
        return Reply(None, raw, fault)
    if not math.isfinite(number) or (compares and not 0 <= number <= 1):
        return Reply(None, raw, fault)
    return Reply(number, raw)


def tail(text: str) -> str:
    """The end of what a program wrote, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else "…" + line[-_SHOWN:]
