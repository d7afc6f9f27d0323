"""How many tokens go through the model at once: two small steps are measured, and the rest is a straight line.

Peak memory and time of a forward and backward pass grow with its tokens. More tokens than it takes for nearly the full
rate are not asked for, and never more than the memory allows.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import psutil
import torch

from penchant.errors import InputError, shorten
from penchant.records import TokenRow
from penchant.training.coupling import leaves
from penchant.training.microbatch import Row, positions, taken

if TYPE_CHECKING:
    from penchant.training.trainer import PreferenceTrainer

Count: TypeAlias = Callable[[Sequence[TokenRow]], int]

_UNITS = {"MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30}
_PROBES = (256, 1024)  # tokens; the larger one is what goes through at once where nothing is asked for
_LOOKED_AT = 256
_OF_FREE, _OF_RATE = 0.8, 0.95
_STEP = 128
_GAPS = 1.25  # steps of many lengths leave gaps between them in a CPU's allocator: measured, 1.1 to 1.25
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Trial:
    """A forward and backward pass: its tokens, the peak of the process (or of the device) in bytes, and its time."""

    tokens: int
    peak: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens of a micro-batch, and why so many."""

    tokens: int
    peak: float
    bound: str

    def __str__(self) -> str:
        return f"{self.tokens} tokens at once, a peak of about {self.peak / 1e9:.1f} GB: {self.bound}"


def parse_memory(text: str) -> int | None:
    """Bytes, or None for ``auto``.

    Raises:
        InputError: if it is neither ``auto`` nor an amount like ``8GB``.
    """
    if text == "auto":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MG]i?B)", text, re.IGNORECASE)
    if not found or not float(found[1]):
        raise InputError("memory must be auto or an amount like 8GB or 500MB", got=shorten(text))
    return int(float(found[1]) * _UNITS[found[2].upper()])


def settle_budget(trainer: PreferenceTrainer, rows: Sequence[Any]) -> str:
    """Choose the trainer's ``micro_batch_tokens`` as its settings' ``memory`` asks, and say what was chosen.

    Raises:
        InputError: if the amount does not hold the longest row, or memory cannot be measured here.
    """
    count = partial(taken, packed=trainer.engine.packed)
    longest = max(count([row]) for row in rows)
    parts = probes(rows, count)
    if count(parts[0]) == count(parts[1]):
        return f"{trainer.args.micro_batch_tokens} tokens at once: too few rows to measure more"
    per_step = longest * trainer.args.per_device_train_batch_size
    given = parse_memory(trainer.args.memory)
    limit = _limit(trainer.args.device) if given is None else given
    limit -= _optimiser_bytes(trainer.model)
    idle = Trial(0, _in_use(trainer.args.device), 0.0)
    _try(trainer, [min(parts[0], key=positions)])  # the first pass also pays for what is made once
    small = _try(trainer, parts[0])
    gaps = _GAPS if trainer.args.device.type == "cpu" else 1.0
    larger = within(parts[1], reach(idle, small, idle.peak + (limit - idle.peak) / gaps), count)
    trials = [small, _try(trainer, larger)] if count(larger) > small.tokens else [idle, small]
    trials = [replace(trial, peak=idle.peak + gaps * (trial.peak - idle.peak)) for trial in trials]
    budget = fit(trials, limit=limit, longest=longest, most=per_step)
    if given is not None and _peak(trials, longest) > limit:
        raise InputError(
            "the memory does not hold the longest row",
            where="--memory",
            got=f"{trainer.args.memory}; {longest} tokens take about {_peak(trials, longest) / 1e9:.1f} GB",
            fix="Give more, lower --max-length, or recompute activations with --gradient-checkpointing true",
        )
    trainer.args.micro_batch_tokens = budget.tokens
    return str(budget)


def fit(trials: Sequence[Trial], *, limit: float, longest: int, most: int) -> Budget:
    """The budget that two trials suggest.

    Args:
        trials: A smaller and a larger pass.
        limit: Most bytes at the peak.
        longest: Tokens of the longest row, which goes alone where it is over the budget.
        most: Tokens of a step, so that more would change nothing.
    """
    small, large = trials
    memory_slope = _memory_slope(trials)
    time_slope = (large.seconds - small.seconds) / (large.tokens - small.tokens)
    start = max(0.0, small.seconds - time_slope * small.tokens)
    # the rate n / (start + slope n) reaches a share q of 1 / slope at n = start / slope * q / (1 - q)
    fast = start / time_slope * _OF_RATE / (1 - _OF_RATE) if time_slope > 0 else math.inf
    room = limit - large.peak
    fits = large.tokens + room / memory_slope if memory_slope else math.copysign(math.inf, room)
    bounds = {
        f"{_OF_RATE:.0%} of the rate that more would reach": max(fast, large.tokens, longest),
        f"the limit is {limit / 1e9:.1f} GB": fits,
        "a whole step": float(most),
    }
    why, tokens = min(bounds.items(), key=lambda item: item[1])
    chosen = int(max(_STEP, tokens // _STEP * _STEP))
    return Budget(chosen, _peak(trials, max(chosen, longest)), why)


def _peak(trials: Sequence[Trial], tokens: float) -> float:
    large = trials[1]
    return large.peak + (tokens - large.tokens) * _memory_slope(trials)


def _memory_slope(trials: Sequence[Trial]) -> float:
    """Bytes a token: not below 0, which two peaks that differ by chance may suggest."""
    small, large = trials
    return max(0.0, (large.peak - small.peak) / (large.tokens - small.tokens))


def reach(idle: Trial, small: Trial, limit: float) -> float:
    """Tokens that may be tried next without going over the limit, if memory grows on as it did up to the first pass."""
    grown = small.peak - idle.peak
    return small.tokens * (limit - idle.peak) / grown if grown > 0 else math.inf


def within(rows: Sequence[Row], most: float, count: Count) -> list[Row]:
    """The rows, or of them the first that have so many tokens together."""
    part: list[Row] = []
    for row in rows:
        if count([*part, row]) > most:
            break
        part.append(row)
    return part


def probes(rows: Sequence[Row], count: Count) -> tuple[list[Row], list[Row]]:
    """A smaller and a larger part of the rows to try: as many tokens as is aimed at where rows are short enough, else
    the shortest row and the two shortest. The parts are the same only where there is one row.

    Args:
        rows: Rows, of which the first few hundred with as many answers as the first are looked at.
        count: How the tokens of rows that go together are counted.
    """
    alike = [row for row in rows[:_LOOKED_AT] if len(row.answers) == len(rows[0].answers)]
    shortest = sorted(alike, key=positions)
    small, large = (_filled(alike, tokens, count) for tokens in _PROBES)
    small = small or shortest[:1]
    return small, large if count(large) >= 2 * count(small) else shortest[: len(small) + 1]


def _filled(rows: Sequence[Row], tokens: int, count: Count) -> list[Row]:
    """Rows in their order, each that still fits into so many tokens."""
    part: list[Row] = []
    for row in rows:
        if count([*part, row]) <= tokens:
            part.append(row)
    return part


def _try(trainer: PreferenceTrainer, rows: Sequence[Any]) -> Trial:
    """A forward and backward pass as training makes them, leaving no gradient behind."""
    model, recorder = trainer.model, trainer.recorder
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    zero = torch.zeros((), device=trainer.args.device)
    device = trainer.args.device
    start = time.perf_counter()
    # an adapter's dropout draws here too, and training should draw as it would have without this
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        Peak(device) as peak,
        recorder.engaged(model),
    ):
        record = recorder.record(model, list(rows), zero)
        torch.autograd.grad(torch.stack([leaf.sum() for leaf in leaves(record)]).sum(), trained, allow_unused=True)
    return Trial(taken(rows, packed=trainer.engine.packed), peak.bytes, time.perf_counter() - start)


def _optimiser_bytes(model: Any) -> int:
    """Two moments of each trained weight, which the first step will make."""
    return 2 * sum(int(p.numel() * p.element_size()) for p in model.parameters() if p.requires_grad)


def _in_use(device: torch.device) -> float:
    """Bytes in use now: of the process on a CPU, of the allocator on a CUDA device."""
    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device))
    return float(psutil.Process().memory_info().rss)


class Peak:
    """Most bytes in use while the block runs: of the process on a CPU, of the allocator on a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        if device.type not in ("cpu", "cuda"):
            raise InputError(f"memory cannot be measured on {device.type}", fix="Give --micro-batch-tokens instead")
        self.device, self.bytes, self.done = device, 0, threading.Event()
        self.watch = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Peak:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self.watch.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            self.bytes = torch.cuda.max_memory_allocated(self.device)
        else:
            self.done.set()
            self.watch.join()

    def _sample(self) -> None:
        resident: Callable[[], Any] = psutil.Process().memory_info
        while True:
            self.bytes = max(self.bytes, resident().rss)
            if self.done.wait(0.002):
                return


def _limit(device: torch.device) -> float:
    """What this process uses and its share of most of what is free."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(_OF_FREE * (free + torch.cuda.memory_reserved(device)))
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return float(psutil.Process().memory_info().rss + _OF_FREE * _available() / processes)


def _available() -> float:
    """Free bytes of this machine, or of the container where that is less."""
    free = float(psutil.virtual_memory().available)
    try:
        most, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return free  # no control group limits this process
    return free if most == "max" else min(free, float(most) - float(used))
