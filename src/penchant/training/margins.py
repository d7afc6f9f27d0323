"""A margin from the data for any loss of a difference: what the chosen answer's score must lead by."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from penchant.objectives import Method
from penchant.records import PairLogps
from penchant.training.statistics import asked_of_tokens
from penchant.vocabulary import TERMS

_SHIFTED = ("policy_*_logps", "*_logps", "log_ratio_+")


def objection(method: Method) -> str | None:
    """Why a margin has no place in a method; nothing where it has.

    A margin m lowers the chosen answer's log-prob by m / beta, which takes m from a score of beta times a difference.
    That is what a margin means where the loss knows nothing but the difference: where it stays the same when the
    log-probs of both answers move alike. Whether it does is tried on three rows.
    """
    if method.data != "pairs":
        return "does not compare two answers"
    if "margin" in method.inputs:
        return "reads margins itself"
    if "beta" not in method.constants:
        return "has no beta to scale a margin by"
    if "running mean" in method.needs:
        return "keeps a running mean of the difference"
    if asked_of_tokens(method.inputs) or not _of_the_difference(method):
        return "is no function of the difference of two scores"
    return None


def led(record: PairLogps, margins: Any, beta: float, *, per_token: bool) -> PairLogps:
    """The record with each chosen answer's log-prob lowered by its margin."""
    unit = record.chosen_lengths if per_token else 1.0
    return dataclasses.replace(record, policy_chosen_logps=record.policy_chosen_logps - margins / beta * unit)


def _of_the_difference(method: Method) -> bool:
    rows = {name: _example(name) for name in method.inputs}
    options = method.constants | ({} if method.couples_rows else {"reduction": "none"})
    before = np.asarray(method.loss(**rows, **options))
    for side, short in (("chosen", "w"), ("rejected", "l")):
        unit = rows.get(f"{side}_lengths", 1.0) if method.ranks_per_token else 1.0
        for pattern in _SHIFTED:
            name = pattern.replace("*", side).replace("+", short)
            if name in rows:
                rows[name] = rows[name] - 0.3 * unit
    after = np.asarray(method.loss(**rows, **options))
    return bool(np.allclose(before, after, rtol=1e-9, atol=1e-12))


def _example(name: str) -> Any:
    """Three rows for a term, within its domain; the chosen answer has the higher rating."""
    term = TERMS[name]
    if term.binary:
        return np.array([0.0, 1.0, 0.0])
    if term.positive:
        return np.array([3.0, 5.0, 2.0]) + ("rejected" in name)
    if "scores" in term.needs:
        return np.array([0.7, 0.8, 0.6]) - 0.5 * ("rejected" in name)
    return np.array([-4.0, -7.5, -2.0]) - 0.6 * ("rejected" in name or name.endswith("_l"))
