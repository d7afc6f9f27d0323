"""Attention on accelerators, by PyTorch's own kernels: a whole packed row in one call, or one call an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from penchant.logps.causal import Scoring
from penchant.logps.layout import Span

_MOST_PLACES = 3  # a position: where unlike lengths or many answers take more, one call is no gain


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Where a packed row's T positions stand when each answer has a row of its own, with its prompt before it.

    Attributes:
        source: For each place in S rows of L the position that stands there, shape ``(S * L,)``. A row shorter than
            L is filled up behind its end, where causal attention shows it to nobody.
        home: For each position the place whose result it takes; a prompt's is with its first answer; shape ``(T,)``.
        count: S.
        unshared: Positions that the row would have if nothing stood once for all prompts.
    """

    source: Tensor
    home: Tensor
    count: int
    unshared: int

    @classmethod
    def of(cls, spans: Sequence[Span], device: Any) -> Unpacked:
        rows: list[list[int]] = []
        for span in spans:
            end = span.start + span.prompt
            prompt = [*range(span.shared), *range(span.start, end)]
            for index, answer in enumerate(span.answers):
                if answer or index == 0:
                    rows.append([*prompt, *range(end, end + answer)])
                end += answer
        longest = max(map(len, rows))
        homes: dict[int, int] = {}
        for index, row in enumerate(rows):
            for place, position in enumerate(row):
                homes.setdefault(position, index * longest + place)
        source = [position for row in rows for position in row + row[:1] * (longest - len(row))]
        home = [homes[position] for position in range(len(homes))]
        unshared = sum(span.whole_prompt + sum(span.answers) for span in spans)
        return cls(torch.tensor(source, device=device), torch.tensor(home, device=device), len(rows), unshared)

    def serve(self, scoring: Scoring, sinks_H: Tensor | None) -> bool:
        """Whether plain causal attention over these rows is what is asked for, at a price that pays."""
        narrow = scoring.window is not None and len(self.source) // self.count > scoring.window
        plain = scoring.softcap is None and sinks_H is None and not narrow
        return plain and len(self.source) <= _MOST_PLACES * self.unshared


unpacked = lru_cache(maxsize=4)(Unpacked.of)  # every layer of a forward pass asks for the same


def unpacked_attention(
    query_HTd: Tensor, key_GTd: Tensor, value_GTd: Tensor, scoring: Scoring, rows: Unpacked
) -> Tensor:
    """Attention of a whole packed row in one call of PyTorch's fused kernel; ``(T, heads, d)``. For accelerators.

    A call for each answer would leave a GPU waiting for the next one; here prompts' queries are computed once for
    each of their answers, and all but the first thrown away.
    """
    groups = query_HTd.shape[0] // key_GTd.shape[0]
    half = query_HTd.dtype in (torch.float16, torch.bfloat16)  # the kernels of wider types take no shared key heads
    if groups > 1 and not half:
        key_GTd, value_GTd = (tensor.repeat_interleave(groups, 0) for tensor in (key_GTd, value_GTd))
    query, key, value = (
        tensor.index_select(1, rows.source).unflatten(1, (rows.count, -1)).transpose(0, 1)
        for tensor in (query_HTd, key_GTd, value_GTd)
    )
    mixed = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scoring.scale, enable_gqa=groups > 1 and half
    )
    return mixed.transpose(1, 2).flatten(0, 1).index_select(0, rows.home)


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
