"""A row as the rules on text see it: what was said before, and the answers by name."""

from __future__ import annotations

from dataclasses import dataclass

from penchant.doctor.rule import Record
from penchant.records import PreferencePair


@dataclass(frozen=True, slots=True)
class Example:
    """One readable row.

    Attributes:
        turns: The texts of the prompt's turns; one for a prompt given as a string.
        roles: Their roles.
        names: What the answers are called: ``("chosen", "rejected")`` or ``("answer",)``.
        answers: Their texts.
        label: The thumb of a labelled answer, ``None`` for a pair.
    """

    turns: tuple[str, ...]
    roles: tuple[str, ...]
    names: tuple[str, ...]
    answers: tuple[str, ...]
    label: bool | None

    @classmethod
    def of(cls, record: Record) -> Example:
        prompt = record.prompt
        if isinstance(prompt, str):
            turns: tuple[str, ...] = (prompt,)
            roles: tuple[str, ...] = ("user",)
        else:
            turns = tuple(turn["content"] for turn in prompt)
            roles = tuple(turn["role"] for turn in prompt)
        if isinstance(record, PreferencePair):
            return cls(turns, roles, ("chosen", "rejected"), (record.chosen, record.rejected), None)
        return cls(turns, roles, ("answer",), (record.completion,), record.label)
