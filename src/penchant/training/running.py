"""What a training loop keeps from step to step for its loss, and takes along in a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from penchant.records import PairLogps

FILE = "running.json"
_NEW = 0.1  # the share of the newest step in a moving average


class Kept(Protocol):
    """Something a run goes on from: one process writes it, all read it, in the checkpoint's folder."""

    def save(self, folder: str | Path) -> None: ...

    def load(self, folder: str | Path) -> None: ...


class Running:
    """The mean of all log-ratios so far, and moving averages of KTO's baseline and of the gaps of pairs.

    A step's loss sees what earlier steps left, so that it does not depend on how the step is cut and costs no second
    forward pass. Before the first step both are 0, which is what they are where policy and reference agree.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0.0
        self.z_ref: float | None = None
        self.pull: float | None = None  # of a row's loss at its log-probs, at the first step
        self.gap_mean, self._gap_std = 0.0, 0.0
        self._waiting: list[Tensor] = []

    @property
    def log_ratio_baseline(self) -> float:
        """Mean log-ratio of chosen and rejected answers alike, over all rows of all steps so far; nats."""
        return self.total / self.count if self.count else 0.0

    @property
    def gap_std(self) -> float:
        """Moving standard deviation of the gaps between chosen and rejected log-ratios; 1 until two gaps differed."""
        return self._gap_std or 1.0

    @torch.no_grad()
    def add(self, record: PairLogps, gaps_of: PairLogps, row_weights: Tensor) -> None:
        """Remember a micro-batch until its step is over; the gaps may be of a record in other units."""
        both = (record.log_ratio_w + record.log_ratio_l).detach().double()
        gaps = (gaps_of.log_ratio_w - gaps_of.log_ratio_l).detach().double()
        sums = [both, gaps, gaps.square(), torch.ones_like(gaps)]
        self._waiting.append(torch.stack([(values * row_weights).sum() for values in sums]))

    def settle(self, over_processes: Callable[[Tensor], Tensor]) -> None:
        """End a step: what was remembered on all processes joins the mean."""
        if self._waiting:
            total, gaps, squares, pairs = over_processes(torch.stack(self._waiting).sum(0)).tolist()
            self.total, self.count, self._waiting = self.total + total, self.count + 2 * pairs, []
            mean = gaps / pairs
            self.gap_mean += _NEW * (mean - self.gap_mean)
            spread = max(0.0, squares / pairs - mean**2) ** 0.5
            self._gap_std += (_NEW if self._gap_std else 1.0) * (spread - self._gap_std)

    def drop(self) -> None:
        """Forget what was remembered of a step that is left out."""
        self._waiting = []

    def averaged(self, estimate: Tensor) -> Tensor:
        """The moving average with a new estimate of KTO's baseline in it; one that is not finite does not join it."""
        if not bool(torch.isfinite(estimate)):
            return estimate
        before = float(estimate) if self.z_ref is None else self.z_ref
        self.z_ref = (1 - _NEW) * before + _NEW * float(estimate)
        return estimate.new_tensor(self.z_ref)

    def save(self, folder: str | Path) -> None:
        kept = {"total": self.total, "count": self.count, "z_ref": self.z_ref, "pull": self.pull}
        kept |= {"gap_mean": self.gap_mean, "gap_std": self._gap_std}
        Path(folder, FILE).write_text(json.dumps(kept))

    def load(self, folder: str | Path) -> None:
        kept = json.loads(Path(folder, FILE).read_text())
        self.total, self.count, self.z_ref = kept["total"], kept["count"], kept["z_ref"]
        self.pull = kept["pull"]
        self.gap_mean, self._gap_std = kept["gap_mean"], kept["gap_std"]
