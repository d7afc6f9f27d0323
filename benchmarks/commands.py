"""One penchant command as a process of its own on so many cores: what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


def measure(arguments: list[str], environment: Mapping[str, str] | None = None, cores: int = 1) -> dict[str, float]:
    """Wall and processor time in seconds, and the peak resident memory in MB of the largest of its processes."""
    command = [sys.executable, "-m", "penchant", *arguments]
    bound = sorted(os.sched_getaffinity(0))[:cores]
    if len(bound) < cores:
        raise SystemExit(f"{cores} cores are wanted, and there are {len(bound)}")
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        env=os.environ | (environment or {}),
        preexec_fn=lambda: os.sched_setaffinity(0, bound),  # noqa: PLW1509
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {process.returncode}")
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_rss_mb": round(usage.ru_maxrss / 1e3, 1),
    }


def median_of(repeats: int, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The run of median wall time, with the times of all of them."""
    runs = sorted((run() for _ in range(repeats)), key=lambda one: one["seconds"])
    return runs[repeats // 2] | {"all_seconds": [one["seconds"] for one in runs]}
