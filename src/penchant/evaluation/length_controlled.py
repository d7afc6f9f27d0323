"""The win rate that would be if the answers had equal lengths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, stdtrit

from penchant.evaluation.statistics import Share
from penchant.records import Array

_STEPS = 100
_TOLERANCE = 1e-10
_MOST = 30.0
"""A coefficient beyond this, in logits, has run away: the outcomes are separated."""


@dataclass(frozen=True, slots=True)
class LengthControlled:
    """The fit.

    Attributes:
        win_rate: The length-controlled win rate.
        length_effect: The logit that a much longer answer gains (the tanh saturates at 1).
    """

    win_rate: Share
    length_effect: float


def length_controlled(
    preferences: Array, lengths: Array, prompts: Array, difficulty: Sequence[float] | None = None
) -> LengthControlled | str:
    """AlpacaEval 2's regression: what the judge would prefer if both answers were equally long.

    .. math:: \\operatorname{logit} p_x = \\theta + \\phi \\tanh(\\Delta_x / s) + \\psi \\gamma_x

    is fitted to the judge's soft preferences p by maximum likelihood (cross-entropy), Delta being the length of the
    first answer minus that of the second and s its standard deviation. The result is the mean of
    sigma(theta + psi gamma): the length term is set to zero. Swapping the two models gives 1 minus it. The original
    has the difficulty gamma of each instruction from a joint fit over all models of its leaderboard, and shrinks
    phi and psi; here gamma is used where it is given, and nothing is shrunk.

    Args:
        preferences: Probability that the first answer is better, shape ``(rows,)``.
        lengths: Characters (or tokens) of the first and the second answer, shape ``(rows, 2)``.
        prompts: Rows with an equal entry share a prompt; the interval allows for it.
        difficulty: gamma of each row's prompt.

    Returns:
        The fit with a 95 % interval (delta method, sandwich covariance by prompt, Student's quantile with prompts less
        coefficients as degrees of freedom), or why there is none. The interval is NaN where there are no more prompts
        than coefficients, since their scores add up to 0 however wrong the fit is, or where the fit leaves no residual.

    References:
        Yann Dubois, Balazs Galambosi, Percy Liang, Tatsunori B. Hashimoto, "Length-Controlled AlpacaEval: A Simple Way
        to Debias Automatic Evaluators", 2024, arXiv 2404.04475, section 3.
    """
    p = np.asarray(preferences, dtype=float)
    difference = np.asarray(lengths, dtype=float) @ np.array([1.0, -1.0])
    spread = float(difference.std())
    columns = [np.ones_like(p)]
    if spread > 0:
        columns.append(np.tanh(difference / spread))
    if difficulty is not None:
        columns.append(np.asarray(difficulty, dtype=float))
    design = np.stack(columns, axis=1)
    if np.ptp(p) == 0:
        return "every verdict is the same, which leaves nothing to explain by length"
    if np.linalg.matrix_rank(design) < design.shape[1] or len(p) <= design.shape[1]:
        return "too few answers, or lengths that say nothing"
    weights = _fit(design, p)
    if weights is None:
        return "wins and losses can be told apart by length alone, or one side always wins"
    without = design.copy()
    if spread > 0:
        without[:, 1] = 0.0
    rates = expit(without @ weights)
    gradient = (without * (rates * (1 - rates))[:, None]).mean(axis=0)
    covariance, free = _sandwich(design, p, weights, prompts)
    error = math.sqrt(max(0.0, float(gradient @ covariance @ gradient)))
    value = float(rates.mean())
    low, high = _on_logits(value, error, free)
    return LengthControlled(Share(value, low, high, len(p)), float(weights[1]) if spread > 0 else 0.0)


def _fit(design: Array, p: Array) -> Array | None:
    """Newton's method on the mean cross-entropy; nothing if it runs away."""
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        rates = expit(design @ weights)
        hessian = design.T @ (design * (rates * (1 - rates))[:, None])
        gradient = design.T @ (p - rates)
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        weights = weights + step * min(1.0, 2.0 / max(1e-300, float(np.abs(step).max())))
        if np.abs(weights).max() > _MOST:
            return None
        if np.abs(step).max() < _TOLERANCE:
            return weights
    return None


def _sandwich(design: Array, p: Array, weights: Array, prompts: Array) -> tuple[Array, int]:
    """Covariance of the weights, rows of one prompt being dependent, with G/(G-1) for the number G of prompts; and how
    many more prompts there are than weights.
    """
    rates = expit(design @ weights)
    bread = np.linalg.inv(design.T @ (design * (rates * (1 - rates))[:, None]))
    _, index = np.unique(np.asarray(prompts), return_inverse=True)
    scores = np.zeros((int(index.max()) + 1, design.shape[1]))
    np.add.at(scores, index, design * (p - rates)[:, None])
    groups = len(scores)
    return bread @ (scores.T @ scores) @ bread * (groups / max(1, groups - 1)), groups - len(weights)


def _on_logits(value: float, error: float, free: int) -> tuple[float, float]:
    """An interval that stays inside (0, 1)."""
    if free < 1 or error < _TOLERANCE:
        return math.nan, math.nan
    logit, half = math.log(value / (1 - value)), float(stdtrit(free, 0.975)) * error / (value * (1 - value))
    return float(expit(logit - half)), float(expit(logit + half))
