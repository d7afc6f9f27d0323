"""Losses on pairs that count tokens, or hold the chosen answer's own likelihood up."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.lengths import ln_dpo_loss, orpo_loss, r_dpo_loss, simpo_loss

METHODS = (
    Method(
        "simpo",
        simpo_loss,
        "no reference; log-probs per token and a target margin γ",
        "-log σ(β(p̄_w - p̄_l) - γ)",
        Paper(
            "Meng, Xia, Chen",
            "SimPO: Simple Preference Optimization with a Reference-Free Reward",
            2024,
            "2405.14734",
        ),
    ),
    Method(
        "orpo",
        orpo_loss,
        "no reference; fine-tuning and an odds-ratio term in one loss",
        "-p̄_w + λ(-log σ(log odds_w - log odds_l))",
        Paper(
            "Hong, Lee, Thorne",
            "ORPO: Monolithic Preference Optimization without Reference Model",
            2024,
            "2403.07691",
        ),
    ),
    Method(
        "r_dpo",
        r_dpo_loss,
        "part of every preference is put down to length, at α a token, so that length is not learned",
        "-log σ(β(a - b) + α(m - n))",
        Paper(
            "Park, Rafailov, Ermon, Finn",
            "Disentangling Length from Quality in Direct Preference Optimization",
            2024,
            "2403.19159",
        ),
    ),
    Method(
        "ln_dpo",
        ln_dpo_loss,
        "log-ratios per token: long answers cannot win by length",
        "-log σ(β(a/|y_w| - b/|y_l|))",
        Paper("Lambert et al.", "Tulu 3: Pushing Frontiers in Open Language Model Post-Training", 2024, "2411.15124"),
        per_token=True,
    ),
)
