"""Losses that know rejected answers only: unlearning."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.negatives import npo_loss, simnpo_loss

METHODS = (
    Method(
        "npo",
        npo_loss,
        "unlearning from rejected answers alone",
        "-2/β·log σ(-βb)",
        Paper(
            "Zhang et al.",
            "Negative Preference Optimization: From Catastrophic Collapse to Effective Unlearning",
            2024,
            "2404.05868",
        ),
    ),
    Method(
        "simnpo",
        simnpo_loss,
        "unlearning per token, without a reference",
        "-2/β·log σ(-β·p̄_l - γ)",
        Paper(
            "Fan et al.",
            "Simplicity Prevails: Rethinking Negative Preference Optimization for LLM Unlearning",
            2024,
            "2410.07163",
        ),
    ),
)
