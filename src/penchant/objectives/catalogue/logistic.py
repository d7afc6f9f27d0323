"""Logistic losses on pairs."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.logistic import dpo_loss, dr_dpo_loss

METHODS = (
    Method(
        "dpo",
        dpo_loss,
        "the canonical form: logistic loss on the difference of log-ratios",
        "-log σ(β(a - b))",
        Paper("Rafailov et al.", "Direct Preference Optimization", 2023, "2305.18290"),
    ),
    Method(
        "dr_dpo",
        dr_dpo_loss,
        "pairs with a large loss, often mislabelled ones, count for less",
        "-β' log mean exp(-ℓ/β'), ℓ = -log σ(β(a - b))",
        Paper(
            "Wu et al.",
            "Towards Robust Alignment of Language Models: Distributionally Robustifying Direct Preference Optimization",
            2024,
            "2407.07880",
        ),
    ),
)
