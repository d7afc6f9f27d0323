"""Records of one kind made into another: lists into pairs, pairs into labelled answers, answers into lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from penchant.errors import InputError
from penchant.records import LabelledAnswer, Numbers, PreferencePair, RankedAnswers

Which = Literal["best-worst", "best-rest", "all"]
WHICH: tuple[Which, ...] = ("best-worst", "best-rest", "all")
_SCORES = ("chosen_scores", "rejected_scores")
BY_LISTS = (*_SCORES, "margin", "is_tie", "score")
"""Terms that a list of rated answers states for what is made of it."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which pairs a list of rated answers becomes.

    Attributes:
        which: The best against the worst, the best against each other one, or all.
        margin: The least difference of their scores.
    """

    which: Which = "best-worst"
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.which not in WHICH:
            raise InputError(f"no pairing {self.which!r}", fix=f"Known: {', '.join(WHICH)}")
        if not 0 <= self.margin < float("inf"):
            raise InputError("a margin of scores must be a number from 0 up", got=str(self.margin))

    def pairs(self, row: RankedAnswers) -> list[PreferencePair]:
        """The pairs, the better answer first; equal scores make a tie, and equal answers no pair.

        A pair states the two scores, their difference as the margin, and whether it is a tie.
        """
        order = sorted(range(len(row.answers)), key=lambda k: -row.scores[k])
        if len(order) < 2:
            return []
        if self.which == "all":
            chosen = list(combinations(order, 2))
        else:
            chosen = [(order[0], k) for k in (order[1:] if self.which == "best-rest" else order[-1:])]
        return [
            self._pair(row, better, worse)
            for better, worse in chosen
            if row.answers[better] != row.answers[worse] and row.scores[better] - row.scores[worse] >= self.margin
        ]

    def _pair(self, row: RankedAnswers, better: int, worse: int) -> PreferencePair:
        scores = row.scores[better], row.scores[worse]
        gap = scores[0] - scores[1]
        numbers = {**row.numbers, **dict(zip(_SCORES, scores, strict=True)), "margin": gap, "is_tie": float(gap == 0)}
        return PreferencePair(
            row.prompt, row.answers[better], row.answers[worse], row.source, numbers, row.template_args
        )


BEST_WORST = Pairing()


def is_tie(pair: PreferencePair) -> bool:
    """Whether the pair states that neither answer is preferred."""
    return bool(pair.numbers.get("is_tie"))


def labels_of(pair: PreferencePair) -> Numbers:
    """The labels that a row states of each of its answers, besides which is the better; empty if it states none."""
    return {name: pair.numbers[name] for name in ("chosen_label", "rejected_label") if name in pair.numbers}


def answers_of(pair: PreferencePair) -> list[LabelledAnswer]:
    """A pair's two answers, the chosen one first; the row's own labels where it has them, and each its score."""
    sides = zip(("chosen", "rejected"), (pair.chosen, pair.rejected), (True, False), strict=True)
    return [
        LabelledAnswer(
            pair.prompt,
            answer,
            bool(pair.numbers.get(f"{side}_label", label)),
            pair.source,
            _of_side(pair.numbers, side),
            pair.template_args,
        )
        for side, answer, label in sides
    ]


def _of_side(numbers: Numbers, side: str) -> Numbers:
    """What a pair's numbers say of one answer alone."""
    if not numbers:
        return numbers
    own = {name: value for name, value in numbers.items() if name in ("weight", "score", "margin")}
    score = numbers.get(f"{side}_scores")
    return own if score is None else own | {"score": score}


def grouped(rows: Iterable[RankedAnswers]) -> Iterator[RankedAnswers]:
    """Lists of one answer each that follow one another with the same prompt, made into one list.

    The list's place is the first's, to the last: ``data.jsonl:3-5``.
    """
    waiting: list[RankedAnswers] = []
    for row in rows:
        if waiting and (len(row.answers) > 1 or not _same_prompt(waiting[0], row)):
            yield _joined(waiting)
            waiting = []
        if len(row.answers) > 1:
            yield row
        else:
            waiting.append(row)
    if waiting:
        yield _joined(waiting)


def _same_prompt(one: RankedAnswers, other: RankedAnswers) -> bool:
    return one.prompt == other.prompt and one.template_args == other.template_args


def _joined(rows: list[RankedAnswers]) -> RankedAnswers:
    first, last = rows[0], rows[-1]
    if len(rows) == 1:
        return first
    line = last.source[len(last.source.rstrip("0123456789")) :]
    return replace(
        first,
        answers=tuple(row.answers[0] for row in rows),
        scores=tuple(row.scores[0] for row in rows),
        source=f"{first.source}-{line}",
    )


def as_list(row: PreferencePair | LabelledAnswer) -> RankedAnswers:
    """A pair or a labelled answer as a list: a pair's scores if it states them, else 1 and 0, as for labels."""
    if isinstance(row, LabelledAnswer):
        score = row.numbers.get("score", float(row.label))
        return RankedAnswers(row.prompt, (row.completion,), (score,), row.source, row.numbers, row.template_args)
    stated = tuple(row.numbers.get(name) for name in _SCORES)
    plain = (0.5, 0.5) if is_tie(row) else (1.0, 0.0)
    scores = tuple(float(score) if score is not None else other for score, other in zip(stated, plain, strict=True))
    numbers = {name: value for name, value in row.numbers.items() if name in ("weight",)}
    return RankedAnswers(row.prompt, (row.chosen, row.rejected), scores, row.source, numbers, row.template_args)


def each_turn(record: LabelledAnswer) -> Iterator[LabelledAnswer]:
    """Every assistant's turn of a labelled conversation that is text and answers a user, in order."""
    turns = () if isinstance(record.prompt, str) else record.prompt
    for at, turn in enumerate(turns):
        asked = any(before["role"] == "user" for before in turns[:at]) and turns[at - 1]["role"] != "assistant"
        if turn["role"] == "assistant" and asked and turn["content"].strip() and not turn.get("tool_calls"):
            yield replace(record, prompt=turns[:at], completion=turn["content"])
    yield record
