"""Rows that accelerate repeats where an epoch's last step does not divide over the processes: they weigh nothing.

They go through the model all the same, so that every process has as many rows and takes as many forward passes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def marked(rows: Sequence[Any], accelerator: Any, epoch: int) -> list[Any]:
    """A process's rows of the step that its data loader has just given out, fillers marked as such.

    accelerate gives the first rows of a last step to the first process and so on, and fills up from the beginning of
    the epoch. How many rows it repeats is counted here: a loader that skips steps, as after a resume, does not know.

    Args:
        rows: The rows, as many on every process.
        accelerator: The processes.
        epoch: Rows of an epoch without those that are repeated.
    """
    left = epoch % (len(rows) * accelerator.num_processes)
    if accelerator.num_processes == 1 or not accelerator.gradient_state.end_of_dataloader or not left:
        return list(rows)
    own = min(max(left - accelerator.process_index * len(rows), 0), len(rows))
    return [*rows[:own], *(dataclasses.replace(row, filler=True) for row in rows[own:])]


def weights_of(rows: Sequence[Any], device: Any) -> Tensor:
    """0 for a filler, 1 for every other row; shape ``(rows,)``."""
    return torch.tensor([0.0 if row.filler else 1.0 for row in rows], dtype=torch.float64, device=device)
