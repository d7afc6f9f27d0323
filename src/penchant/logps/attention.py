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

from penchant.logps.causal import Scoring, causal_attention
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
    s_aux: Tensor | None = None,
    spans: Sequence[Span] | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of one packed row; query ``(1, heads, T, d)``, key and value ``(1, key heads, T, d)``.

    Returns:
        ``(1, T, heads, d)``, and None for the weights, which nobody sees.

    Raises:
        NotPackable: if the model does not pass the spans on, or uses dropout, a position bias, a cache or a mask.
    """
    if spans is None:
        raise NotPackable("the model does not hand a forward pass's keyword arguments on to its attention")
    refused = [name for name in ("position_bias", "cache") if others.get(name) is not None]
    if refused or dropout or attention_mask is not None or others.get("is_causal") is False:
        raise NotPackable(f"attention uses {', '.join(refused) or 'dropout or a mask'}")
    scoring = Scoring(query.shape[-1] ** -0.5 if scaling is None else scaling, sliding_window, softcap)
    attend = causal_attention if query.device.type == "cpu" else fused_causal_attention
    sizes = [size for span in spans for size in (span.prompt, *span.answers)]
    queries, keys, values = (iter(torch.split(tensor[0], sizes, dim=1)) for tensor in (query, key, value))
    pieces: list[Tensor] = []
    for span in spans:
        prompt_q, prompt_k, prompt_v = next(queries), next(keys), next(values)
        for index in range(len(span.answers)):
            own_q, own_k, own_v = next(queries), next(keys), next(values)
            if index == 0:
                own_q = torch.cat([prompt_q, own_q], 1)
            elif not own_q.shape[1]:
                continue
            pieces.append(
                attend(own_q, torch.cat([prompt_k, own_k], 1), torch.cat([prompt_v, own_v], 1), scoring, s_aux)
            )
    return torch.cat(pieces).unsqueeze(0), None


def fused_causal_attention(
    query_Hnd: Tensor, key_Gmd: Tensor, value_Gmd: Tensor, scoring: Scoring, sinks_H: Tensor | None = None
) -> Tensor:
    """What :func:`penchant.logps.causal.causal_attention` computes, by PyTorch's own kernels; for accelerators."""
    length, total = query_Hnd.shape[1], key_Gmd.shape[1]
    window, groups = scoring.window, query_Hnd.shape[0] // key_Gmd.shape[0]
    narrow = window is not None and total > window
    distance = torch.arange(total - length, total, device=query_Hnd.device)[:, None] - torch.arange(
        total, device=query_Hnd.device
    )
    allowed = (distance >= 0) & (distance < window) if narrow else distance >= 0
    if scoring.softcap is None and sinks_H is None:
        whole = length == total and not narrow
        mixed = torch.nn.functional.scaled_dot_product_attention(
            query_Hnd[None],
            key_Gmd[None],
            value_Gmd[None],
            attn_mask=None if whole else allowed,
            is_causal=whole,
            scale=scoring.scale,
            enable_gqa=True,
        )
        return mixed[0].transpose(0, 1)
    scores = query_Hnd @ key_Gmd.repeat_interleave(groups, 0).transpose(1, 2) * scoring.scale
    if scoring.softcap is not None:
        scores = torch.tanh(scores / scoring.softcap) * scoring.softcap
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32)).masked_fill(~allowed, -torch.inf)
    if sinks_H is not None:
        scores = torch.cat([scores, sinks_H.to(scores.dtype)[:, None, None].expand(-1, length, 1)], -1)
    weights = torch.softmax(scores, -1)[..., :total].to(value_Gmd.dtype)
    return (weights @ value_Gmd.repeat_interleave(groups, 0)).transpose(0, 1)


AttentionInterface.register(NAME, packed_attention)
