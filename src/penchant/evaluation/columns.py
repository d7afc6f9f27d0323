"""What a method's reward asks of a table's columns, and whether a column of sums can be one. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from penchant.objectives import Method
from penchant.records import Array

LEAST_PER_TOKEN = 0.05
"""Fewer nats per token than this over a whole table, a perplexity under 1.05, are implausible for sums of log-probs."""


def ranking_parts(method: Method) -> list[Method]:
    """The methods whose rewards a method's reward is made of: of a sum those of its parts that rank, else itself."""
    return [part.method for part in method.parts if part.method.constants] or [method]


def reward_needs_lengths(method: Method) -> bool:
    return any(part.ranks_per_token for part in ranking_parts(method))


def reward_needs_logps(method: Method) -> bool:
    """Whether log-ratios alone do not make the reward."""
    return any(not part.needs_reference for part in ranking_parts(method))


def lengths_of(name: str) -> str:
    """The column of lengths that belongs to a column of log-probs."""
    if "list" in name:
        return "list_lengths"
    if "chosen" in name or name.endswith("_w"):
        return "chosen_lengths"
    return "rejected_lengths" if "rejected" in name or name.endswith("_l") else "lengths"


@dataclass(slots=True)
class SumCheck:
    """Tells means per token, which stand where sums are expected, by how small they are for their lengths.

    Example:
        >>> check = SumCheck()
        >>> check.add({"policy_logps": np.array([-1.5, -2.0]), "lengths": np.array([80.0, 120.0])})
        >>> check.remarks()
        ['policy_logps: 0.0175 nats per token if these are sums, as they should be; are they means per token?']
    """

    totals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, columns: Mapping[str, Array]) -> None:
        """Add the rows of a batch."""
        for name in columns:
            if name.endswith("logps") and lengths_of(name) in columns:
                nats, tokens = self.totals.get(name, (0.0, 0.0))
                more = float(np.sum(columns[name])), float(np.sum(columns[lengths_of(name)]))
                self.totals[name] = nats - more[0], tokens + more[1]

    def remarks(self) -> list[str]:
        """A sentence for each column that is implausible as sums."""
        rates = {name: nats / tokens for name, (nats, tokens) in self.totals.items() if tokens}
        return [
            f"{name}: {rate:.3g} nats per token if these are sums, as they should be; are they means per token?"
            for name, rate in rates.items()
            if rate < LEAST_PER_TOKEN
        ]
