"""Faster float32 on CPU, taken only where it is still float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_MOST_ERROR = 5e-6


@contextmanager
def fast_float32() -> Iterator[bool]:
    """Route float32 products through oneDNN while the block runs, if a probe finds them exact to rounding.

    PyTorch's "medium" setting uses oneDNN's float32 kernels where the processor has no faster type, 1.5 times
    MKL's rate where it was measured (docs/log.md). On processors with AMX it computes in bfloat16 instead; the
    probe sees that as a larger error and the setting is left alone. Yields whether it is in use.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    exact = _product_error() < _MOST_ERROR
    if not exact:
        torch.set_float32_matmul_precision(before)
    try:
        yield exact
    finally:
        torch.set_float32_matmul_precision(before)


def _product_error() -> float:
    """Relative error of a float32 product in the shape of a small model's layer."""
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(256, 576, generator=generator)
    right = torch.randn(576, 1024, generator=generator)
    exact = left.double() @ right.double()
    return float(((left @ right).double() - exact).norm() / exact.norm())
