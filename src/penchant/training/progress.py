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

    def __init__(self, console: Console, unit: str, rows: int) -> None:
        self._console, self._unit, self._rows = console, unit, rows
        self._bar: Progress | None = None
        self._start, self._first_epoch = 0.0, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._start, self._first_epoch = time.monotonic(), state.epoch or 0.0
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
            self._bar.update(self._bar.task_ids[0], completed=state.global_step, rate=self._rate(state))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not (state.is_world_process_zero and logs):
            return
        if "eval_loss" in logs:
            metrics = _line({name.removeprefix("eval_"): value for name, value in logs.items()})
            self._console.print(f"evaluated  at step {state.global_step}  {metrics}", highlight=False)
        if "loss" not in logs:
            return
        if self._bar:
            self._bar.update(self._bar.task_ids[0], metrics=_line(logs))
        else:
            step = f"step {state.global_step}/{state.max_steps}"
            self._console.print(f"{step}  {self._rate(state)}  {_line(logs)}", highlight=False, soft_wrap=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar:
            self._bar.stop()

    def _rate(self, state: Any) -> str:
        rows = (state.epoch - self._first_epoch) * self._rows
        return f"{rows / max(time.monotonic() - self._start, 1e-9):.2f} {self._unit}/s"


def _line(metrics: Any) -> str:
    return "  ".join(f"{name.split('/')[-1]} {metrics[name]:.4f}" for name in _SHOWN if name in metrics)
