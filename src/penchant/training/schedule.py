"""transformers' learning-rate schedules with a warm-up that begins above 0: a first step at rate 0 changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim.lr_scheduler import LambdaLR


def risen(scheduler: Any, warmup: int) -> Any:
    """A schedule with its linear warm-up at 1/(warmup + 1), 2/(warmup + 1), ..."""
    if warmup and isinstance(scheduler, LambdaLR):
        scheduler.lr_lambdas = [_risen(factor, warmup) for factor in scheduler.lr_lambdas]
        groups = scheduler.optimizer.param_groups
        for group, base, factor in zip(groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True):
            group["lr"] = base * factor(0)
        scheduler._last_lr = [group["lr"] for group in groups]
    return scheduler


def _risen(factor: Callable[[int], float], warmup: int) -> Callable[[int], float]:
    return lambda step: (step + 1) / (warmup + 1) if step < warmup else factor(step)
