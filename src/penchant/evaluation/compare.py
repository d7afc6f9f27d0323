"""``penchant compare``: which of two models a judge prefers, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from penchant.errors import InputError
from penchant.evaluation.answers import Answered
from penchant.evaluation.asking import Match, Pair, PositionBias, Progress, clusters, matches, position_bias
from penchant.evaluation.judge import longer_wins
from penchant.evaluation.judges import Judge
from penchant.evaluation.judges.cache import VerdictCache
from penchant.evaluation.judges.process import MEND
from penchant.evaluation.length_controlled import LengthControlled, length_controlled
from penchant.evaluation.statistics import ClusterBootstrap, Estimate, Share

NOTHING_SHOWN = "no difference shown"
EXAMPLES = 3
"""Of each kind."""
NUMBERS, MATCHES = "comparison.json", "matches.jsonl"
"""What ``penchant compare`` leaves in its folder."""
VERSION = 1
"""Of the numbers' format."""


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


def compare_answers(
    judge: Judge,
    names: tuple[str, str],
    first: Mapping[str, Answered],
    second: Mapping[str, Answered],
    cache: VerdictCache,
    *,
    again: bool = False,
    on_reply: Progress = lambda done, total: None,
) -> tuple[Comparison, list[Match]]:
    """Compare answers to the prompts that both have, the k-th of one side with the k-th of the other.

    Args:
        judge: Who judges.
        names: What to call the two sides.
        first: Answers by prompt key.
        second: The other side's.
        cache: Where verdicts are kept.
        again: Ask for malformed verdicts once more.
        on_reply: Told of the progress.

    Returns:
        The numbers, and every match that they are made of.

    Raises:
        InputError: if no prompt is common, or the judge is beyond hope.
    """
    common = [key for key in first if key in second]
    if not common:
        fix = "Sample both models with the same --prompts"
        raise InputError("the two have no prompt in common", got=" and ".join(names), fix=fix)
    pairs: list[Pair] = [
        (first[key].prompt, *two)
        for key in common
        for two in zip(first[key].answers, second[key].answers, strict=False)
    ]
    differing = [pair for pair in pairs if pair[1] != pair[2]]
    found, verdicts = matches(judge, differing, cache, again=again, on_reply=on_reply)
    found += [Match(*pair, 0.5) for pair in pairs if pair[1] == pair[2]]
    known = [match for match in found if match.preference is not None]
    if not known:
        raise InputError("no pair of answers has a verdict in both orders", where=judge.name, fix=MEND)
    coverage = Coverage(
        prompts=len(set(clusters(known))),
        pairs=len(known),
        identical=len(pairs) - len(differing),
        faults=len(found) - len(known),
        only_first=len(first) - len(common),
        only_second=len(second) - len(common),
        uneven=sum(abs(len(first[key].answers) - len(second[key].answers)) for key in common),
        asked=verdicts.asked,
    )
    return _numbers(names, judge, known, coverage, {key: first[key].difficulty for key in common}), found


def _numbers(
    names: tuple[str, str],
    judge: Judge,
    known: Sequence[Match],
    coverage: Coverage,
    difficulty: Mapping[str, float | None],
) -> Comparison:
    prompts = clusters(known)
    bootstrap = ClusterBootstrap(prompts)
    preferences = np.array([match.preference for match in known], dtype=float)
    lengths = np.array([(len(match.first), len(match.second)) for match in known], dtype=float)
    win_rate = bootstrap.share(preferences)
    hardness = [difficulty[key] for key in prompts]
    gammas = [one for one in hardness if one is not None]
    stated = gammas if len(gammas) == len(hardness) else None
    return Comparison(
        first=names[0],
        second=names[1],
        judge=judge.name,
        coverage=coverage,
        win_rate=win_rate,
        wins=int((preferences > 0.5).sum()),
        ties=int((preferences == 0.5).sum()),
        losses=int((preferences < 0.5).sum()),
        length_controlled=length_controlled(preferences, lengths, prompts, stated),
        with_difficulty=stated is not None,
        lengths=(_lengths([m.first for m in known], bootstrap), _lengths([m.second for m in known], bootstrap)),
        longer_wins=longer_wins(known),
        bias=position_bias(known),
        verdict=_verdict(names, win_rate),
    )


def _lengths(answers: Sequence[str], bootstrap: ClusterBootstrap) -> Lengths:
    characters = np.array([len(answer) for answer in answers], dtype=float)
    words = np.array([len(answer.split()) for answer in answers], dtype=float)
    return Lengths(bootstrap.ratio(characters), bootstrap.ratio(words))


def _verdict(names: tuple[str, str], win_rate: Share) -> str:
    if win_rate.low > 0.5:
        return f"{names[0]} is preferred"
    return f"{names[1]} is preferred" if win_rate.high < 0.5 else NOTHING_SHOWN


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
