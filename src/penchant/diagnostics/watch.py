"""What the alarms look at, as one value and one weight per row, beside the metrics that people look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import array_api_compat as compat

from penchant.diagnostics.metrics import Measures
from penchant.records import AnswerLogps, Array, PairLogps

SATURATED = 0.02
"""A row is saturated where its loss pulls at its log-probs with less than this share of a row's pull at the start."""


def watched(logps: Any, slopes: Sequence[Array | None], start: float | None) -> Measures:
    """Measures under ``watch/...`` of one micro-batch.

    Args:
        logps: Pairs, or labelled answers; of another record nothing is measured but the pull.
        slopes: Derivative of the rows' losses by each of the record's policy log-probs.
        start: The mean pull at the first step; None until it is known.
    """
    found = _pulls(slopes, start)
    if isinstance(logps, PairLogps):
        found |= _pairs(logps)
    elif isinstance(logps, AnswerLogps) and logps.ref_logps is not None:
        found |= _answers(logps)
    return found


def _pulls(slopes: Sequence[Array | None], start: float | None) -> Measures:
    known = [slope for slope in slopes if slope is not None and slope.ndim == 1]
    if not known:
        return {}
    xp = compat.array_namespace(known[0])
    pull = sum(xp.abs(slope) for slope in known)
    one = xp.ones_like(pull)
    found = {"watch/pull": (pull, one)}
    if start is not None:
        found["watch/saturated"] = (xp.astype(pull < SATURATED * start, pull.dtype), one)
    return found


def _pairs(logps: PairLogps) -> Measures:
    if logps.ref_chosen_logps is None:
        return {}
    chosen, rejected = logps.log_ratio_w, logps.log_ratio_l
    xp = compat.array_namespace(chosen)
    one, margin = xp.ones_like(chosen), chosen - rejected
    longer = xp.astype(xp.sign(logps.chosen_lengths - logps.rejected_lengths), chosen.dtype)
    told = xp.abs(longer) * xp.abs(xp.sign(margin))  # pairs of one length, or of no margin, say nothing
    longer_chosen, longer_preferred = 0.5 * (1 + longer), 0.5 * (1 + longer * xp.sign(margin))
    return {
        "watch/chosen_shift": (chosen, one),
        "watch/displaced": (xp.astype(chosen < 0, chosen.dtype), one),
        "watch/drift": (0.5 * (xp.abs(chosen) + xp.abs(rejected)), one),
        "watch/margin_square": (margin * margin, one),
        "watch/longer_preferred": (longer_preferred, told),
        "watch/longer_chosen": (longer_chosen, told),
        "watch/longer_right": (longer_chosen * longer_preferred, told),
    }


def _answers(logps: AnswerLogps) -> Measures:
    ratio = logps.log_ratio
    xp = compat.array_namespace(ratio)
    desirable = xp.astype(logps.is_desirable, ratio.dtype)
    return {
        "watch/chosen_shift": (ratio, desirable),
        "watch/displaced": (xp.astype(ratio < 0, ratio.dtype), desirable),
        "watch/drift": (xp.abs(ratio), xp.ones_like(ratio)),
    }
