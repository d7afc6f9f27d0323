"""Losses on pairs that need no reference, beside SimPO and ORPO."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.reference_free import (
    alphapo_loss,
    asft_loss,
    cpo_loss,
    cpo_simpo_loss,
    repo_loss,
    simper_loss,
    slic_loss,
)

METHODS = (
    Method(
        "cpo",
        cpo_loss,
        "no reference; fine-tuning on the chosen answer in its place",
        "-log σ(β(log π_w - log π_l)) - α·p̄_w",
        Paper(
            "Xu et al.",
            "Contrastive Preference Optimization: Pushing the Boundaries of LLM Performance in Machine Translation",
            2024,
            "2401.08417",
        ),
    ),
    Method(
        "cpo_simpo",
        cpo_simpo_loss,
        "SimPO that also imitates its chosen answers",
        "-log σ(β(p̄_w - p̄_l) - γ) - α·p̄_w",
        Paper("Xu", "CPO-SimPO", 2024, page="github.com/fe1ixxu/CPO_SIMPO"),
    ),
    Method(
        "alphapo",
        alphapo_loss,
        "SimPO with a bent reward",
        "-log σ(β(r_w - r_l) - γ), r = (1 - e^(-α·p̄))/α",
        Paper("Gupta et al.", "AlphaPO: Reward Shape Matters for LLM Alignment", 2025, "2501.03884"),
    ),
    Method(
        "simper",
        simper_loss,
        "inverse perplexities compared; no constants",
        "e^p̄_l - e^p̄_w",
        Paper(
            "Xiao et al.",
            "SimPER: A Minimalist Approach to Preference Alignment without Hyperparameters",
            2025,
            "2502.00883",
        ),
    ),
    Method(
        "asft",
        asft_loss,
        "each answer's own odds, beside fine-tuning",
        "-(1 + λ)·p̄_w - λ·log(1 - e^p̄_l)",
        Paper("Wang et al.", "ASFT: Aligned Supervised Fine-Tuning through Absolute Likelihood", 2024, "2409.10571"),
    ),
    Method(
        "repo",
        repo_loss,
        "SimPO's margin with a hinge: full pull or none",
        "max(0, γ - (p̄_w - p̄_l))",
        Paper("Wu et al.", "RePO: ReLU-based Preference Optimization", 2025, "2503.07426"),
    ),
    Method(
        "slic",
        slic_loss,
        "a hinge on summed log-probs, no reference",
        "max(0, δ - log π_w + log π_l) - λ·log π_w",
        Paper("Zhao et al.", "SLiC-HF: Sequence Likelihood Calibration with Human Feedback", 2023, "2305.10425"),
    ),
)
