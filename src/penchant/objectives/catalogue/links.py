"""Losses on pairs with another link than the logistic one."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.links import (
    discopop_loss,
    exo_loss,
    exponential_loss,
    hinge_loss,
    ipo_loss,
    savage_loss,
    squared_hinge_loss,
)

METHODS = (
    Method(
        "ipo",
        ipo_loss,
        "squared loss to a finite margin 1/(2β): no Bradley-Terry assumption",
        "(a - b - 1/(2β))²",
        Paper(
            "Azar et al.",
            "A General Theoretical Paradigm to Understand Learning from Human Preferences",
            2023,
            "2310.12036",
        ),
    ),
    Method(
        "hinge",
        hinge_loss,
        "a pair stops pulling at the margin 1/β; the loss of RSO",
        "max(0, 1 - β(a - b))",
        Paper("Liu et al.", "Statistical Rejection Sampling Improves Preference Optimization", 2023, "2309.06657"),
    ),
    Method(
        "rso",
        hinge_loss,
        "the same loss by the name of its paper, whose other half is sampling by rejection",
        "max(0, 1 - γ(a - b))",
        Paper("Liu et al.", "Statistical Rejection Sampling Improves Preference Optimization", 2023, "2309.06657"),
    ),
    Method(
        "squared_hinge",
        squared_hinge_loss,
        "squared shortfall from a margin, without IPO's penalty beyond it",
        "max(0, 1 - β(a - b))²",
        Paper(
            "Tang et al.",
            "Generalized Preference Optimization: A Unified Approach to Offline Alignment",
            2024,
            "2402.05749",
        ),
    ),
    Method(
        "savage",
        savage_loss,
        "bounded: pairs far on the wrong side are given up",
        "σ(-β(a - b))²",
        Paper(
            "Tang et al.",
            "Generalized Preference Optimization: A Unified Approach to Offline Alignment",
            2024,
            "2402.05749",
        ),
    ),
    Method(
        "exponential",
        exponential_loss,
        "badly ranked pairs pull exponentially hard",
        "e^(-β(a - b))",
        Paper(
            "Tang et al.",
            "Generalized Preference Optimization: A Unified Approach to Offline Alignment",
            2024,
            "2402.05749",
        ),
    ),
    Method(
        "discopop",
        discopop_loss,
        "found by a language model; logistic left, exponential right",
        "(1 - q)·ℓ(z) + q·e^-z, q = σ(z/τ), z = β(a - b)",
        Paper(
            "Lu et al.",
            "Discovering Preference Optimization Algorithms with and for Large Language Models",
            2024,
            "2406.08414",
        ),
    ),
    Method(
        "exo",
        exo_loss,
        "the reverse KL to smoothed labels: seeks modes",
        "KL(Bern(σ(z)), Bern(1 - ε)), z = β(a - b)",
        Paper("Ji et al.", "Towards Efficient Exact Optimization of Language Model Alignment", 2024, "2402.00856"),
    ),
)
