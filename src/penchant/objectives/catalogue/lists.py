"""Losses on lists of answers."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.listwise import plackett_luce_loss

METHODS = (
    Method(
        "plackett_luce",
        plackett_luce_loss,
        "DPO on whole rankings",
        "Σ_k log Σ_{j≥k} exp(s_j - s_k), s = β r, best answer first",
        Paper("Rafailov et al.", "Direct Preference Optimization", 2023, "2305.18290"),
    ),
)
