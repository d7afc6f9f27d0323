"""Published sums of other losses."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.mixes import mpo_loss

METHODS = (
    Method(
        "mpo",
        mpo_loss,
        "which answer is better, how good each is, and how to write one",
        "0.8·dpo + 0.2·bco + nll",
        Paper(
            "Wang et al.",
            "Enhancing the Reasoning Ability of Multimodal Large Language Models via Mixed Preference Optimization",
            2024,
            "2411.10442",
        ),
    ),
)
