"""Losses on pairs that hold each answer against an anchor of its own."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.pair_anchors import (
    apo_down_loss,
    apo_zero_loss,
    bco_loss,
    cal_dpo_loss,
    nca_loss,
    sppo_loss,
)

METHODS = (
    Method(
        "apo_zero",
        apo_zero_loss,
        "chosen up and rejected down from the reference, both bounded",
        "σ(-βa) + σ(βb)",
        Paper(
            "D'Oosterlinck et al.",
            "Anchored Preference Optimization and Contrastive Revisions: Addressing Underspecification in Alignment",
            2024,
            "2408.06266",
        ),
    ),
    Method(
        "nca",
        nca_loss,
        "the chosen answer's own likelihood is anchored, so it cannot fall away",
        "-log σ(βa) - ½log σ(-βa) - ½log σ(-βb)",
        Paper(
            "Chen et al.", "Noise Contrastive Alignment of Language Models with Explicit Rewards", 2024, "2402.05369"
        ),
    ),
    Method(
        "sppo",
        sppo_loss,
        "each answer's log-ratio is regressed to its own target",
        "(a - 1/(2β))² + (b + 1/(2β))²",
        Paper("Wu et al.", "Self-Play Preference Optimization for Language Model Alignment", 2024, "2405.00675"),
    ),
    Method(
        "bco",
        bco_loss,
        "a classifier of good and bad answers, centred on the mean reward",
        "-log σ(β(a - r̄)) - log σ(β(r̄ - b)), r̄ the running mean",
        Paper("Jung et al.", "Binary Classifier Optimization for Large Language Model Alignment", 2024, "2404.04656"),
    ),
    Method(
        "cal_dpo",
        cal_dpo_loss,
        "DPO, with both rewards held to a size of their own",
        "-log σ(a - b) + (a - 1/(2β))² + (b + 1/(2β))²",
        Paper(
            "Xiao et al.",
            "Cal-DPO: Calibrated Direct Preference Optimization for Language Model Alignment",
            2024,
            "2412.14516",
        ),
    ),
    Method(
        "apo_down",
        apo_down_loss,
        "both answers fall, the rejected one faster",
        "σ(βa) + σ(-β(a - b))",
        Paper(
            "D'Oosterlinck et al.",
            "Anchored Preference Optimization and Contrastive Revisions: Addressing Underspecification in Alignment",
            2024,
            "2408.06266",
        ),
    ),
)
