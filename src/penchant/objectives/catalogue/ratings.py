"""Losses on pairs whose answers carry ratings, or a margin made of them."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.ratings import modpo_loss, odpo_loss, rebel_loss, reward_aware_loss

METHODS = (
    Method(
        "odpo",
        odpo_loss,
        "the margin grows with the gap of the ratings",
        "-log σ(β(a - b) - α·log(s_w - s_l))",
        Paper("Amini et al.", "Direct Preference Optimization with an Offset", 2024, "2402.10571"),
    ),
    Method(
        "modpo",
        modpo_loss,
        "a margin per pair, e.g. what other objectives say",
        "-log σ((β(a - b) - margin)/w)",
        Paper(
            "Zhou et al.",
            "Beyond One-Preference-Fits-All Alignment: Multi-Objective Direct Preference Optimization",
            2023,
            "2310.03708",
        ),
    ),
    Method(
        "rebel",
        rebel_loss,
        "regression of the log-ratios to the rewards themselves",
        "((a - b)/η - (s_w - s_l))²",
        Paper("Gao et al.", "REBEL: Reinforcement Learning via Regressing Relative Rewards", 2024, "2404.16767"),
    ),
    Method(
        "reward_distillation",
        rebel_loss,
        "the same regression with DPO's scale: η = 1/β",
        "(β(a - b) - (s_w - s_l))², β = 1/η",
        Paper("Fisch et al.", "Robust Preference Optimization through Reward Model Distillation", 2024, "2405.19316"),
        bound={"eta": 10.0},
    ),
    Method(
        "reward_aware",
        reward_aware_loss,
        "implicit reward gaps are matched to those of the ratings",
        "KL(σ(η(s_w - s_l)), σ(β(a - b))), or its reverse, or the square",
        Paper("NVIDIA", "Nemotron-4 340B Technical Report", 2024, "2406.11704"),
    ),
)
