"""Losses on pairs of which some state no preference."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.ties import davidson_loss, rao_kupper_loss

METHODS = (
    Method(
        "rao_kupper",
        rao_kupper_loss,
        "ties are modelled: answers within a margin may be equal",
        "win: -log σ(z - α); tie: -log[(e^2α - 1)σ(z - α)σ(-z - α)], z = β(a - b)",
        Paper("Chen et al.", "On Extending Direct Preference Optimization to Accommodate Ties", 2024, "2409.17431"),
    ),
    Method(
        "davidson",
        davidson_loss,
        "ties are a third outcome with a weight of its own",
        "win: -log(e^z/D), tie: -log(2ν·e^(z/2)/D), D = e^z + 1 + 2ν·e^(z/2)",
        Paper("Chen et al.", "On Extending Direct Preference Optimization to Accommodate Ties", 2024, "2409.17431"),
    ),
)
