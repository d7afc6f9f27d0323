"""Causal attention in C (``causal.c``), made into a library by the machine's own C compiler when it is first wanted.

The library stays in the user's cache and is made again when its source, the compiler or the processor is another. It
is believed only after it has given what the matrix products of ``causal.py`` give.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from penchant.caches import user_cache
from penchant.logps.causal import Scoring, causal_attention

_SOURCES = tuple(Path(__file__).with_name(name) for name in ("causal.c", "products.h"))
_AVX512 = ("avx512f", "avx512bw", "avx512vl", "avx512dq", "fma")
_STRIDES = ("q_head", "q_row", "k_head", "k_row", "v_head", "v_row", "out_head", "out_row", "dq_head", "dq_row")
_SIZES = ("heads", "groups", "n", "m", "d", "window", "threads")
_NO_WINDOW = 1 << 40
_MOST_ERROR = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


class NoNativeAttention(RuntimeError):
    """Why there is no compiled attention here, or none for what is asked of it; as a short clause."""


class _Attention(ctypes.Structure):
    """``attention`` of causal.c."""

    _fields_ = (
        *((name, ctypes.c_long) for name in (*_SIZES, *_STRIDES)),
        *((name, ctypes.c_void_p) for name in ("q", "k", "v", "slope", "out", "dq", "dk", "dv")),
        ("scale", ctypes.c_float),
    )


@dataclass(frozen=True, slots=True)
class Build:
    """One way of compiling causal.c.

    Attributes:
        name: For people.
        dtype: The type of the numbers that it multiplies.
        lanes: float32 numbers in a vector.
        instructions: What the processor must have, as Linux names it.
    """

    name: str
    dtype: torch.dtype
    lanes: int
    instructions: tuple[str, ...]

    @property
    def flags(self) -> list[str]:
        kind = ["-DBFLOAT16"] if self.dtype == torch.bfloat16 else []
        return [f"-DLANES={self.lanes}", *kind, *(f"-m{name.replace('_', '')}" for name in self.instructions)]


BUILDS = (
    Build("AVX-512 with bfloat16", torch.bfloat16, 16, (*_AVX512, "avx512_bf16")),
    Build("AVX-512", torch.float32, 16, _AVX512),
    Build("AVX2", torch.float32, 8, ("avx2", "fma")),
)
"""From the fastest to the slowest. Halves are widened to float32 where there are no products of their own."""


@dataclass(frozen=True, slots=True)
class Library:
    """A build that was compiled, loaded and tried."""

    build: Build
    functions: ctypes.CDLL

    def run(self, name: str, problem: _Attention) -> None:
        if getattr(self.functions, name)(ctypes.byref(problem)):
            raise MemoryError(f"attention of {problem.n} queries and {problem.m} keys")


@lru_cache
def native_library(dtype: torch.dtype) -> Library:
    """The fastest compiled attention for numbers of this type on this processor.

    Raises:
        NoNativeAttention: if there is none, with the reason.
    """
    return load(_build_for(dtype, _instructions()))


def load(build: Build) -> Library:
    """A build, compiled if need be, loaded and tried.

    Raises:
        NoNativeAttention: if one of these fails.
    """
    try:
        library = Library(build, ctypes.CDLL(str(_compiled(build))))
    except OSError as error:
        raise NoNativeAttention(f"the compiled attention cannot be loaded: {error}") from error
    off = _error(library)
    if not off <= _MOST_ERROR[build.dtype]:
        raise NoNativeAttention(f"the compiled attention is off by {off:.1g} of its size")
    return library


def native_attention(
    query_Hnd: Tensor, key_Gmd: Tensor, value_Gmd: Tensor, scoring: Scoring, library: Library
) -> Tensor:
    """What :func:`penchant.logps.causal.causal_attention` computes, in shape ``(n, H, d)``.

    Raises:
        NoNativeAttention: if the scores are soft-capped.
    """
    if scoring.softcap is not None:
        raise NoNativeAttention("attention with soft-capped scores is not compiled")
    out: Tensor = _Native.apply(query_Hnd, key_Gmd, value_Gmd, scoring, library)
    return out


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scoring: Scoring, library: Library) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.scoring, ctx.library = scoring, library
        queries, keys, values = _rows(library.build, query, key, value)
        out = queries.new_empty(queries.shape[1], queries.shape[0], queries.shape[2])
        library.run("forward", _problem(queries, keys, values, out, scoring, out=out.data_ptr()))
        return out[..., : value.shape[2]].to(value.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope_nHd: Tensor) -> tuple[Tensor | None, ...]:
        saved, library = ctx.saved_tensors, ctx.library
        queries, keys, values, slope = _rows(library.build, *saved, slope_nHd)
        slope = slope.contiguous()
        d_query = torch.empty_like(queries)
        d_key, d_value = (torch.empty(tensor.shape, dtype=tensor.dtype) for tensor in (keys, values))
        gradients = {"dq": d_query, "dk": d_key, "dv": d_value}
        problem = _problem(
            queries,
            keys,
            values,
            slope,
            ctx.scoring,
            slope=slope.data_ptr(),
            dq_head=d_query.stride(0),
            dq_row=d_query.stride(1),
            **{name: tensor.data_ptr() for name, tensor in gradients.items()},
        )
        library.run("backward", problem)
        found = (
            tensor[..., : one.shape[2]].to(one.dtype) for tensor, one in zip(gradients.values(), saved, strict=True)
        )
        return *found, None, None


def _rows(build: Build, *tensors: Tensor) -> list[Tensor]:
    """Numbers of the build's type; all with the same channels, which fill whole vectors (0 behind their own)."""
    most = max(tensor.shape[2] for tensor in tensors)
    width = most + -most % build.lanes
    rows = []
    for tensor in (tensor.to(build.dtype) for tensor in tensors):
        wide = tensor if tensor.shape[2] == width else pad(tensor, (0, width - tensor.shape[2]))
        whole_words = wide.stride(2) == 1 and not any(stride % 2 for stride in wide.stride()[:2])
        rows.append(wide if whole_words else wide.contiguous())
    return rows


def _problem(query: Tensor, key: Tensor, value: Tensor, like: Tensor, scoring: Scoring, **others: int) -> _Attention:
    (heads, n, d), (groups, m, _) = query.shape, key.shape
    window = _NO_WINDOW if scoring.window is None else scoring.window
    sizes = zip(_SIZES, (heads, groups, n, m, d, window, torch.get_num_threads()), strict=True)
    strides = (*query.stride()[:2], *key.stride()[:2], *value.stride()[:2], like.stride(1), like.stride(0))
    problem = {**dict(sizes), **dict(zip(_STRIDES, strides, strict=False)), **others}
    places = {"q": query.data_ptr(), "k": key.data_ptr(), "v": value.data_ptr()}
    return _Attention(**problem, **places, scale=scoring.scale)


def _instructions() -> set[str]:
    """What this processor can do, as Linux names it."""
    if sys.platform != "linux":
        raise NoNativeAttention("attention is compiled on Linux only")
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return {word for line in lines if line.startswith("flags") for word in line.partition(":")[2].split()}


def _build_for(dtype: torch.dtype, instructions: set[str]) -> Build:
    types = {dtype, torch.float32} if dtype.itemsize <= 2 else {dtype}
    builds = [build for build in BUILDS if build.dtype in types]
    if not builds:
        raise NoNativeAttention(f"attention is not compiled for {str(dtype).removeprefix('torch.')}")
    for build in builds:
        if instructions.issuperset(build.instructions):
            return build
    raise NoNativeAttention("the processor has neither AVX-512 nor AVX2")


def _compiler() -> list[str]:
    """The C compiler that CC names, or the first of the usual ones."""
    if named := os.environ.get("CC"):
        return shlex.split(named)
    for name in ("gcc", "cc", "clang"):
        if shutil.which(name):
            return [name]
    raise NoNativeAttention("attention is not compiled: no C compiler")


def _compiled(build: Build) -> Path:
    """The library of a build, made now if it is not in the cache."""
    compiler = _compiler()
    options = ["-std=gnu11", "-O3", "-fPIC", "-fopenmp", *build.flags]
    made_of = [source.read_bytes() for source in _SOURCES]
    digest = hashlib.sha256(b"\0".join([*made_of, _run([*compiler, "--version"]), *(o.encode() for o in options)]))
    try:
        folder = user_cache()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        library = folder / f"attention-{digest.hexdigest()[:16]}.so"
        if not library.exists():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                object_file, made = Path(scratch, "causal.o"), Path(scratch, "causal.so")
                _run([*compiler, *options, "-c", str(_SOURCES[0]), "-o", str(object_file)])
                # linked without -fopenmp: the threads must be those of the OpenMP that PyTorch has loaded
                _run([*compiler, "-shared", str(object_file), "-o", str(made)])
                made.replace(library)
    except (OSError, RuntimeError) as error:
        if isinstance(error, NoNativeAttention):
            raise
        raise NoNativeAttention(f"the compiled attention cannot be kept: {error}") from error
    return library


def _run(command: list[str]) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except OSError as error:
        raise NoNativeAttention(f"the C compiler cannot be started: {error}") from error
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())[:120]
        raise NoNativeAttention(f"the C compiler fails: {said}") from error
    return done.stdout


def _error(library: Library) -> float:
    """How far values and gradients of a small problem are from those of matrix products, relative to their size."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((4, 75, 32), (2, 101, 32), (2, 101, 32), (75, 4, 32))
    query, key, value, slope = (torch.randn(shape, generator=generator).to(library.build.dtype) for shape in shapes)
    scoring = Scoring(32**-0.5, window=60)
    found: list[list[Tensor]] = []
    for exact in (False, True):
        q, k, v = ((t.double() if exact else t.clone()).requires_grad_() for t in (query, key, value))
        with torch.enable_grad():
            out = causal_attention(q, k, v, scoring) if exact else native_attention(q, k, v, scoring, library)
            found.append([out.detach(), *torch.autograd.grad(out, (q, k, v), slope.to(out.dtype))])
    errors = [(ours.double() - theirs).norm() / theirs.norm() for ours, theirs in zip(*found, strict=True)]
    return float(torch.stack(errors).max())
