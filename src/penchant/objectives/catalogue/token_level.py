"""Losses that know more of an answer than its summed log-prob."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.token_level import tdpo_loss

METHODS = (
    Method(
        "tdpo",
        tdpo_loss,
        "the rejected answer is kept from drifting further than the chosen one (TDPO2)",
        "-log σ(β(a - b - α(D_l - D_w)))",
        Paper("Zeng et al.", "Token-level Direct Preference Optimization", 2024, "2404.11999"),
    ),
)
