"""SIGTERM, as a machine that is about to be taken away sends it: finish the step, save, and end."""

from __future__ import annotations

import signal
import threading
from typing import Any

import torch
from transformers import TrainerCallback

EXIT = 128 + signal.SIGTERM


class SaveOnTerm(TrainerCallback):
    """Saves a checkpoint at the end of the step in which SIGTERM came, on all processes, and stops the training.

    Args:
        accelerator: The processes, which all stop after the same step.
    """

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self._came = self.stopped = False
        self._before: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: Any) -> None:
        self._came = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        came = self._came
        if self._accelerator.num_processes > 1:
            flag = torch.tensor(float(came), device=self._accelerator.device)
            came = bool(self._accelerator.reduce(flag, reduction="sum"))
        if came and not self.stopped:
            self.stopped = control.should_save = control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.stopped:  # time is short: no evaluation, and the checkpoint is there already
            control.should_evaluate = control.should_save = False

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
