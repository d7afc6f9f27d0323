"""Layers that keep less for the backward pass: adapters on frozen linear layers, RMS norms and gated MLPs.

Each computes what the layer it stands in for computes, keeps only its inputs, and makes the rest again when gradients
are asked for. A layer is replaced only where its class is known and a random input gives the same output; the
engine's check on the whole model comes after that. What was found is remembered for as long as the layer lives, since
a layer whose weights are sharded later cannot be tried by itself any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from penchant.logps import kernels

# transformers takes the statistics of norms in float32 in a float64 model too, where they are left alone therefore
_TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}

_KNOWN: WeakKeyDictionary[torch.nn.Module, tuple[Any, bool]] = WeakKeyDictionary()
"""For each layer that was looked at: its type of weights and its width then, and whether its kind agreed."""


@contextmanager
def lean_layers(model: Any) -> Iterator[None]:
    """The model with lean forward passes while the block runs; its modules, hooks and weights stay as they are."""
    replaced = []
    agreed: dict[tuple[Any, ...], bool] = {}
    try:
        for module in model.modules():
            lean = _lean_forward(module)
            if lean is None or "forward" in vars(module):
                continue
            if _may_be_lean(module, lean, agreed):
                module.forward = partial(_unless_autocast, module, lean)
                replaced.append(module)
        yield
    finally:
        for module in replaced:
            del module.forward


def _may_be_lean(module: Any, lean: Callable[..., Tensor], agreed: dict[tuple[Any, ...], bool]) -> bool:
    """Whether a layer agrees with its lean twin: as it was found before, or as the first of its kind is found now."""
    shape = (_dtype(module), _width(module), kernels.kernels_compiled())
    known, answer = _KNOWN.get(module, (None, False))
    if known != shape:
        kind = (type(module), *shape)
        if kind not in agreed:
            agreed[kind] = _agrees(module, lean)
        answer = agreed[kind]
        _KNOWN[module] = shape, answer
    return answer


def _unless_autocast(module: Any, lean: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
    """The lean pass; under autocast the module's own, whose types autocast chooses operation by operation."""
    if torch.is_autocast_enabled(hidden.device.type):
        own: Tensor = type(module).forward(module, hidden)
        return own
    return lean(hidden)


def _lean_forward(module: Any) -> Callable[..., Tensor] | None:
    """The lean twin of a module's forward pass, if it has one."""
    name = type(module).__name__
    if name.endswith("RMSNorm") and _epsilon(module) is not None and getattr(module, "weight", None) is not None:
        return partial(_rms_norm_forward, module)
    if all(hasattr(module, part) for part in ("gate_proj", "up_proj", "down_proj", "act_fn")):
        return partial(_gated_forward, module)
    if type(module).__module__ == "peft.tuners.lora.layer" and name == "Linear" and _plain_adapter(module):
        return partial(_adapted_forward, module)
    return None


def _plain_adapter(layer: Any) -> bool:
    """One ordinary low-rank adapter on a frozen linear layer."""
    base = layer.base_layer
    if type(base) is not torch.nn.Linear or base.weight.requires_grad or layer.merged or layer.fan_in_fan_out:
        return False
    active = _active(layer)
    return len(active) == 1 and _is_plain(layer, active[0])


def _active(layer: Any) -> list[str]:
    """The active adapters that this layer has."""
    return [name for name in layer.active_adapters if name in layer.lora_A]


def _is_plain(layer: Any, name: str) -> bool:
    """Whether one adapter of a layer is a product of two matrices and nothing else: no variant, bias or dropout."""
    biased = layer.lora_A[name].bias is not None or layer.lora_B[name].bias is not None
    plain = name not in layer.lora_variant and not biased
    return plain and isinstance(layer.lora_dropout[name], torch.nn.Identity)


def _adapted_forward(layer: Any, hidden: Tensor) -> Tensor:
    """By the adapter that is active now: a reference's may be of another kind than the policy's, or not be here."""
    base, active = layer.base_layer, _active(layer)
    if layer.disable_adapters or not active:
        return torch.nn.functional.linear(hidden, base.weight, base.bias)
    if len(active) > 1 or not _is_plain(layer, active[0]):
        own: Tensor = type(layer).forward(layer, hidden)
        return own
    (name,) = active
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    out: Tensor = _Adapted.apply(hidden, base.weight, base.bias, down, up, layer.scaling[name])
    return out


class _Adapted(torch.autograd.Function):
    """``x Wᵀ + b + s (x Aᵀ) Bᵀ`` with frozen W and b; products in the dtype of x, gradients in that of A and B."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scaling: float
    ) -> Tensor:
        rows = hidden.reshape(-1, hidden.shape[-1])
        narrow = rows @ down.to(rows.dtype).T
        out = torch.nn.functional.linear(rows, weight, bias)
        out.addmm_(narrow, (up * scaling).to(rows.dtype).T)
        ctx.save_for_backward(rows, narrow, weight, down, up)
        ctx.scaling = scaling
        return out.view(*hidden.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        rows, narrow, weight, down, up = ctx.saved_tensors
        slopes = slope.reshape(-1, slope.shape[-1])
        d_narrow = slopes @ (up * ctx.scaling).to(slopes.dtype)
        d_up = (slopes.T @ narrow).to(up.dtype) * ctx.scaling
        d_down = (d_narrow.T @ rows).to(down.dtype)
        d_hidden = None
        if ctx.needs_input_grad[0]:
            d_hidden = (slopes @ weight).addmm_(d_narrow, down.to(slopes.dtype)).view(*slope.shape[:-1], -1)
        return d_hidden, None, None, d_down, d_up, None


def _rms_norm_forward(norm: Any, hidden: Tensor) -> Tensor:
    out: Tensor = _RmsNorm.apply(hidden, norm.weight, _epsilon(norm))
    return out


class _RmsNorm(torch.autograd.Function):
    """``w x / sqrt(mean(x²) + eps)``, statistics in float32 or wider."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        out, factor = kernels.rms_norm(hidden, weight, epsilon)
        ctx.save_for_backward(hidden, weight, factor)
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, factor = ctx.saved_tensors
        d_weight = None
        if ctx.needs_input_grad[1]:
            d_weight = kernels.rms_norm_weight_slope(slope, hidden, factor).to(weight.dtype)
        return kernels.rms_norm_slope(slope, hidden, weight, factor), d_weight, None


def _gated_forward(mlp: Any, hidden: Tensor) -> Tensor:
    out: Tensor = mlp.down_proj(_Gated.apply(mlp.gate_proj(hidden), mlp.up_proj(hidden)))
    return out


class _Gated(torch.autograd.Function):
    """``silu(gate) * up``."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return kernels.gated(gate, up)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        return kernels.gated_slopes(slope, gate, up)


def _epsilon(norm: Any) -> float | None:
    value = getattr(norm, "variance_epsilon", getattr(norm, "eps", None))
    return value if isinstance(value, float) else None


def _dtype(module: Any) -> torch.dtype:
    dtype: torch.dtype = next(parameter for name, parameter in module.named_parameters() if "lora_" not in name).dtype
    return dtype


def _width(module: Any) -> int:
    """Channels of the module's input."""
    weight = module.gate_proj.weight if hasattr(module, "gate_proj") else module.weight
    return int(getattr(weight, "ds_shape", weight.shape)[-1])  # of a weight that DeepSpeed has shared, the whole one's


@torch.no_grad()
def _agrees(module: Any, lean: Callable[..., Tensor]) -> bool:
    """Whether a random input gives the same output."""
    weight = next(module.parameters())
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(1, 3, _width(module), generator=generator).to(weight.device, _dtype(module))
    with torch.autocast(weight.device.type, enabled=False):
        expected, found = module(probe), lean(probe)
    tolerance = _TOLERANCE.get(expected.dtype, 2e-2)
    return bool((found - expected).norm() <= tolerance * expected.norm())
