"""Compiled attention is tiled attention in value and gradient, for every build that this processor can run."""

from __future__ import annotations

import stat

import pytest
import torch
from tests_support import has_native_attention, tiny_llama

from penchant.logps import choose_engine, native
from penchant.logps.causal import Scoring, causal_attention
from penchant.logps.native import BUILDS, NoNativeAttention, native_attention, native_library

SHAPES = [(1, 1, 2, 1, 32), (3, 9, 4, 2, 8), (48, 48, 6, 2, 64), (49, 146, 3, 3, 80), (97, 97, 9, 3, 16)]
SCORINGS = [Scoring(0.35), Scoring(0.35, window=1), Scoring(0.35, window=5), Scoring(0.35, window=64)]


def libraries():
    """All builds; skipped without a compiler or the instructions, an error where one fails all the same."""
    missing, here = "no C compiler, or not Linux", set()
    if has_native_attention():
        missing, here = "not on this processor", native._instructions()
    return [
        pytest.param(native.load(build), id=build.name)
        if here.issuperset(build.instructions)
        else pytest.param(None, id=build.name, marks=pytest.mark.skip(reason=missing))
        for build in BUILDS
    ]


LIBRARIES = libraries()
every_library = pytest.mark.parametrize("library", LIBRARIES)


def inputs(count, total, heads, groups, channels, dtype):
    """Queries, keys and values as models give them (all heads of a position together), and a slope of the output."""
    generator = torch.Generator().manual_seed(count * total)

    def draw(length, heads):
        drawn = torch.randn(length, heads * channels, generator=generator, dtype=torch.float64).to(dtype)
        return drawn.view(length, heads, channels)

    tensors = [draw(count, heads), draw(total, groups), draw(total, groups)]
    return [tensor.transpose(0, 1) for tensor in tensors], draw(count, heads)


def value_and_slopes(attend, tensors, slope):
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    out = attend(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, slope.to(out.dtype))]


def distance(found, exact):
    return float((found.double() - exact).norm() / (1e-30 + exact.norm()))


@every_library
@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_tiles(library, shape, scoring):
    tensors, slope = inputs(*shape, library.build.dtype)
    found = value_and_slopes(lambda *t: native_attention(*t, scoring, library), tensors, slope)
    exact = value_and_slopes(lambda *t: causal_attention(*t, scoring), [t.double() for t in tensors], slope.double())
    limit = 2e-6 if library.build.dtype == torch.float32 else 6e-3
    for one, other in zip(found, exact, strict=True):
        assert one.shape == other.shape
        if other.norm() > 1e-9:  # one key that is seen alone has no slope
            assert distance(one, other) < limit


@every_library
def test_the_result_is_the_same_on_any_number_of_threads_and_every_time(library):
    tensors, slope = inputs(97, 130, 6, 3, 32, library.build.dtype)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 1, 3, 3, 8):
            torch.set_num_threads(threads)
            found.append(value_and_slopes(lambda *t: native_attention(*t, Scoring(0.2), library), tensors, slope))
    finally:
        torch.set_num_threads(before)
    for first, second in ((0, 1), (2, 3)):
        assert all(torch.equal(one, other) for one, other in zip(found[first], found[second], strict=True))
    for other in found[1:]:  # keys' and values' slopes are sums over threads
        assert all(torch.equal(found[0][place], other[place]) for place in (0, 1))
        assert all(distance(other[place], found[0][place].double()) < 5e-3 for place in (2, 3))


@every_library
@pytest.mark.parametrize("place", range(3))
def test_nothing_later_is_seen_and_nan_is_not_hidden(library, place):
    tensors, _ = inputs(60, 60, 2, 1, 32, library.build.dtype)
    before = native_attention(*tensors, Scoring(0.2), library)
    tensors[place][:, 30] += 1
    after = native_attention(*tensors, Scoring(0.2), library)
    assert torch.equal(before[:30], after[:30])
    assert not torch.equal(before[30:], after[30:])
    tensors[place][:, 30] = torch.nan
    assert native_attention(*tensors, Scoring(0.2), library)[30].isnan().all()


@every_library
def test_a_second_derivative_is_refused_and_not_zero(library):
    tensors, _ = inputs(5, 5, 2, 1, 16, library.build.dtype)
    query, *others = (tensor.detach().requires_grad_() for tensor in tensors)
    (slope,) = torch.autograd.grad(
        native_attention(query, *others, Scoring(0.2), library).square().sum(), query, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


@every_library
def test_large_scores_stay_finite(library):
    tensors, slope = inputs(9, 9, 4, 2, 16, library.build.dtype)
    found = value_and_slopes(lambda *t: native_attention(*t, Scoring(1.0), library), [t * 1e4 for t in tensors], slope)
    assert all(torch.isfinite(tensor).all() for tensor in found)


@every_library
def test_rounding_in_bfloat16_is_of_the_size_of_the_output_s(library):
    """Rounded weights add to the rounding of the output, and do not drown it."""
    tensors, slope = inputs(97, 97, 9, 3, 64, torch.bfloat16)
    exact = value_and_slopes(lambda *t: causal_attention(*t, Scoring(0.125)), [t.double() for t in tensors], slope)
    tiled = value_and_slopes(lambda *t: causal_attention(*t, Scoring(0.125)), tensors, slope)
    found = value_and_slopes(lambda *t: native_attention(*t, Scoring(0.125), library), tensors, slope)
    assert all(tensor.dtype == torch.bfloat16 for tensor in found)
    most = 1.6 if library.build.dtype == torch.bfloat16 else 1.01
    for one, other, truth in zip(found, tiled, exact, strict=True):
        assert distance(one, truth) <= most * distance(other, truth)


def test_what_is_not_compiled_is_said():
    with pytest.raises(NoNativeAttention, match="not compiled for float64"):
        native_library(torch.float64)
    with pytest.raises(NoNativeAttention, match="neither AVX-512 nor AVX2"):
        native._build_for(torch.float32, {"sse2"})
    assert native._build_for(torch.float16, {"avx2", "fma"}).name == "AVX2"
    assert native._build_for(torch.bfloat16, {*BUILDS[1].instructions}).name == "AVX-512"
    tensors, _ = inputs(5, 5, 2, 1, 16, torch.float32)
    with pytest.raises(NoNativeAttention, match="soft-capped"):
        native_attention(*tensors, Scoring(0.2, softcap=3.0), None)


def a_compiler(folder, does):
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.skipif(not any(param.values[0] for param in LIBRARIES), reason="nothing is compiled here")
@pytest.mark.parametrize(
    ("does", "said"),
    [
        (None, "the C compiler cannot be started"),
        ("echo no space >&2; exit 1", "the C compiler fails: no space"),
        ('for file; do true; done; case "$file" in *.so) : > "$file";; esac', "cannot be loaded"),
        ("exit 0", "cannot be kept"),
        ('exec cc "$@"', ""),
    ],
)
def test_a_compiler_that_fails_leaves_the_tiles_and_says_so(tmp_path, monkeypatch, does, said):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", a_compiler(tmp_path, does) if does else str(tmp_path / "none"))
    native_library.cache_clear()
    try:
        engine = choose_engine(tiny_llama(64), 0)
    finally:
        native_library.cache_clear()
    assert engine.packed
    assert bool(engine.native) == (said == "")
    assert said in engine.reason


@pytest.mark.skipif(not any(param.values[0] for param in LIBRARIES), reason="nothing is compiled here")
def test_a_library_that_is_wrong_is_not_believed(tmp_path, monkeypatch):
    folder = tmp_path / "sources"
    folder.mkdir()
    for source in native._SOURCES:
        (folder / source.name).write_text(source.read_text().replace("t->scale", "1.01f * t->scale"))
    monkeypatch.setattr(native, "_SOURCES", tuple(folder / source.name for source in native._SOURCES))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native_library.cache_clear()
    try:
        with pytest.raises(NoNativeAttention, match=r"off by .* of its size"):
            native_library(torch.float32)
        (tmp_path / "penchant").rename(tmp_path / "before")
        (tmp_path / "penchant").write_text("a file where the cache should be")
        with pytest.raises(NoNativeAttention, match="cannot be kept"):
            native_library(torch.float32)
    finally:
        native_library.cache_clear()
