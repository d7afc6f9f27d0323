"""Put questions to a judge: what the cache holds is not asked, what fails is counted and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from penchant.arrays import sigmoid
from penchant.errors import InputError
from penchant.evaluation.comparison import Match, PositionBias, clusters
from penchant.evaluation.judges.cache import VerdictCache
from penchant.evaluation.judges.process import MEND
from penchant.evaluation.judges.question import Judge, Question, Reply
from penchant.evaluation.statistics import ByPrompt
from penchant.records import Prompt

Progress = Callable[[int, int], None]
"""Told how many of how many questions are answered."""

Pair = tuple[Prompt, str, str]
"""A prompt and two answers to it."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a judge said.

    Attributes:
        questions: What was asked.
        replies: The reply to each.
        asked: How many distinct ones were put to the judge now; the others were in the cache.
    """

    questions: Sequence[Question]
    replies: Sequence[Reply]
    asked: int

    @property
    def faults(self) -> list[tuple[Question, Reply]]:
        """The questions without a verdict."""
        both = zip(self.questions, self.replies, strict=True)
        return [(question, reply) for question, reply in both if reply.fault is not None]


def ask(
    judge: Judge,
    questions: Sequence[Question],
    cache: VerdictCache,
    *,
    again: bool = False,
    on_reply: Progress = lambda done, total: None,
) -> Verdicts:
    """Every question's reply, each kept in the cache as it comes.

    What the judge answered, malformed or not, was paid for and is not asked for again; a hang or a death is.

    Args:
        judge: See :mod:`penchant.evaluation.judges`.
        questions: Equal ones are asked once.
        cache: What is known already.
        again: Ask for malformed verdicts once more.
        on_reply: Told of the progress.

    Raises:
        InputError: if the judge is beyond hope, or fails at every question.
    """
    keys = [question.key(judge.identity) for question in questions]
    distinct = dict(zip(keys, questions, strict=True))
    found = {key: reply for key, reply in cache.find(distinct).items() if reply.fault is None or not again}
    missing = [key for key in distinct if key not in found]
    for index, reply in judge.replies([distinct[key] for key in missing]):
        found[missing[index]] = reply
        if reply.answered:
            cache.add(missing[index], judge.name, reply)
        on_reply(len(found), len(distinct))
    if found and all(reply.fault is not None for reply in found.values()):
        what = f"the judge failed at every question, the first time so: {next(iter(found.values())).fault}"
        raise InputError(what, where=judge.name, fix=MEND)
    return Verdicts(questions, [found[key] for key in keys], len(missing))


def matches(
    judge: Judge,
    pairs: Sequence[Pair],
    cache: VerdictCache,
    *,
    again: bool = False,
    on_reply: Progress = lambda done, total: None,
) -> tuple[list[Match], Verdicts]:
    """Every pair's preference.

    A judge that compares sees each pair in both orders. One that rates sees each answer once; the higher rating wins,
    and where its ratings are Bradley-Terry scores the preference is the sigmoid of their difference.

    Raises:
        InputError: see :func:`ask`.
    """
    parts = [_questions(judge, pair) for pair in pairs]
    verdicts = ask(judge, [one for part in parts for one in part], cache, again=again, on_reply=on_reply)
    replies, found = iter(verdicts.replies), []
    for pair, part in zip(pairs, parts, strict=True):
        values = tuple(next(replies).value for _ in part)
        if judge.compares:
            orders = (values[0], None if values[1] is None else 1 - values[1])
            found.append(Match(*pair, _mean(orders), orders=orders))
        else:
            found.append(Match(*pair, _of_scores(values, soft=judge.bradley_terry), scores=values))
    return found, verdicts


def _questions(judge: Judge, pair: Pair) -> list[Question]:
    prompt, first, second = pair
    if not judge.compares:
        return [Question(prompt, (first,)), Question(prompt, (second,))]
    return [Question(prompt, (first, second)), Question(prompt, (second, first))]


def _mean(orders: Sequence[float | None]) -> float | None:
    first, second = orders
    return None if first is None or second is None else (first + second) / 2


def _of_scores(scores: Sequence[float | None], *, soft: bool) -> float | None:
    first, second = scores
    if first is None or second is None:
        return None
    return float(sigmoid(np.float64(first - second)) if soft else 0.5 + 0.5 * np.sign(first - second))


def position_bias(found: Sequence[Match]) -> PositionBias | None:
    """The bias of a judge that compares; nothing if there are none."""
    both = [match for match in found if match.orders and match.preference is not None]
    if not both:
        return None
    orders = np.array([match.orders for match in both], dtype=float)
    by_prompt = ByPrompt(clusters(both))
    shown_first = 0.5 * (orders[:, 0] + 1 - orders[:, 1])
    same = np.sign(orders[:, 0] - 0.5) == np.sign(orders[:, 1] - 0.5)
    return PositionBias(by_prompt.share(shown_first), by_prompt.share(same.astype(float)))
