"""What the processor's matrix products are worth, by type: probed once; the faster way only where it is exact."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

_MOST_ERROR = 5e-6
_ROWS, _INNER, _COLUMNS = 256, 576, 1024  # the shape of a small model's layer
_TIMES = 4


@dataclass(frozen=True, slots=True)
class Rate:
    """Matrix products in one type: GFLOP/s of the best of a few, and the error relative to float64."""

    gflops: float
    error: float

    def __str__(self) -> str:
        return f"{self.gflops:.0f} GFLOP/s (error {self.error:.0e})"


@dataclass(frozen=True, slots=True)
class Processor:
    """A probe of the CPU. ``one_dnn`` is PyTorch's "medium" setting for float32 products: oneDNN's kernels where
    it has no faster type, and bfloat16 inside on processors with AMX, which shows as a larger error.
    """

    float32: Rate
    one_dnn: Rate
    bfloat16: Rate
    threads: int
    cores: int

    @property
    def takes_one_dnn(self) -> bool:
        """Whether float32 products go through oneDNN: where it is exact to rounding.

        The speeds have no say: a busy machine would decide one run this way and the next the other, and neither
        a resumed run nor a reference store would be the same to the last bit.
        """
        return self.one_dnn.error < _MOST_ERROR

    def __str__(self) -> str:
        used, left = (self.one_dnn, self.float32) if self.takes_one_dnn else (self.float32, self.one_dnn)
        names = ("through oneDNN", "by default") if self.takes_one_dnn else ("by default", "through oneDNN")
        crowded = "" if self.threads <= self.cores else ", more than there are: set OMP_NUM_THREADS lower"
        return (
            f"{self.threads} threads on {self.cores} cores{crowded}; float32 products {used} {names[0]}, "
            f"{left} {names[1]}; bfloat16 {self.bfloat16}"
        )


@contextmanager
def fast_float32() -> Iterator[Processor]:
    """Route float32 products through oneDNN while the block runs, if the probe finds that exact."""
    before = torch.get_float32_matmul_precision()
    processor = probe()
    if processor.takes_one_dnn:
        torch.set_float32_matmul_precision("medium")
    try:
        yield processor
    finally:
        torch.set_float32_matmul_precision(before)


@lru_cache(maxsize=1)
def probe() -> Processor:
    """Rates and errors of this process, measured once in a few hundredths of a second."""
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(_ROWS, _INNER, generator=generator)
    right = torch.randn(_COLUMNS, _INNER, generator=generator)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        plain = _rate(left, right)
        torch.set_float32_matmul_precision("medium")
        routed = _rate(left, right)
    finally:
        torch.set_float32_matmul_precision(before)
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Processor(plain, routed, _rate(left.bfloat16(), right.bfloat16()), torch.get_num_threads(), cores)


def _rate(left: Tensor, right: Tensor) -> Rate:
    exact = left.double() @ right.double().T
    product, seconds = left @ right.T, float("inf")
    for _ in range(_TIMES):
        start = time.perf_counter()
        product = left @ right.T
        seconds = min(seconds, time.perf_counter() - start)
    error = float((product.double() - exact).norm() / exact.norm())
    return Rate(2 * _ROWS * _INNER * _COLUMNS / seconds / 1e9, error)
