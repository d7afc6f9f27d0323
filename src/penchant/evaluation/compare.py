"""``penchant compare``: which of two models a judge prefers, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from penchant.errors import InputError
from penchant.evaluation.answers import Answered
from penchant.evaluation.asking import Pair, Progress, matches, position_bias
from penchant.evaluation.comparison import NOTHING_SHOWN, Comparison, Coverage, Lengths, Match, clusters
from penchant.evaluation.judge import longer_wins
from penchant.evaluation.judges import Judge
from penchant.evaluation.judges.cache import VerdictCache
from penchant.evaluation.judges.process import MEND
from penchant.evaluation.length_controlled import length_controlled
from penchant.evaluation.statistics import ByPrompt, Share


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
    by_prompt = ByPrompt(prompts)
    preferences = np.array([match.preference for match in known], dtype=float)
    lengths = np.array([(len(match.first), len(match.second)) for match in known], dtype=float)
    win_rate = by_prompt.share(preferences)
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
        lengths=(_lengths([m.first for m in known], by_prompt), _lengths([m.second for m in known], by_prompt)),
        longer_wins=longer_wins(known),
        bias=position_bias(known),
        verdict=_verdict(names, win_rate),
    )


def _lengths(answers: Sequence[str], by_prompt: ByPrompt) -> Lengths:
    characters = np.array([len(answer) for answer in answers], dtype=float)
    words = np.array([len(answer.split()) for answer in answers], dtype=float)
    return Lengths(by_prompt.mean(characters), by_prompt.mean(words))


def _verdict(names: tuple[str, str], win_rate: Share) -> str:
    if win_rate.low > 0.5:
        return f"{names[0]} is preferred"
    return f"{names[1]} is preferred" if win_rate.high < 0.5 else NOTHING_SHOWN
