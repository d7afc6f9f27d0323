"""Losses that compare two answers and imitate a third."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.gold_answers import tpo_l_loss, tpo_loss

_PAPER = Paper(
    "Saeidi et al.",
    "Triple Preference Optimization: Achieving Better Alignment using a Single Step Optimization",
    2024,
    "2405.16681",
)

METHODS = (
    Method(
        "tpo",
        tpo_loss,
        "CPO that imitates a third, gold answer",
        "-log σ(β(log π_w - log π_l)) - α·p̄_gold",
        _PAPER,
    ),
    Method(
        "tpo_l",
        tpo_l_loss,
        "SimPO that imitates a third, gold answer",
        "-log σ(β(p̄_w - p̄_l) - γ) - α·p̄_gold",
        _PAPER,
    ),
)
