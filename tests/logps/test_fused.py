"""A packed row in one call of the fused kernel is the row answer by answer, in value and gradient."""

from __future__ import annotations

import pytest
import torch

from penchant.logps import attention
from penchant.logps.attention import packed_attention
from penchant.logps.causal import Scoring
from penchant.logps.fused import Unpacked, unpacked_attention
from penchant.logps.layout import PackedBatch

LAYOUTS = {
    "one pair": [(5, (4, 7))],
    "one-token prompt and answers": [(1, (1, 1)), (3, (1, 5))],
    "unlike lengths": [(9, (2, 3)), (2, (11, 1)), (4, (6, 6))],
    "lists and single answers": [(3, (4, 2, 5, 1)), (6, (3,))],
}


def spans_of(layout, shared=0):
    """Spans of prompts that begin with so many equal tokens."""
    groups = [
        ([0] * shared + [1 + place] * prompt, [[0] * n for n in answers])
        for place, (prompt, answers) in enumerate(layout)
    ]
    spans = PackedBatch.of(groups, device="cpu").spans
    assert len(groups) == 1 or spans[0].shared == shared
    return spans


def drawn(spans, heads, groups, dtype=torch.float64):
    count = spans[0].shared + sum(span.prompt + sum(span.answers) for span in spans)
    generator = torch.Generator().manual_seed(count)
    shapes = [(1, heads, count, 8), (1, groups, count, 8), (1, groups, count, 8)]
    return [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for s in shapes]


def slopes(out, tensors):
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape).to(out.dtype)
    return torch.autograd.grad((out * weights).sum(), tensors)


@pytest.mark.parametrize("shared", [0, 1, 8])
@pytest.mark.parametrize("heads, groups", [(2, 2), (6, 2)])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_one_call_equals_one_per_answer(layout, heads, groups, shared):
    spans = spans_of(layout, shared)
    tensors = drawn(spans, heads, groups)
    expected, _ = packed_attention(None, *tensors, None, scaling=0.35, spans=spans)
    found = unpacked_attention(*(t[0] for t in tensors), Scoring(0.35), Unpacked.of(spans, "cpu"))[None]
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    for one, other in zip(slopes(found, tensors), slopes(expected, tensors), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_half_precision_shares_key_heads():
    spans = spans_of(LAYOUTS["unlike lengths"])
    tensors = drawn(spans, 6, 2, torch.bfloat16)
    exact, _ = packed_attention(None, *(t.float() for t in tensors), None, scaling=0.35, spans=spans)
    found = unpacked_attention(*(t[0] for t in tensors), Scoring(0.35), Unpacked.of(spans, "cpu"))
    torch.testing.assert_close(found.float(), exact[0], rtol=2e-2, atol=2e-2)


def test_what_one_call_cannot_do_or_should_not():
    rows = Unpacked.of(spans_of([(5, (4, 7))]), "cpu")
    assert rows.serve(Scoring(1.0), None) and rows.serve(Scoring(1.0, window=11), None)
    assert not rows.serve(Scoring(1.0, window=10), None)  # the longest row is 5 + 6
    assert not rows.serve(Scoring(1.0, softcap=2.0), None)
    assert not rows.serve(Scoring(1.0), torch.zeros(2))
    assert not Unpacked.of(spans_of([(100, (2,) * 8)]), "cpu").serve(Scoring(1.0), None)  # the prompt eight times
    assert not Unpacked.of(spans_of([(100, (2,)), *[(2, (2,))] * 40]), "cpu").serve(
        Scoring(1.0), None
    )  # mostly padding
    assert Unpacked.of(spans_of([(5, (4, 7))] * 9, 100), "cpu").serve(Scoring(1.0), None)  # as if nothing was shared


@pytest.mark.parametrize("window, calls", [(None, 1), (4, 2)])
def test_accelerators_take_it_where_it_serves(monkeypatch, window, calls):
    """On the meta device, whose type is not a processor's: which function is called, and the shape it gives."""
    called = []
    for name in ("unpacked_attention", "fused_causal_attention"):
        real = getattr(attention, name)
        monkeypatch.setattr(attention, name, lambda *a, name=name, real=real: (called.append(name), real(*a))[1])
    spans = spans_of([(5, (4, 7))])
    tensors = [tensor.detach().to("meta") for tensor in drawn(spans, 6, 2)]
    out, _ = packed_attention(None, *tensors, None, sliding_window=window, spans=spans)
    assert out.shape == (1, 14, 6, 8)
    assert called == ["unpacked_attention" if window is None else "fused_causal_attention"] * calls
