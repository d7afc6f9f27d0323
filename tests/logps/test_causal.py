"""Tiled attention is PyTorch's attention in value and gradient, for every shape, window, soft-cap and sink."""

from __future__ import annotations

import pytest
import torch

from penchant.logps import causal
from penchant.logps.causal import Scoring, causal_attention
from penchant.logps.fused import fused_causal_attention

SHAPES = [(1, 1, 2, 1), (3, 9, 4, 2), (7, 7, 6, 2), (33, 33, 4, 4), (40, 97, 9, 3), (100, 130, 8, 1)]
SCORINGS = [
    Scoring(0.35),
    Scoring(0.35, window=5),
    Scoring(0.35, window=64),
    Scoring(0.35, softcap=1.5),
    Scoring(0.35, window=7, softcap=1.5),
]


def inputs(count, total, heads, groups, dtype, sinks):
    generator = torch.Generator().manual_seed(count * total)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    tensors = [draw(heads, count, 8), draw(groups, total, 8), draw(groups, total, 8)]
    return [*tensors, draw(heads) if sinks else None]


def value_and_slopes(attention, tensors, scoring):
    out = attention(*tensors[:3], scoring, tensors[3])
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape).to(out.dtype)
    return [out, *torch.autograd.grad((out * weights).sum(), [t for t in tensors if t is not None])]


@pytest.mark.parametrize("sinks", [False, True])
@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_tiles_equal_the_fused_kernel(monkeypatch, shape, scoring, sinks):
    monkeypatch.setattr(causal, "TILE_ROWS", 64)
    tensors = inputs(*shape, torch.float64, sinks)
    found, expected = (value_and_slopes(f, tensors, scoring) for f in (causal_attention, fused_causal_attention))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_derivatives_are_those_of_the_values():
    tensors = inputs(5, 9, 4, 2, torch.float64, True)
    scoring = Scoring(0.7, window=4, softcap=2.0)
    assert torch.autograd.gradcheck(lambda q, k, v, s: causal_attention(q, k, v, scoring, s), tensors)


def test_float32_scores_whatever_the_inputs_are():
    """In bfloat16 only inputs and outputs are rounded: the result is the float32 result, rounded once."""
    low = inputs(40, 97, 9, 3, torch.bfloat16, False)
    exact = causal_attention(*(t.float() for t in low[:3]), Scoring(0.35))
    assert torch.equal(causal_attention(*low[:3], Scoring(0.35)), exact.to(torch.bfloat16))


def test_large_scores_stay_finite():
    tensors = inputs(9, 9, 4, 2, torch.float32, False)
    found = value_and_slopes(causal_attention, [*(t * 1e4 for t in tensors[:3]), None], Scoring(1.0))
    assert all(torch.isfinite(tensor).all() for tensor in found)


def test_autocast_does_not_lower_the_scores():
    tensors = inputs(40, 97, 9, 3, torch.float32, False)
    expected = causal_attention(*tensors[:3], Scoring(0.35))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(causal_attention(*tensors[:3], Scoring(0.35)), expected)
