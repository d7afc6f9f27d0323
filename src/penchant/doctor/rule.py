"""What a rule is, what it finds, and the table's vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

from penchant.records import LabelledAnswer, PreferencePair, RankedAnswers

Record: TypeAlias = PreferencePair | LabelledAnswer | RankedAnswers


class Severity(IntEnum):
    """How much a finding matters: ``--fail-on`` compares these."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Finding(NamedTuple):
    """One fault of one row: what was found, and how bad it is among the rule's own (the worst are shown)."""

    detail: str
    weight: float = 1.0


class Verdict(NamedTuple):
    """What a rule says of the whole file: the sentence, and the severity that the numbers deserve."""

    detail: str
    severity: Severity


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One thing that can be wrong with preference data.

    Attributes:
        id: Its number, e.g. ``"D103"``: D0 looks at one row, D1 at all rows, D2 at tokens, D3 at log-probs.
        title: What is wrong, in a few words.
        severity: What a finding counts as; a rule on the whole file may say less.
        why: What it does to training.
        remedy: What to do about it.
        check: The function that finds it; what it takes depends on the rule's kind.
        drops: Whether ``--fix`` leaves a row out for it.
    """

    id: str
    title: str
    severity: Severity
    why: str
    remedy: str
    check: Callable[..., Any]
    drops: bool = False


def rule(
    id: str, title: str, severity: Severity, *, why: str, remedy: str, drops: bool = False
) -> Callable[[Callable[..., Any]], Rule]:
    """Make a rule of the function that finds it."""
    return lambda check: Rule(id, title, severity, why, remedy, check, drops)
