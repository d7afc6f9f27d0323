"""Losses and gradients that are not finite: the rows named on all processes, the step left out or the run stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor

from penchant.errors import InputError

_MOST_ROWS = 5


class NonFinite:
    """Collects a step's rows whose loss is not finite, and ends the step with a decision that all processes share.

    Args:
        skip: Leave such a step out in place of stopping.
        alarm: Is told the rows of a step.
    """

    def __init__(self, *, skip: bool, alarm: Callable[[str], None]) -> None:
        self._skip, self._alarm = skip, alarm
        self._rows: list[str] = []
        self.skipped = 0
        self._kept, self._left_out = 0, 0  # steps since the last line

    def note(self, losses: Tensor, rows: Sequence[Any], step: int) -> None:
        """Remember the rows at fault; outside of a training step, where nothing can be left out, stop.

        Raises:
            InputError: naming the first row, if no gradient is being taken.
        """
        finite = torch.isfinite(losses)
        if finite.all():
            return
        bad = (~finite).nonzero().flatten().tolist()
        whole = len(losses) != len(rows)  # one loss for all rows: any of them may be the cause
        named = [rows[0].source] if whole else [rows[index].source for index in bad]
        if not torch.is_grad_enabled():
            raise _stopped(step, named, "Nothing was changed by this evaluation")
        self._rows += named

    def settle(self, norm: Tensor, step: int, over_processes: Callable[[Tensor], Tensor]) -> bool:
        """End a step whose gradient has this norm: whether it is to be left out, by taking its gradients away.

        Raises:
            InputError: naming the rows, unless such steps are left out.
        """
        fault = torch.tensor(float(bool(self._rows) or not bool(torch.isfinite(norm))), device=norm.device)
        if not over_processes(fault):
            self._kept += 1
            return False
        rows = list(dict.fromkeys(gather_object(self._rows)))
        self._rows = []
        named = ", ".join(rows[:_MOST_ROWS]) + (f" and {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else "")
        named = named or "the gradient of the whole step, with every loss finite"
        self._alarm(named)
        if not self._skip:
            raise _stopped(step, rows or [named], "Nothing was saved since the last checkpoint")
        self.skipped += 1
        self._left_out += 1
        return True

    def line_loss(self, mean: float) -> float:
        """The mean loss of the steps since the last line that were not left out, given the mean in which those that
        were count as 0; infinite where none is left.
        """
        kept, steps = self._kept, self._kept + self._left_out
        self._kept = self._left_out = 0
        return mean * steps / kept if kept else math.inf

    def run_loss(self, mean: float, steps: int) -> float:
        """The same of so many steps of a run."""
        return mean * steps / (steps - self.skipped) if steps > self.skipped else math.inf


def _stopped(step: int, rows: Sequence[str], saved: str) -> InputError:
    more = f", and {len(rows) - 1} more rows: {', '.join(rows[1:_MOST_ROWS])}" if len(rows) > 1 else ""
    return InputError(
        f"the loss is not finite at step {step}{more}",
        where=rows[0],
        fix=f"{saved}. Lower --learning-rate, use --dtype float32, or leave such steps out with --on-non-finite skip",
    )
