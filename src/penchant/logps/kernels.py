"""The element-wise parts of lean layers, as functions of tensors that PyTorch can compile into one kernel each.

Compiled, an RMS norm reads and writes its rows once in place of six times. The products around them and the rest of the
model stay as they are: packed rows have a length of their own in every step, for which a whole model would be compiled
again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

from penchant.errors import InputError

T = TypeVar("T")
_switch = {"compiled": False}


def compile_kernels(on: bool) -> None:
    """Whether the kernels are compiled from now on, for policy and reference alike."""
    _switch["compiled"] = on


def kernels_compiled() -> bool:
    """Whether the kernels are compiled now."""
    return _switch["compiled"]


def _kernel(function: Callable[..., T]) -> Callable[..., T]:
    @wraps(function)
    def call(*values: Any) -> T:
        if not _switch["compiled"]:
            return function(*values)
        try:
            found: T = _compiled(function)(*values)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            cause = " ".join(str(error.inner_exception).split())[:200]
            fix = "Install a C++ compiler, or leave --torch-compile out"
            raise InputError(f"PyTorch cannot compile: {cause}", fix=fix) from error
        return found

    return call


@cache
def _compiled(function: Callable[..., T]) -> Callable[..., T]:
    compiled: Callable[..., T] = torch.compile(function, dynamic=True)
    return compiled


@_kernel
def rms_norm(hidden: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """``w x / sqrt(mean(x²) + eps)``, and the factor on x, in float32 or wider."""
    wide = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    factor = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(wide.shape[-1])
    factor = factor.add_(epsilon).rsqrt_()
    return (wide * factor).to(hidden.dtype) * weight, factor


@_kernel
def rms_norm_slope(slope: Tensor, hidden: Tensor, weight: Tensor, factor: Tensor) -> Tensor:
    """The derivative by x."""
    unit = hidden.to(factor.dtype) * factor
    d_unit = slope.to(factor.dtype) * weight.to(factor.dtype)
    along = torch.linalg.vecdot(d_unit, unit).unsqueeze(-1).div_(unit.shape[-1])
    return d_unit.sub_(unit.mul_(along)).mul_(factor).to(hidden.dtype)


@_kernel
def rms_norm_weight_slope(slope: Tensor, hidden: Tensor, factor: Tensor) -> Tensor:
    """The derivative by w."""
    return (slope * (hidden.to(factor.dtype) * factor)).flatten(0, -2).sum(0)


@_kernel
def gated(gate: Tensor, up: Tensor) -> Tensor:
    """``silu(gate) * up``."""
    return torch.nn.functional.silu(gate).mul_(up)


@_kernel
def gated_slopes(slope: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """The derivatives by the gate and by what it lets through."""
    return torch.ops.aten.silu_backward(slope * up, gate), torch.nn.functional.silu(gate).mul_(slope)
