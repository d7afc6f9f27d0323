"""Attention over a packed row, put into transformers' models through its AttentionInterface: no model is patched.

Under a name that has no mask function registered, transformers builds no mask and hands the ``spans`` given to the
model's forward on to this function. Every answer attends to its prompt and itself, and to nothing else in the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from penchant.logps.layout import Span

NAME = "penchant_packed"


class NotPackable(RuntimeError):
    """This model's attention asks for something that a packed row does not give."""


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    spans: Sequence[Span] | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of one packed row; query ``(1, heads, T, d)``, key and value ``(1, key heads, T, d)``.

    Raises:
        NotPackable: if the model does not pass the spans on, or uses dropout, sinks, a position bias or a mask.
    """
    if spans is None:
        raise NotPackable("the model does not hand a forward pass's keyword arguments on to its attention")
    refused = [name for name in ("s_aux", "position_bias", "cache") if others.get(name) is not None]
    if refused or dropout or attention_mask is not None or others.get("is_causal") is False:
        raise NotPackable(f"attention uses {', '.join(refused) or 'dropout or a mask'}")
    pieces: list[Tensor] = []
    for span in spans:
        first = span.answers[0] if span.answers else 0
        end = span.start + span.prompt
        whole = slice(span.start, end + first)
        pieces.append(
            _attend(query[:, :, whole], key[:, :, whole], value[:, :, whole], scaling, sliding_window, softcap)
        )
        position = end + first
        for length in span.answers[1:]:
            own, prompt = slice(position, position + length), slice(span.start, end)
            keys = torch.cat([key[:, :, prompt], key[:, :, own]], dim=2)
            values = torch.cat([value[:, :, prompt], value[:, :, own]], dim=2)
            if length:
                pieces.append(_attend(query[:, :, own], keys, values, scaling, sliding_window, softcap))
            position += length
    return torch.cat(pieces, dim=2).transpose(1, 2), None


def _attend(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None, window: int | None, softcap: float | None
) -> Tensor:
    """Causal attention of the last L of S positions, within the window."""
    length, total = query.shape[2], key.shape[2]
    narrow = window is not None and total > window
    if softcap is None and length == total and not narrow:
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, enable_gqa=True
        )
    distance = torch.arange(total - length, total, device=query.device)[:, None] - torch.arange(
        total, device=query.device
    )
    allowed = (distance >= 0) & (distance < window) if narrow else distance >= 0
    if softcap is None:
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=allowed, scale=scaling, enable_gqa=True
        )
    groups = query.shape[1] // key.shape[1]
    scores = query @ key.repeat_interleave(groups, 1).transpose(2, 3) * (scaling or query.shape[-1] ** -0.5)
    scores = (torch.tanh(scores / softcap) * softcap).masked_fill(~allowed, -torch.inf)
    weights = torch.softmax(scores, -1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(value.dtype)
    return weights @ value.repeat_interleave(groups, 1)


AttentionInterface.register(NAME, packed_attention)
