"""Causal attention put together from matrix products, tile by tile, for processors whose fused kernel is slow.

A tile of queries meets the keys up to its own end, so nothing above the diagonal but the tile's own corner is computed,
and a sliding window cuts the other end off. The query heads that share a key head are folded into the rows of one
product. Scores are float32 or wider whatever the inputs are; the backward pass makes them again, so neither scores nor
probabilities are kept.

Shapes: H query heads, G key heads, n queries, m >= n keys of which the queries are the last n, d channels a head
(those of values may be others than those of queries and keys).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TILE_ROWS = 384  # query heads of one key head times queries; wider tiles leave the processor's cache


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a model turns query-key products into attention weights.

    Attributes:
        scale: Factor on the products.
        window: Keys this many positions back, or more, are not seen.
        softcap: Scores s become ``softcap * tanh(s / softcap)``.
    """

    scale: float
    window: int | None = None
    softcap: float | None = None


def causal_attention(
    query_Hnd: Tensor, key_Gmd: Tensor, value_Gmd: Tensor, scoring: Scoring, sinks_H: Tensor | None = None
) -> Tensor:
    """Attention of the last n of m positions; shape ``(n, H, d)``, the layout that models ask for.

    Args:
        query_Hnd: Queries.
        key_Gmd: Keys; G divides H.
        value_Gmd: Values.
        scoring: Scale, window and soft-cap.
        sinks_H: A learned score for each head that takes its share of the weight and gives nothing.
    """
    with torch.autocast(query_Hnd.device.type, enabled=False):  # it would compute the scores in half precision
        out: Tensor = _Causal.apply(query_Hnd, key_Gmd, value_Gmd, sinks_H, scoring)
    return out


@dataclass(frozen=True, slots=True)
class _Tile:
    """A run of queries and the keys that at least one of them sees."""

    rows: slice
    columns: slice
    hidden: Tensor

    @property
    def width(self) -> int:
        return int(self.columns.stop - self.columns.start)


class _Causal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, sinks: Tensor | None, scoring: Scoring) -> Tensor:
        ctx.save_for_backward(query, key, value, sinks)
        ctx.scoring = scoring
        wide = torch.promote_types(query.dtype, torch.float32)
        keys, values = key.to(wide), value.to(wide)
        heads, count, channels = len(query), query.shape[1], value.shape[2]
        out = value.new_empty(count, heads, channels)
        for tile in _tiles(query, key, scoring.window):
            folded = _folded(query, len(key), tile.rows, wide).mul_(scoring.scale)
            weights, _ = _weights(folded, keys, sinks, scoring, tile)
            mixed = torch.bmm(weights[..., : tile.width], values[:, tile.columns])
            out[tile.rows] = mixed.view(heads, -1, channels).transpose(0, 1)
        return out

    @staticmethod
    def backward(ctx: Any, slope_nHd: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, sinks = ctx.saved_tensors
        scoring: Scoring = ctx.scoring
        wide = torch.promote_types(query.dtype, torch.float32)
        keys, values, slope_Hnd = key.to(wide), value.to(wide), slope_nHd.transpose(0, 1)
        d_query, d_keys, d_values = torch.empty_like(query), torch.zeros_like(keys), torch.zeros_like(values)
        d_sinks = None if sinks is None else torch.zeros_like(sinks, dtype=wide)
        for tile in _tiles(query, key, scoring.window):
            folded = _folded(query, len(key), tile.rows, wide).mul_(scoring.scale)
            upstream = _folded(slope_Hnd, len(key), tile.rows, wide)
            weights, bend = _weights(folded, keys, sinks, scoring, tile)
            d_values[:, tile.columns].baddbmm_(weights[..., : tile.width].transpose(1, 2), upstream)
            slopes = torch.bmm(upstream, values[:, tile.columns].transpose(1, 2))
            if d_sinks is not None:
                slopes = torch.nn.functional.pad(slopes, (0, 1))
            slopes = torch._softmax_backward_data(slopes, weights, -1, wide)
            if d_sinks is not None:
                d_sinks += slopes[..., -1].reshape(len(d_sinks), -1).sum(1)
                slopes = slopes[..., :-1].contiguous()
            slopes = slopes if bend is None else slopes.mul_(bend)
            d_folded = torch.bmm(slopes, keys[:, tile.columns]).mul_(scoring.scale)
            d_query[:, tile.rows] = d_folded.view(len(query), -1, query.shape[2])
            d_keys[:, tile.columns].baddbmm_(slopes.transpose(1, 2), folded)
        d_sinks = None if d_sinks is None else d_sinks.to(sinks.dtype)
        return d_query, d_keys.to(key.dtype), d_values.to(value.dtype), d_sinks, None


def _tiles(query_Hnd: Tensor, key_Gmd: Tensor, window: int | None) -> Iterator[_Tile]:
    """The queries in runs of about TILE_ROWS rows once folded, each with what its window shows it of the keys."""
    count, total = query_Hnd.shape[1], key_Gmd.shape[1]
    size = max(32, TILE_ROWS * len(key_Gmd) // len(query_Hnd))
    offset = total - count
    for start in range(0, count, size):
        stop = min(start + size, count)
        first = 0 if window is None else max(0, offset + start + 1 - window)
        columns = slice(first, offset + stop)
        position = torch.arange(offset + start, offset + stop, device=query_Hnd.device)[:, None]
        if window is not None and stop + offset > window:
            distance = position - torch.arange(first, columns.stop, device=query_Hnd.device)
            yield _Tile(slice(start, stop), columns, (distance < 0) | (distance >= window))
        else:
            corner = torch.arange(offset + start, offset + stop, device=query_Hnd.device)
            yield _Tile(slice(start, stop), columns, position < corner)


def _folded(tensor_Hnd: Tensor, groups: int, rows: slice, dtype: torch.dtype) -> Tensor:
    """The tile's rows with the heads that share a key head one below the other: shape ``(G, H/G * rows, d)``."""
    part = tensor_Hnd[:, rows].to(dtype, copy=True, memory_format=torch.contiguous_format)
    return part.view(groups, -1, part.shape[-1])


def _weights(
    folded: Tensor, keys: Tensor, sinks: Tensor | None, scoring: Scoring, tile: _Tile
) -> tuple[Tensor, Tensor | None]:
    """Attention weights of a tile (with the sinks' share as a last column), and the soft-cap's slope."""
    scores, bend = torch.bmm(folded, keys[:, tile.columns].transpose(1, 2)), None
    if scoring.softcap is not None:
        scores.div_(scoring.softcap).tanh_()
        bend = 1 - scores.square()
        scores.mul_(scoring.softcap)
    size, covered = tile.hidden.shape
    by_query = scores.view(-1, size, tile.width)
    by_query[..., tile.width - covered :].masked_fill_(tile.hidden, -torch.inf)
    if sinks is not None:
        column = sinks.to(scores.dtype)[:, None, None].expand(-1, size, 1).reshape(len(keys), -1, 1)
        scores = torch.cat([scores, column], -1)
    return torch.softmax(scores, -1), bend
