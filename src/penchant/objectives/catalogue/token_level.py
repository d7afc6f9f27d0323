"""Losses that know more of an answer than its summed log-prob."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.token_level import ld_dpo_loss, sampo_loss, tdpo1_loss, tdpo_loss, tis_dpo_loss
from penchant.objectives.vocabulary_level import mallowspo_loss, wpo_loss

METHODS = (
    Method(
        "tdpo",
        tdpo_loss,
        "the rejected answer is kept from drifting further than the chosen one (TDPO2)",
        "-log σ(β(a - b - α(D_l - D_w)))",
        Paper("Zeng et al.", "Token-level Direct Preference Optimization", 2024, "2404.11999"),
    ),
    Method(
        "tdpo1",
        tdpo1_loss,
        "DPO corrected by the difference of the two answers' divergences",
        "-log σ(β(a - b - (D_l - D_w)))",
        Paper("Zeng et al.", "Token-level Direct Preference Optimization", 2024, "2404.11999"),
    ),
    Method(
        "tis_dpo",
        tis_dpo_loss,
        "tokens count by an estimate of their own reward",
        "-log σ(β(Σ_t w_t·a_t - Σ_t w_t·b_t - (K_w - K_l)))",
        Paper(
            "Liu et al.",
            "TIS-DPO: Token-level Importance Sampling for Direct Preference Optimization With Estimated Weights",
            2024,
            "2410.04350",
        ),
    ),
    Method(
        "ld_dpo",
        ld_dpo_loss,
        "what an answer says beyond the other one's length counts for less",
        "-log σ(β(a' - b')), a' = α·a + (1 - α)·a of the first min(m, n) tokens",
        Paper("Liu et al.", "Length Desensitization in Direct Preference Optimization", 2024, "2409.06411"),
    ),
    Method(
        "sampo",
        sampo_loss,
        "as many tokens of the longer answer, drawn at random, as the shorter one has",
        "-log σ(β(a' - b')), a' of min(m, n) random tokens",
        Paper(
            "Lu et al.",
            "Eliminating Biased Length Reliance of Direct Preference Optimization via Down-Sampled KL Divergence",
            2024,
            "2406.10957",
        ),
    ),
    Method(
        "wpo",
        wpo_loss,
        "pairs that the policy itself would write count for more",
        "-min(1, w_w·w_l)·log σ(β(a - b)), w = exp mean_t[log π(y_t) - log Σ_v π(v)²]",
        Paper("Zhou et al.", "WPO: Enhancing RLHF with Weighted Preference Optimization", 2024, "2406.11827"),
    ),
    Method(
        "mallowspo",
        mallowspo_loss,
        "prompts that leave little open pull harder",
        "-log σ(β·φ(a - b)), φ = -φ*·log mean entropy",
        Paper("Chen et al.", "MallowsPO: Fine-Tune Your LLM with Preference Dispersions", 2024, "2405.14953"),
    ),
)
