"""transformers' learning-rate schedules with a warm-up that begins above 0: a first step at rate 0 changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.optim.lr_scheduler import LambdaLR


def risen(scheduler: Any, warmup: int) -> Any:
    """A schedule with its linear warm-up from 0 at 1/(warmup + 1), 2/(warmup + 1), ...; any other as it is."""
    if isinstance(scheduler, LambdaLR) and all(_rises_from_0(factor, warmup) for factor in scheduler.lr_lambdas):
        scheduler.lr_lambdas = [_risen(factor, warmup) for factor in scheduler.lr_lambdas]
        groups = scheduler.optimizer.param_groups
        for group, base, factor in zip(groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True):
            group["lr"] = base * factor(0)
        scheduler._last_lr = [group["lr"] for group in groups]
    return scheduler


def _rises_from_0(factor: Callable[[int], float], warmup: int) -> bool:
    return warmup > 0 and all(math.isclose(factor(step), step / warmup, abs_tol=1e-9) for step in range(warmup))


def _risen(factor: Callable[[int], float], warmup: int) -> Callable[[int], float]:
    return lambda step: (step + 1) / (warmup + 1) if step < warmup else factor(step)
