"""The progress of a run: a bar with pairs per second and time left, or one line per log where there is no terminal."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

_SHOWN = ("loss", "rewards/margins", "rewards/accuracies", "kl")


class ProgressBar(TrainerCallback):
    """Shows steps, rows per second, time left and the latest metrics."""

    def __init__(self, console: Console, unit: str) -> None:
        self._console, self._unit = console, unit
        self._bar: Progress | None = None
        self._start, self._first_step = 0.0, 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._start, self._first_step = time.monotonic(), state.global_step
        if not (state.is_world_process_zero and self._console.is_terminal):
            return
        self._bar = Progress(
            TextColumn("[bold]training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=self._console,
        )
        self._bar.start()
        self._bar.add_task("", total=state.max_steps, completed=state.global_step, rate="", metrics="")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=state.global_step, rate=self._rate(args, state))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not (state.is_world_process_zero and logs and "loss" in logs):
            return
        metrics = "  ".join(f"{name.split('/')[-1]} {logs[name]:.4f}" for name in _SHOWN if name in logs)
        if self._bar:
            self._bar.update(self._bar.task_ids[0], metrics=metrics)
        else:
            step = f"step {state.global_step}/{state.max_steps}"
            self._console.print(f"{step}  {self._rate(args, state)}  {metrics}", highlight=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar:
            self._bar.stop()

    def _rate(self, args: Any, state: Any) -> str:
        steps, seconds = state.global_step - self._first_step, time.monotonic() - self._start
        return f"{steps * args.batch_size / max(seconds, 1e-9):.2f} {self._unit}/s"
