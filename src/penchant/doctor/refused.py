"""Rules on rows that the reader refuses: training would stop at each of them.

Each rule's ``check`` takes the reader's :class:`InputError` and says whether the refusal is its own, by its kind.
"""

from __future__ import annotations

from penchant.doctor.rule import Rule, Severity, rule
from penchant.errors import InputError

_STOPS = "Training stops at the row, before the first step."


@rule(
    "D001",
    "row cannot be read",
    Severity.ERROR,
    why=_STOPS,
    remedy="Repair what the message names, or drop the row.",
    drops=True,
)
def unreadable(fault: InputError) -> bool:
    """Whatever no other rule on refused rows claims."""
    return True


@rule(
    "D002",
    "identical sides",
    Severity.ERROR,
    why=f"The pair states no preference: its margin is 0 whatever the model does. {_STOPS}",
    remedy="Drop the row.",
    drops=True,
)
def identical(fault: InputError) -> bool:
    """Chosen and rejected are the same text."""
    return fault.kind == "identical"


@rule(
    "D003",
    "empty answer or prompt",
    Severity.ERROR,
    why=f"An empty answer teaches the model to end its turn at once. {_STOPS}",
    remedy="Drop the row; look for the step that lost the text.",
    drops=True,
)
def empty(fault: InputError) -> bool:
    """An answer or a prompt with nothing but white space."""
    return fault.kind == "empty"


@rule(
    "D004",
    "different prompts on the two sides",
    Severity.ERROR,
    why=f"A preference is between answers to one prompt; across two it compares prompts. {_STOPS}",
    remedy="Make all turns but the last equal, or drop the row.",
    drops=True,
)
def different_prompts(fault: InputError) -> bool:
    """The turns before the two answers differ."""
    return fault.kind == "prompts"


@rule(
    "D005",
    "turns in an order that has no answer",
    Severity.ERROR,
    why=f"The answer must be the assistant's turn after the user's, and it is not. {_STOPS}",
    remedy="Drop the later turns, join the two assistant turns, or name the roles as they are.",
    drops=True,
)
def wrong_turns(fault: InputError) -> bool:
    """The last turn is not the assistant's, or the prompt's last is, or no user speaks."""
    return fault.kind == "turns"


@rule(
    "D006",
    "label is neither true nor false",
    Severity.ERROR,
    why=f"Which way a score or a word points is not for a trainer to guess. {_STOPS}",
    remedy="Write true for an answer to learn from, false for one to avoid.",
    drops=True,
)
def bad_label(fault: InputError) -> bool:
    """A label such as 0.5 or "yes"."""
    return fault.kind == "label"


@rule(
    "D014",
    "row was never judged",
    Severity.NOTE,
    why="It says nothing about which answer is better, and training leaves it out.",
    remedy="Nothing, or judge it.",
)
def unjudged(fault: InputError) -> bool:
    """An annotation without a verdict."""
    return fault.kind == "unstated"


RULES: tuple[Rule, ...] = (unreadable, unjudged, identical, empty, different_prompts, wrong_turns, bad_label)


def classify(fault: InputError) -> Rule:
    """The rule that a refusal belongs to."""
    return next((rule for rule in RULES[1:] if rule.check(fault)), unreadable)
