"""The vocabulary projection of a frozen head, without a tensor of answer tokens by vocabulary.

The derivative of a token's log-prob by its hidden state is u = W[y] - softmax(W h) W, whatever the loss. So the forward
pass, which walks over the vocabulary in tiles anyway, forms u with a running softmax, and the backward pass is one
multiplication: 4 V H N floating-point operations in all, no logits kept, nothing recomputed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TILE = 4096


@dataclass(frozen=True, slots=True)
class FrozenHead:
    """A linear head that is not trained, and what the model does to its logits: scale, then soft-cap."""

    weight_VH: Tensor
    bias_V: Tensor | None
    scale: float
    softcap: float | None

    def token_logps(self, hidden_NH: Tensor, target_N: Tensor) -> Tensor:
        """Log-prob of each target: nats, shape ``(N,)``, float32 or wider."""
        logps: Tensor = _TokenLogps.apply(
            hidden_NH, self.weight_VH, self.bias_V, target_N, self.scale, self.softcap, TILE
        )
        return logps


def frozen_head(model: Any) -> FrozenHead | None:
    """The model's head if it is a plain linear layer without a gradient; how its logits are scaled is a reading of
    the configuration, to be checked against the model's own logits before it is believed.
    """
    layer = model.get_output_embeddings()
    if type(layer) is not torch.nn.Linear or layer.weight.requires_grad:
        return None
    config = model.config.get_text_config()
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    return FrozenHead(layer.weight, layer.bias, scale, getattr(config, "final_logit_softcapping", None))


class _Catch(torch.nn.Module):
    """Stands in for the head: keeps the hidden states that reach it, and answers with one column in place of V."""

    def __init__(self, head: FrozenHead) -> None:
        super().__init__()
        self.head = head
        self.hidden: Tensor | None = None

    def forward(self, hidden: Tensor) -> Tensor:
        self.hidden = hidden
        return hidden[..., :1]


@contextmanager
def head_caught(model: Any) -> Iterator[None]:
    """The model with its frozen head replaced by a catch while the block runs: its forward pass makes no logits."""
    layer, head = model.get_output_embeddings(), frozen_head(model)
    assert head is not None, "only a frozen linear head can be caught"
    model.set_output_embeddings(_Catch(head))
    try:
        yield
    finally:
        model.set_output_embeddings(layer)


def caught_logps(model: Any, target_N: Tensor) -> Tensor:
    """Log-probs of the targets from the hidden states of the last forward pass, which are handed over once."""
    catch = model.get_output_embeddings()
    assert isinstance(catch, _Catch) and catch.hidden is not None, "no forward pass reached the head"
    hidden_1NH, catch.hidden = catch.hidden, None
    return catch.head.token_logps(hidden_1NH[0], target_N)


class _TokenLogps(torch.autograd.Function):
    """Forward: log-probs, and the unit gradient where one will be asked for. Backward: a multiplication."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        target_N: Tensor,
        scale: float,
        softcap: float | None,
        tile: int,
    ) -> Tensor:
        wide = torch.promote_types(hidden_NH.dtype, torch.float32)
        top_N = hidden_NH.new_full((len(hidden_NH),), -torch.inf, dtype=wide)
        total_N = torch.zeros_like(top_N)
        asked = ctx.needs_input_grad[0]
        mean_NH = torch.zeros_like(hidden_NH, dtype=wide) if asked else None
        for start in range(0, len(weight_VH), tile):
            rows_vH = weight_VH[start : start + tile]
            bias_v = None if bias_V is None else bias_V[start : start + tile]
            logits_Nv, slope_Nv = _shape(
                torch.nn.functional.linear(hidden_NH, rows_vH, bias_v).to(wide), scale, softcap
            )
            new_top_N = torch.maximum(top_N, logits_Nv.amax(1))
            shrink_N = torch.exp(top_N - new_top_N)
            weights_Nv = logits_Nv.sub_(new_top_N[:, None]).exp_()
            total_N = total_N * shrink_N + weights_Nv.sum(1)
            if mean_NH is not None:
                pulled_Nv = weights_Nv if slope_Nv is None else weights_Nv.mul_(slope_Nv)
                mean_NH.mul_(shrink_N[:, None]).add_((pulled_Nv.to(rows_vH.dtype) @ rows_vH).to(wide))
            top_N = new_top_N
        target_NH = weight_VH[target_N].to(wide)
        raw_N = (hidden_NH.to(wide) * target_NH).sum(1)
        raw_N = raw_N if bias_V is None else raw_N + bias_V[target_N].to(wide)
        logit_N, slope_N = _shape(raw_N, scale, softcap)
        if mean_NH is not None:
            own_NH = target_NH if slope_N is None else target_NH * slope_N[:, None]
            ctx.save_for_backward(((own_NH - mean_NH / total_N[:, None]) * scale).to(hidden_NH.dtype))
        return logit_N - top_N - total_N.log()

    @staticmethod
    def backward(ctx: Any, slope_N: Tensor) -> tuple[Tensor | None, ...]:
        (unit_NH,) = ctx.saved_tensors
        return (slope_N[:, None] * unit_NH).to(unit_NH.dtype), None, None, None, None, None, None


def _shape(logits: Tensor, scale: float, softcap: float | None) -> tuple[Tensor, Tensor | None]:
    """Scaled and capped logits, and the cap's slope where there is a cap."""
    logits = logits * scale if scale != 1.0 else logits
    if softcap is None:
        return logits, None
    bent = torch.tanh(logits / softcap)
    return bent * softcap, 1 - bent**2
