"""Losses that hold each answer against an anchor."""

from __future__ import annotations

from types import MappingProxyType

from penchant.objectives.anchored import dro_loss, kto_loss
from penchant.objectives.catalogue.method import Method, Paper

METHODS = (
    Method(
        "kto",
        kto_loss,
        "single answers with a thumbs-up or thumbs-down, against a KL baseline",
        "λ(1 - σ(±β(r - z_ref)))",
        Paper("Ethayarajh et al.", "KTO: Model Alignment as Prospect Theoretic Optimization", 2024, "2402.01306"),
        MappingProxyType({"value_function": "sigmoid"}),
    ),
    Method(
        "dro",
        dro_loss,
        "one rated answer per prompt against the prompt's value, which training takes from the data",
        "½(rating - V - β·r)²",
        Paper(
            "Richemond et al.",
            "Offline Regularised Reinforcement Learning for Large Language Models Alignment",
            2024,
            "2405.19107",
        ),
    ),
)
