"""Logistic losses on pairs."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.logistic import (
    dpo_loss,
    dr_dpo_loss,
    focal_dpo_loss,
    geometric_dpo_loss,
    robust_dpo_loss,
    soft_dpo_loss,
)

METHODS = (
    Method(
        "dpo",
        dpo_loss,
        "the canonical form: logistic loss on the difference of log-ratios",
        "-log σ(β(a - b))",
        Paper(
            "Rafailov et al.",
            "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
            2023,
            "2305.18290",
        ),
    ),
    Method(
        "cdpo",
        dpo_loss,
        "DPO for labels of which a known share is flipped; its optimum is finite",
        "-(1-ε)·log σ(z) - ε·log σ(-z), z = β(a - b)",
        Paper(
            "Mitchell",
            "A note on DPO with noisy preferences & relationship to IPO",
            2023,
            page="ericmitchell.ai/cdpo.pdf",
        ),
        bound={"label_smoothing": 0.1},
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
    Method(
        "robust_dpo",
        robust_dpo_loss,
        "unbiased under a known share of flipped labels; without a lower bound",
        "ℓ(z) - ε/(1-2ε)·z, ℓ = -log σ, z = β(a - b)",
        Paper(
            "Chowdhury et al.", "Provably Robust DPO: Aligning Language Models with Noisy Feedback", 2024, "2403.00409"
        ),
    ),
    Method(
        "soft_dpo",
        soft_dpo_loss,
        "each pair has its own probability of being right",
        "-p·log σ(z) - (1-p)·log σ(-z), z = β(a - b)",
        Paper(
            "Furuta et al.", "Geometric-Averaged Preference Optimization for Soft Preference Labels", 2024, "2409.06691"
        ),
    ),
    Method(
        "geometric_dpo",
        geometric_dpo_loss,
        "soft labels shrink the margin: a toss-up does not pull",
        "-log σ(β(2p - 1)(a - b))",
        Paper(
            "Furuta et al.", "Geometric-Averaged Preference Optimization for Soft Preference Labels", 2024, "2409.06691"
        ),
    ),
    Method(
        "focal_dpo",
        focal_dpo_loss,
        "pairs that are ranked wrongly count for less",
        "-σ(z)^γ·log σ(z), z = β(a - b)",
        Paper(
            "Liu et al.",
            "FocalPO: Enhancing Preference Optimizing by Focusing on Correct Preference Rankings",
            2025,
            "2501.06645",
        ),
    ),
)
