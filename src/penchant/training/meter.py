"""Adds up metrics over micro-batches and steps, and divides once, over all processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from penchant.diagnostics import Measures


class Meter:
    """Weighted sums by name."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, measures: Measures, row_weights: Tensor) -> None:
        """Add each measure's sum of values times weights, and its sum of weights; ``row_weights`` are the rows' own."""
        for name, (values, weights) in measures.items():
            shared = weights * row_weights
            sums = torch.stack([(values * shared).sum(), shared.sum()]).detach().cpu().double()
            self._sums[name] = self._sums[name] + sums if name in self._sums else sums

    def join(self, other: Meter) -> None:
        """Add another's sums to these."""
        for name, sums in other._sums.items():
            self._sums[name] = self._sums[name] + sums if name in self._sums else sums

    def take(self, accelerator: Any) -> dict[str, float]:
        """The means over all processes since the last call; a metric without any row is left out."""
        names = sorted(self._sums)
        if not names:
            return {}
        table = torch.stack([self._sums[name] for name in names])
        if accelerator.num_processes > 1:
            table = accelerator.reduce(table.to(accelerator.device), reduction="sum").cpu()
        self._sums = {}
        means = {name: float(total / weight) for name, (total, weight) in zip(names, table, strict=True) if weight > 0}
        if {"rewards/chosen", "rewards/rejected"} <= set(means):
            means["rewards/margins"] = means["rewards/chosen"] - means["rewards/rejected"]
        return means


def catenated(measures: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """One measure of several micro-batches."""
    values, weights = zip(*measures, strict=True)
    return torch.cat(values), torch.cat(weights)
