"""Losses on pairs that keep the chosen answer from falling along with the rejected one."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.displacement import dpo_nll_loss, dpo_shift_loss, dpop_loss, minor_dpo_loss

METHODS = (
    Method(
        "dpo_shift",
        dpo_shift_loss,
        "the rejected answer counts for less, so that the chosen one need not fall",
        "-log σ(β(a - f·b))",
        Paper(
            "Yang et al.", "DPO-Shift: Shifting the Distribution of Direct Preference Optimization", 2025, "2502.07599"
        ),
    ),
    Method(
        "dpop",
        dpop_loss,
        "a penalty while the chosen answer is less likely than under the reference",
        "-log σ(β(a - b - λ·max(0, -a)))",
        Paper(
            "Pal et al.", "Smaug: Fixing Failure Modes of Preference Optimisation with DPO-Positive", 2024, "2402.13228"
        ),
    ),
    Method(
        "minor_dpo",
        minor_dpo_loss,
        "a rejected answer is not pushed below the reference",
        "-log σ(β(a - max(0, b)))",
        Paper("Xie et al.", "Minor DPO reject penalty to increase training robustness", 2024, "2408.09834"),
    ),
    Method(
        "dpo_nll",
        dpo_nll_loss,
        "DPO plus fine-tuning on the chosen answer (iterative RPO)",
        "-log σ(β(a - b)) - α·p̄_w",
        Paper("Pang et al.", "Iterative Reasoning Preference Optimization", 2024, "2404.19733"),
    ),
)
