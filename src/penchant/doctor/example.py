"""A row as the rules on text see it: what was said before, and the answers by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from penchant.doctor.rule import Record
from penchant.records import PreferencePair


class Example(NamedTuple):
    """One readable row.

    Attributes:
        turns: The texts of the prompt's turns; one for a prompt given as a string.
        roles: Their roles.
        names: What the answers are called: ``("chosen", "rejected")`` or ``("answer",)``.
        answers: Their texts.
        label: The thumb of a labelled answer, ``None`` for a pair.
        whole: All texts together, for rules that first ask whether anything is there to look for.
    """

    turns: tuple[str, ...]
    roles: tuple[str, ...]
    names: tuple[str, ...]
    answers: tuple[str, ...]
    label: bool | None
    whole: str

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
            answers: tuple[str, ...] = (record.chosen, record.rejected)
            return cls(turns, roles, ("chosen", "rejected"), answers, None, "\n\n".join((*turns, *answers)))
        return cls(
            turns, roles, ("answer",), (record.completion,), record.label, "\n\n".join((*turns, record.completion))
        )

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every text after its name; those of the prompt are all called ``"prompt"``."""
        yield from zip(self.names, self.answers, strict=True)
        for turn in self.turns:
            yield "prompt", turn
