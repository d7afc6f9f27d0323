"""What a comparison of two models comes to: every match, and the numbers made of them. No torch is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penchant.evaluation.length_controlled import LengthControlled
from penchant.evaluation.prompts import prompt_key
from penchant.evaluation.statistics import Estimate, Share
from penchant.records import Prompt

NOTHING_SHOWN = "no difference shown"
EXAMPLES = 3
"""Of each kind."""
NUMBERS, MATCHES = "comparison.json", "matches.jsonl"
"""What ``penchant compare`` leaves in its folder."""
VERSION = 1
"""Of the numbers' format."""


@dataclass(frozen=True, slots=True)
class Match:
    """Two answers to one prompt, and what the judge makes of them.

    Attributes:
        prompt: The prompt.
        first: An answer.
        second: Another.
        preference: Probability that the first is better, the mean over both orders; ``None`` if a verdict lacks.
        orders: The same by order: with the first shown first, and with it shown second. Empty if the judge rates.
        scores: The two ratings of a judge that rates.
    """

    prompt: Prompt
    first: str
    second: str
    preference: float | None
    orders: tuple[float | None, ...] = ()
    scores: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class PositionBias:
    """What the order in which two answers are shown does to a judge's verdicts.

    Attributes:
        first_wins: How often the answer that is shown first wins, a tie is half; 0.5 without bias.
        agree: How often both orders give the same winner, or a tie twice.
    """

    first_wins: Share
    agree: Share


@dataclass(frozen=True, slots=True)
class Lengths:
    """Characters and words per answer."""

    characters: Estimate
    words: Estimate


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was compared, and what was left out.

    Attributes:
        prompts: Prompts with verdicts.
        pairs: Pairs of answers with verdicts, ties and equal answers among them.
        identical: Pairs of equal answers; they are ties and are not asked.
        faults: Pairs without a verdict, left out of every number.
        only_first: Prompts that the first alone answered, left out.
        only_second: The same of the second.
        uneven: Answers left out because the other side has fewer to their prompt.
        asked: Questions put to the judge now; the rest was known.
    """

    prompts: int
    pairs: int
    identical: int
    faults: int
    only_first: int
    only_second: int
    uneven: int
    asked: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models' answers under one judge.

    Attributes:
        first: The first model or file.
        second: The second.
        judge: The judge.
        coverage: What was compared.
        win_rate: Mean preference for the first: a tie is half, a probability is itself.
        wins: Pairs with a preference for the first above one half.
        ties: Pairs with one half.
        losses: The rest.
        length_controlled: The win rate at equal lengths, or why there is none.
        with_difficulty: Whether the prompts' difficulty was in that regression.
        lengths: Of the first's answers and the second's.
        longer_wins: How often the longer answer is preferred.
        bias: Of a judge that compares.
        verdict: In words.
        version: Of the format.
    """

    first: str
    second: str
    judge: str
    coverage: Coverage
    win_rate: Share
    wins: int
    ties: int
    losses: int
    length_controlled: LengthControlled | str
    with_difficulty: bool
    lengths: tuple[Lengths, Lengths]
    longer_wins: Share | None
    bias: PositionBias | None
    verdict: str
    version: int = VERSION


def clusters(found: Sequence[Match]) -> np.ndarray:
    """Equal entries mark matches of one prompt."""
    return np.array([prompt_key(match.prompt) for match in found])


def examples(found: Sequence[Match], count: int = EXAMPLES) -> tuple[list[Match], list[Match]]:
    """The clearest wins of the first, and of the second; at most ``count`` each, one per prompt."""
    known = [match for match in found if match.preference is not None and match.preference != 0.5]
    order = sorted(known, key=lambda match: match.preference or 0.0, reverse=True)
    wins = [match for match in order if (match.preference or 0.0) > 0.5]
    losses = [match for match in reversed(order) if (match.preference or 0.0) < 0.5]
    return _one_per_prompt(wins)[:count], _one_per_prompt(losses)[:count]


def _one_per_prompt(found: Sequence[Match]) -> list[Match]:
    seen: dict[str, Match] = {}
    for key, match in zip(clusters(found), found, strict=True):
        seen.setdefault(key, match)
    return list(seen.values())
