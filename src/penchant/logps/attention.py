"""Attention over a packed row, put into transformers' models through its AttentionInterface: no model is patched.

Under a name that has no mask function registered, transformers builds no mask and hands the ``spans`` given to the
model's forward on to this function. Every answer attends to its prompt and itself, and to nothing else in the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from penchant.logps.causal import Scoring, causal_attention
from penchant.logps.fused import fused_causal_attention, unpacked, unpacked_attention
from penchant.logps.layout import Prompts, Span
from penchant.logps.native import NoNativeAttention, native_attention, native_library

TILED, NATIVE = "penchant_packed", "penchant_packed_native"
"""The names under which models find it: put together from PyTorch's products, or compiled from C for a CPU."""


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
    keep: Prompts | None = None,
    after: Prompts | None = None,
    native: bool = False,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of one packed row; query ``(1, heads, T, d)``, key and value ``(1, key heads, T, d)``.

    Returns:
        ``(1, T, heads, d)``, and None for the weights, which nobody sees.

    Raises:
        NotPackable: if the model does not pass the spans on, or uses dropout, a position bias, a cache or a mask.
        NoNativeAttention: if it is to be compiled and cannot be.
    """
    if spans is None:
        raise NotPackable("the model does not hand a forward pass's keyword arguments on to its attention")
    refused = [name for name in ("position_bias", "cache") if others.get(name) is not None]
    if refused or dropout or attention_mask is not None or others.get("is_causal") is False:
        raise NotPackable(f"attention uses {', '.join(refused) or 'dropout or a mask'}")
    scoring = Scoring(query.shape[-1] ** -0.5 if scaling is None else scaling, sliding_window, softcap)
    if query.device.type != "cpu" and keep is None and after is None:
        rows = unpacked(tuple(spans), query.device)
        if rows.serve(scoring, s_aux):
            return unpacked_attention(query[0], key[0], value[0], scoring, rows).unsqueeze(0), None
    attend = _native if native else causal_attention if query.device.type == "cpu" else fused_causal_attention
    earlier = None if after is None else after[module]
    found, prompts = _by_answer(
        lambda q, k, v: attend(q, k, v, scoring, s_aux), query[0], key[0], value[0], spans, earlier
    )
    if keep is not None:
        keep[module] = prompts
    return found.unsqueeze(0), None


def _by_answer(
    attend: Callable[[Tensor, Tensor, Tensor], Tensor],
    query_HTd: Tensor,
    key_GTd: Tensor,
    value_GTd: Tensor,
    spans: Sequence[Span],
    earlier: list[tuple[Tensor, Tensor]] | None,
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """One call an answer, a prompt's queries with its first, what all prompts begin with in the very first; and each
    prompt's keys and values but for their last.

    ``earlier``: keys and values that stand before each span's.
    """
    sizes = [spans[0].shared, *(size for span in spans for size in (span.prompt, *span.answers))]
    queries, keys, values = (iter(torch.split(tensor, sizes, dim=1)) for tensor in (query_HTd, key_GTd, value_GTd))
    unasked, *shared = next(queries), next(keys), next(values)
    pieces: list[Tensor] = []
    prompts: list[tuple[Tensor, Tensor]] = []
    for place, span in enumerate(spans):
        prompt_q, *prompt = next(queries), next(keys), next(values)
        before = [*zip(shared if earlier is None else earlier[place], prompt, strict=True)]
        for index in range(len(span.answers)):
            own_q, *own = next(queries), next(keys), next(values)
            if index and not own_q.shape[1]:
                continue
            key, value = (torch.cat([*first, last], 1) for first, last in zip(before, own, strict=True))
            if index == 0:
                own_q, unasked = torch.cat([unasked, prompt_q, own_q], 1), unasked[:, :0]
                most = span.whole_prompt - 1
                prompts.append((key[:, :most].detach(), value[:, :most].detach()))
            pieces.append(attend(own_q, key, value))
    return torch.cat(pieces), prompts


def _native(query_Hnd: Tensor, key_Gmd: Tensor, value_Gmd: Tensor, scoring: Scoring, sinks_H: Tensor | None) -> Tensor:
    if sinks_H is not None:
        raise NoNativeAttention("attention with sinks is not compiled")
    return native_attention(query_Hnd, key_Gmd, value_Gmd, scoring, native_library(query_Hnd.dtype))


AttentionInterface.register(TILED, packed_attention)
AttentionInterface.register(NATIVE, partial(packed_attention, native=True))
