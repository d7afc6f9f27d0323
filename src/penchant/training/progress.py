"""The progress of a run: a small live view in a terminal, or one line per log where there is none."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from transformers import TrainerCallback

_SHOWN = ("loss", "rewards/margins", "rewards/accuracies", "kl", "kl_per_token")
_KEPT = 24
_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = "_.:-=+*#"
"""For a terminal that shows ASCII alone."""

_NUMBERS = 44
"""Columns that a name, its value and its held-out value take; the bars have the rest."""


class ProgressBar(TrainerCallback):
    """Shows steps, rows per second, time left, the latest metrics with where they come from, and the alarms.

    Args:
        console: Where to print.
        unit: What a row is, for the rate.
        rows: Rows of an epoch.
        alarms: Gives how often each alarm was raised so far.
    """

    def __init__(self, console: Console, unit: str, rows: int, alarms: Callable[[], Mapping[str, int]] = dict) -> None:
        self._console, self._unit, self._rows, self._alarms = console, unit, rows, alarms
        self._bar: Progress | None = None
        self._live: Live | None = None
        self._past: dict[str, deque[float]] = {}
        self._held_out: dict[str, float] = {}
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
            console=self._console,
        )
        self._bar.add_task("", total=state.max_steps, completed=state.global_step, rate="")
        self._live = Live(self._view(), console=self._console, refresh_per_second=4)
        self._live.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=state.global_step, rate=self._rate(state))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not (state.is_world_process_zero and logs):
            return
        if "eval_loss" in logs:
            self._held_out = {name.removeprefix("eval_"): value for name, value in logs.items()}
            self._console.print(f"evaluated  at step {state.global_step}  {_line(self._held_out)}", highlight=False)
        for name in _SHOWN:
            if name in logs:
                self._past.setdefault(name, deque(maxlen=_KEPT)).append(logs[name])
        if self._live:
            self._live.update(self._view())
        elif "loss" in logs:
            step = f"step {state.global_step}/{state.max_steps}"
            self._console.print(f"{step}  {self._rate(state)}  {_line(logs)}", highlight=False, soft_wrap=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._stop()

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Leave the terminal as it was, with the last view on it, after the block; also after an error."""
        try:
            yield
        finally:
            self._stop()

    def _stop(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def _view(self) -> Group:
        options = self._console.options
        bars = _PLAIN_BARS if options.ascii_only else _BARS
        room = min(_KEPT, options.max_width - _NUMBERS)
        table = Table.grid(padding=(0, 2))
        for name, past in self._past.items():
            held_out = f"held-out {self._held_out[name]:.4f}" if name in self._held_out else ""
            row = [_short(name), f"{past[-1]:.4f}"]
            if room > 0:  # a narrow terminal has the numbers alone; held-out ones stand in a line of their own, too
                row += [sparkline(list(past)[-room:], bars), held_out]
            table.add_row(*row)
        raised = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in self._alarms().items())
        alarms = Text.assemble("alarms      ", (raised or "none", "bold red" if raised else "dim"))
        return Group(*([self._bar] if self._bar else []), table, alarms)

    def _rate(self, state: Any) -> str:
        rows = (state.epoch - self._first_epoch) * self._rows
        return f"{rows / max(time.monotonic() - self._start, 1e-9):.2f} {self._unit}/s"


def sparkline(values: Sequence[float], bars: str = _BARS) -> str:
    """Values as bars from the lowest to the highest; a blank for one that is not finite.

    >>> sparkline([0.0, 1.0, 2.0, float("nan"), 7.0])
    '▁▂▃ █'
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    scale = (len(bars) - 1) / (high - low) if high > low else 0.0
    return "".join(bars[round((one - low) * scale)] if math.isfinite(one) else " " for one in values)


def _short(name: str) -> str:
    return name.split("/")[-1]


def _line(metrics: Any) -> str:
    return "  ".join(f"{_short(name)} {metrics[name]:.4f}" for name in _SHOWN if name in metrics)
