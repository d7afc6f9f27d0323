"""Losses that set a pair against its batch, or against those before."""

from __future__ import annotations

from penchant.objectives.batches import alpha_dpo_loss, aot_loss, aot_unpaired_loss, beta_dpo_loss
from penchant.objectives.catalogue.method import Method, Paper

METHODS = (
    Method(
        "beta_dpo",
        beta_dpo_loss,
        "beta follows the batch: wide gaps are held closer to the reference",
        "-mean log σ(β'(a - b)), β' = β(1 + α·(mean(a - b) - M)), M the running mean",
        Paper("Wu et al.", "β-DPO: Direct Preference Optimization with Dynamic β", 2024, "2407.08639"),
    ),
    Method(
        "alpha_dpo",
        alpha_dpo_loss,
        "SimPO whose margin widens where policy and reference differ more",
        "-log σ(β(p̄_w - p̄_l) - γ - α·(g - M)/S), g = a/m - b/n",
        Paper(
            "Wu et al.",
            "AlphaDPO: Adaptive Reward Margin is What Direct Preference Optimization Needs",
            2024,
            "2410.10148",
        ),
        per_token=True,
    ),
    Method(
        "aot",
        aot_loss,
        "the policy's gaps are to dominate the reference's as a distribution",
        "-mean log σ(β(sort(log π_w - log π_l) - sort(log ref_w - log ref_l)))",
        Paper("Melnyk et al.", "Distributional Preference Alignment of LLMs via Optimal Transport", 2024, "2406.05882"),
    ),
    Method(
        "aot_unpaired",
        aot_unpaired_loss,
        "chosen rewards are to dominate rejected ones as a distribution",
        "-mean log σ(β(sort(a) - sort(b)))",
        Paper("Melnyk et al.", "Distributional Preference Alignment of LLMs via Optimal Transport", 2024, "2406.05882"),
    ),
)
