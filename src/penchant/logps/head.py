"""The vocabulary projection without a tensor of answer tokens by vocabulary.

*Frozen head.* The derivative of a token's log-prob by its hidden state is u = W[y] - softmax(W h) W, whatever the loss.
So the forward pass, which walks over the vocabulary in tiles anyway, forms u with a running softmax, and the backward
pass is one multiplication: 4 V H N floating-point operations in all, nothing recomputed.

*Trained head.* The weights' own gradient depends on the loss, so the backward pass walks over the tiles a second time:
8 V H N operations. Each tile's gradient is one product over all N tokens, accumulated in float32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TILE = 4096


@dataclass(frozen=True, slots=True)
class Head:
    """A linear head, and what the model does to its logits: scale, then soft-cap."""

    weight_VH: Tensor
    bias_V: Tensor | None
    scale: float
    softcap: float | None

    @property
    def shaping(self) -> Shaping:
        return Shaping(self.scale, self.softcap)

    def token_logps(self, hidden_NH: Tensor, target_N: Tensor) -> Tensor:
        """Log-prob of each target: nats, shape ``(N,)``, float32 or wider."""
        logps: Tensor = _TokenLogps.apply(hidden_NH, self.weight_VH, self.bias_V, target_N, self.shaping, TILE)
        return logps


def linear_head(model: Any) -> Head | None:
    """The model's head if it is a plain linear layer; how its logits are scaled is a reading of the configuration, to
    be checked against the model's own logits before it is believed.
    """
    layer = model.get_output_embeddings()
    # by its forward pass, not its class: sharding gives a layer a class of its own
    if not isinstance(layer, torch.nn.Linear) or type(layer).forward is not torch.nn.Linear.forward:
        return None
    config = model.config.get_text_config()
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    softcap = getattr(config, "final_logit_softcapping", None) or getattr(config, "logits_soft_cap", None)
    return Head(layer.weight, layer.bias, scale, softcap)


class _Catch:
    """The head's forward pass while it is caught: keeps the hidden states that reach it, answers with one column for V.

    It runs as the layer's own pass, inside the model's, so that what is hooked to the layer (a sharded weight is
    gathered then) comes first.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.head: Head | None = None
        self.hidden: list[Tensor] = []

    def __call__(self, hidden: Tensor) -> Tensor:
        self.head = linear_head(self.model)
        self.hidden.append(hidden.reshape(-1, hidden.shape[-1]))
        return hidden[..., :1].clone()


@contextmanager
def head_caught(model: Any) -> Iterator[None]:
    """The model with its linear head's forward pass replaced by a catch while the block runs: no logits are made."""
    layer = model.get_output_embeddings()
    layer.forward = _Catch(model)
    try:
        yield
    finally:
        del layer.forward


def caught_hidden(model: Any, predict_N: Tensor | None = None) -> tuple[Head, Tensor]:
    """The head, and the hidden states caught since the last call: all of them in the order they came, or those at
    ``predict_N``; shape ``(N, H)``.
    """
    catch = model.get_output_embeddings().forward
    assert isinstance(catch, _Catch) and catch.head is not None, "no forward pass reached the head"
    hidden, head, catch.hidden, catch.head = catch.hidden, catch.head, [], None
    all_MH = torch.cat(hidden) if len(hidden) > 1 else hidden[0]
    return head, all_MH if predict_N is None else all_MH[predict_N]


@dataclass(frozen=True, slots=True)
class Shaping:
    """What becomes of raw products: ``softcap * tanh(scale * raw / softcap)``, or ``scale * raw``."""

    scale: float
    softcap: float | None

    def __call__(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits, and their derivative by ``scale * raw`` where it is not 1."""
        logits = raw * self.scale if self.scale != 1.0 else raw
        if self.softcap is None:
            return logits, None
        bent = torch.tanh(logits / self.softcap)
        return bent * self.softcap, 1 - bent**2


class _TokenLogps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        target_N: Tensor,
        shaping: Shaping,
        tile: int,
    ) -> Tensor:
        trained = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        wanted = ctx.needs_input_grad[0] and not trained
        log_total_N, mean_NH = _running_softmax(hidden_NH, weight_VH, bias_V, shaping, tile, wanted)
        wide = log_total_N.dtype
        target_NH = weight_VH[target_N].to(wide)
        raw_N = (hidden_NH.to(wide) * target_NH).sum(1)
        raw_N = raw_N if bias_V is None else raw_N + bias_V[target_N].to(wide)
        logit_N, bend_N = shaping(raw_N)
        ctx.trained, ctx.shaping, ctx.tile = trained, shaping, tile
        if mean_NH is not None:
            own_NH = target_NH if bend_N is None else target_NH * bend_N[:, None]
            ctx.save_for_backward((own_NH - mean_NH).mul_(shaping.scale).to(hidden_NH.dtype))
        elif trained:
            ctx.save_for_backward(hidden_NH, weight_VH, bias_V, target_N, log_total_N)
        return logit_N - log_total_N

    @staticmethod
    def backward(ctx: Any, slope_N: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.trained:
            (unit_NH,) = ctx.saved_tensors
            return (slope_N[:, None] * unit_NH).to(unit_NH.dtype), None, None, None, None, None
        hidden_NH, weight_VH, bias_V, target_N, log_total_N = ctx.saved_tensors

        def slopes(part: slice, logits_Nv: Tensor) -> Tensor:
            slopes_Nv = torch.exp(logits_Nv - log_total_N[:, None]).mul_(-slope_N[:, None])
            inside = (target_N >= part.start) & (target_N < part.start + slopes_Nv.shape[1])
            rows = inside.nonzero()[:, 0]
            slopes_Nv.index_put_((rows, target_N[rows] - part.start), slope_N[rows].to(slopes_Nv), accumulate=True)
            return slopes_Nv

        pulled = walk_back(hidden_NH, weight_VH, bias_V, ctx.shaping, ctx.tile, slopes, trained=True)
        return *pulled, None, None, None


def tiles(
    hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, shaping: Shaping, tile: int
) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
    """The logits tile by tile, float32 or wider: which part of the vocabulary, the logits, and how they are bent."""
    wide = torch.promote_types(hidden_NH.dtype, torch.float32)
    for start in range(0, len(weight_VH), tile):
        part = slice(start, start + tile)
        raw_Nv = torch.nn.functional.linear(hidden_NH, weight_VH[part], None if bias_V is None else bias_V[part])
        yield part, *shaping(raw_Nv.to(wide))


def walk_back(
    hidden_NH: Tensor,
    weight_VH: Tensor,
    bias_V: Tensor | None,
    shaping: Shaping,
    tile: int,
    slopes: Callable[[slice, Tensor], Tensor],
    *,
    trained: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Gradients by hidden states, weights and bias (None for a frozen head) from a second walk over the tiles.

    Args:
        hidden_NH: Hidden states.
        weight_VH: The head's weights.
        bias_V: Its bias.
        shaping: What becomes of raw products.
        tile: Vocabulary entries at once.
        slopes: The result's derivative by a tile's logits, a tensor of its own.
        trained: Whether the head's own gradients are wanted.
    """
    wide, dtype = torch.promote_types(hidden_NH.dtype, torch.float32), weight_VH.dtype
    d_hidden = torch.zeros_like(hidden_NH, dtype=wide)
    d_weight = torch.empty_like(weight_VH) if trained else None
    d_bias = torch.empty_like(bias_V) if trained and bias_V is not None else None
    for part, logits_Nv, bend_Nv in tiles(hidden_NH, weight_VH, bias_V, shaping, tile):
        slopes_Nv = slopes(part, logits_Nv)
        slopes_Nv = slopes_Nv if bend_Nv is None else slopes_Nv.mul_(bend_Nv)
        low_Nv = slopes_Nv.mul_(shaping.scale).to(dtype)
        d_hidden += (low_Nv @ weight_VH[part]).to(wide)
        if d_weight is not None:
            d_weight[part] = low_Nv.T @ hidden_NH
        if d_bias is not None:
            d_bias[part] = slopes_Nv.sum(0).to(dtype)
    return d_hidden.to(hidden_NH.dtype), d_weight, d_bias


def _running_softmax(
    hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, shaping: Shaping, tile: int, with_mean: bool
) -> tuple[Tensor, Tensor | None]:
    """Log of the softmax's denominator, and the softmax's mean of the (bent) rows of W where it is wanted."""
    wide = torch.promote_types(hidden_NH.dtype, torch.float32)
    top_N = hidden_NH.new_full((len(hidden_NH),), -torch.inf, dtype=wide)
    total_N = torch.zeros_like(top_N)
    mean_NH = torch.zeros_like(hidden_NH, dtype=wide) if with_mean else None
    for part, logits_Nv, bend_Nv in tiles(hidden_NH, weight_VH, bias_V, shaping, tile):
        new_top_N = torch.maximum(top_N, logits_Nv.amax(1))
        shrink_N = torch.exp(top_N - new_top_N)
        weights_Nv = logits_Nv.sub_(new_top_N[:, None]).exp_()
        total_N = total_N * shrink_N + weights_Nv.sum(1)
        if mean_NH is not None:
            pulled_Nv = weights_Nv if bend_Nv is None else weights_Nv.mul_(bend_Nv)
            mean_NH.mul_(shrink_N[:, None]).add_((pulled_Nv.to(weight_VH.dtype) @ weight_VH[part]).to(wide))
        top_N = new_top_N
    return top_N + total_N.log(), None if mean_NH is None else mean_NH.div_(total_N[:, None])
