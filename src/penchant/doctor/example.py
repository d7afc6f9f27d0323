"""A row as the rules on text see it: what was said before, and the answers by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from penchant.data.shaping import BEST_WORST, is_tie
from penchant.doctor.rule import Record
from penchant.records import PreferencePair, RankedAnswers

_SIDES, _ONE = ("chosen", "rejected"), ("answer",)


class Example(NamedTuple):
    """One readable row.

    Attributes:
        turns: The texts of the prompt's turns; one for a prompt given as a string.
        roles: Their roles.
        names: What the answers are called: ``("chosen", "rejected")`` or ``("answer",)``.
        answers: Their texts.
        label: The thumb of a labelled answer, ``None`` for any other row.
        tie: Whether a pair states that neither answer is preferred.
        gap: By how much the chosen answer is rated above the rejected one, where the row says so.
        whole: All texts together, for rules that first ask whether anything is there to look for.
        paired: Whether there are two answers to compare.
    """

    turns: tuple[str, ...]
    roles: tuple[str, ...]
    names: tuple[str, ...]
    answers: tuple[str, ...]
    label: bool | None
    tie: bool
    gap: float | None
    whole: str
    paired: bool

    @classmethod
    def of(cls, record: Record, gap: float | None = None) -> Example:
        """The row; of a list of rated answers the best and the worst, which is what training takes of it."""
        prompt = record.prompt
        if isinstance(prompt, str):
            turns: tuple[str, ...] = (prompt,)
            roles: tuple[str, ...] = ("user",)
        else:
            turns = tuple(turn["content"] for turn in prompt)
            roles = tuple(turn["role"] for turn in prompt)
        label, tie = None, False
        if isinstance(record, RankedAnswers):
            pairs = BEST_WORST.pairs(record)
            tie = bool(pairs) and is_tie(pairs[0])
            answers: tuple[str, ...] = (pairs[0].chosen, pairs[0].rejected) if pairs else record.answers[:1]
        elif isinstance(record, PreferencePair):
            answers, tie = (record.chosen, record.rejected), is_tie(record)
        else:
            answers, label = (record.completion,), record.label
        paired = len(answers) == 2
        names = _SIDES if paired else _ONE
        return cls(turns, roles, names, answers, label, tie, gap, "\n\n".join((*turns, *answers)), paired)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every text after its name; those of the prompt are all called ``"prompt"``."""
        yield from zip(self.names, self.answers, strict=True)
        for turn in self.turns:
            yield "prompt", turn
