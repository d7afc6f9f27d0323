"""Which engine a model gets: the fastest that gives the log-probs and gradients of plain rows on that very model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, TypeAlias, get_args

import torch
from torch import Tensor

from penchant.errors import InputError, shorten
from penchant.logps.attention import NotPackable
from penchant.logps.engine import Engine, Rows, base_model
from penchant.logps.head import linear_head
from penchant.logps.layout import Group
from penchant.logps.native import NoNativeAttention, native_library
from penchant.logps.reference import Reference

_Found: TypeAlias = tuple[Tensor, Sequence[Tensor | None]]
_FAITHFUL = {"full_attention", "sliding_attention"}
_VALUE_TOLERANCE = {torch.float64: 1e-5, torch.float32: 2e-4}
_GRADIENT_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-3}
_LOW_PRECISION = 0.1
_PIECE = 1 << 20  # entries of a gradient that are compared at once
_TIERS: list[tuple[Rows, bool, bool]] = [
    ("packed", True, True),
    ("packed", False, True),
    *((rows, streamed, False) for rows in get_args(Rows) for streamed in (True, False)),
]
"""Ways of laying rows out, with the head streamed or not, the attention compiled or not; in the order of trying."""
_MAY_FAIL = {
    "packed": (NotPackable, TypeError),
    "cached": (TypeError, AttributeError, RuntimeError, ValueError),  # caches of many kinds, each with its own limits
    "plain": (TypeError,),
}


ENGINES = {
    "auto": _TIERS,
    "packed": _TIERS[0:4],
    "packed-tiled": _TIERS[2:4],
    "cached": _TIERS[4:6],
    "plain-streamed": _TIERS[6:7],
    "plain": _TIERS[7:8],
}
"""What may be asked for, and which ways it stands for; the first that holds is taken."""


def choose_engine(model: Any, pad_id: int, *, asked: str = "auto", reference: Reference | None = None) -> Engine:
    """The fastest engine that agrees with plain rows on this model, in values, gradients and independence.

    Packed rows come first, then a key-value cache, then plain rows; each with the head streamed and without. That is
    the order of speed on a CPU; on a GPU plain rows are faster where prompts are short.

    Args:
        model: The policy, in the state in which it will be trained.
        pad_id: The padding token of plain rows.
        asked: One of :data:`ENGINES`. ``packed`` and ``cached`` stream the head where the model allows it,
            ``plain-streamed`` always does, ``plain`` never. ``packed-tiled`` is ``packed`` without compiled attention.
        reference: One that switches something in the model while it computes: it has to agree with plain rows too.

    Raises:
        InputError: if what is asked for is unknown, or does not agree with plain rows on this model.
    """
    check_engine(asked)
    plain = Engine("plain", pad_id=pad_id)
    if asked == "plain":
        return dataclasses.replace(plain, reason="asked for")
    with adapters_at_rest(model):
        return _fastest(model, plain, asked, reference)


@contextmanager
def adapters_at_rest(model: Any) -> Iterator[None]:
    """The model without its adapters' dropout while the block runs: draws differ, and are no difference of models."""
    drawing = [module for name, module in model.named_modules() if ".lora_dropout" in name and module.training]
    try:
        for module in drawing:
            module.eval()
        yield
    finally:
        for module in drawing:
            module.train()


def _fastest(model: Any, plain: Engine, asked: str, reference: Reference | None) -> Engine:
    groups = _probe_groups(base_model(model).config)
    expected = _probe(model, plain, groups, reference)
    wanted = any(compiled for *_, compiled in ENGINES[asked])
    native, objection_to_native = _native(model) if wanted else ("", [])
    reasons = [] if asked == "auto" else ["asked for"]
    for rows, streamed, compiled in ENGINES[asked]:
        if compiled and not native:
            reasons += objection_to_native
            continue
        engine = Engine(rows, streamed, native if compiled else "", _told(reasons), plain.pad_id)
        if (rows, streamed) == ("plain", False):
            return engine
        objection = _static_objection(model, engine)
        objection = objection or _measured_objection(model, engine, groups, expected, reference)
        if objection is None:
            return engine
        reasons.append(objection)
    raise InputError(
        "this model cannot be computed as asked for",
        where="--engine",
        got=f"{asked}: {_told(reasons[1:])}",
        fix="Leave it at auto, which takes the fastest way that agrees with plain rows",
    )


def check_engine(asked: str) -> None:
    """See that there is an engine of this name.

    Raises:
        InputError: if there is none.
    """
    if asked not in ENGINES:
        raise InputError("no such engine", where="--engine", got=shorten(asked), fix=f"Known: {', '.join(ENGINES)}")


def _told(reasons: list[str]) -> str:
    """Each objection once, in order."""
    return "; ".join(dict.fromkeys(reasons))


def _native(model: Any) -> tuple[str, list[str]]:
    """What attention would be compiled for, or why it is not; neither where PyTorch has kernels of its own."""
    weight = base_model(model).get_input_embeddings().weight
    if weight.device.type != "cpu":
        return "", []
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else weight.dtype
    try:
        return native_library(dtype).build.name, []
    except NoNativeAttention as error:
        return "", [str(error)]


def _static_objection(model: Any, engine: Engine) -> str | None:
    """What is known against a way of computing before it is tried."""
    config = model.config.get_text_config()
    if engine.streamed and linear_head(base_model(model)) is None:
        return "the head is not a plain linear layer"
    if engine.rows == "packed":
        kinds = set(getattr(config, "layer_types", None) or ()) - _FAITHFUL
        if kinds:
            return f"layers of kind {', '.join(sorted(kinds))} carry state along the row"
        if getattr(config, "attention_chunk_size", None):
            return "attention in chunks"
        if any(name.startswith("mamba") for name in config.to_dict()):
            return "state-space layers carry state along the row"
    if engine.rows == "cached":
        if getattr(base_model(model), "is_activation_checkpointing", False):
            return "activation checkpointing drops key-value caches"
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return "several processes need one forward pass per step"
    return None


def _measured_objection(
    model: Any, engine: Engine, groups: list[Group], expected: _Found, reference: Reference | None
) -> str | None:
    """What two small forward passes and their gradients say against an engine."""
    try:
        with engine.engaged(model):
            if engine.packed and base_model(model).config._attn_implementation != engine.attention:
                return "the model does not take its attention from transformers' AttentionInterface"
            logps, slopes = _probe(model, engine, groups, reference)
            leaked = _leaks(model, engine, groups)
    except NoNativeAttention as error:
        return str(error)
    except _MAY_FAIL[engine.rows] as error:
        return f"{engine.rows} rows fail: {' '.join(str(error).split())[:120]}"
    dtype = next(model.parameters()).dtype
    gap = ((logps - expected[0]).abs() / (1 + expected[0].abs())).max().item()
    if not gap <= _VALUE_TOLERANCE.get(dtype, _LOW_PRECISION):
        return f"{engine.rows} log-probs differ from plain ones by {gap:.2g} of their size"
    slope_gap = _distance(slopes, expected[1])
    if not slope_gap <= _GRADIENT_TOLERANCE.get(dtype, _LOW_PRECISION):
        return f"{engine.rows} gradients differ from plain ones by {slope_gap:.2g} of their size"
    return "one answer's tokens change another's log-prob" if leaked else None


def _probe_groups(config: Any) -> list[Group]:
    """Two prompts that begin alike, with answers of unlike lengths, long enough to leave a small sliding window."""
    window = getattr(config, "sliding_window", None) or 0
    length = window + 3 if window <= 256 else 6
    generator = torch.Generator().manual_seed(0)
    vocabulary = config.get_text_config().vocab_size

    def draw(count: int) -> list[int]:
        tokens: list[int] = torch.randint(3, vocabulary, (count,), generator=generator).tolist()
        return tokens

    beginning = draw(2)
    return [
        (beginning + draw(length), [draw(7), draw(4)]),
        (beginning + draw(1), [draw(1), draw(length), draw(2)]),
    ]


def _distance(found: Sequence[Tensor | None], expected: Sequence[Tensor | None]) -> float:
    """The norm of the difference of two gradients by that of the second; piece by piece, to hold no third one."""
    apart = whole = 0.0
    for one, other in zip(found, expected, strict=True):
        if one is not None or other is not None:
            here, there = (torch.zeros(1) if slope is None else slope.flatten() for slope in (one, other))
            for ours, theirs in zip_longest(here.split(_PIECE), there.split(_PIECE), fillvalue=torch.zeros(1)):
                wide = theirs.float()
                apart += float((ours.float() - wide.to(ours.device)).norm()) ** 2
                whole += float(wide.norm()) ** 2
    return float((apart / whole) ** 0.5) if whole else math.inf


def _probe(model: Any, engine: Engine, groups: list[Group], reference: Reference | None) -> _Found:
    """Log-probs of the answers, of the last ones aside, and of all under a reference; the gradient of an uneven sum of
    the first by each trained weight.
    """
    device = next(model.parameters()).device
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    last = [(prompt, answers[-1:]) for prompt, answers in groups]
    batch = engine.lay_out(groups, device)
    logps, aside = engine.logps_aside(model, batch, last)
    found = [logps.detach(), aside, *([] if reference is None else [reference.logps(engine, batch)])]
    weights = torch.tensor([float((-1) ** index * (index + 1)) for index in range(len(logps))], device=device)
    slopes = torch.autograd.grad((weights * logps).sum(), trained, allow_unused=True)
    return torch.cat(found), slopes


@torch.no_grad()
def _leaks(model: Any, engine: Engine, groups: list[Group]) -> bool:
    """Whether another first answer changes any other answer's log-prob."""
    device = next(model.parameters()).device
    (prompt, (first, *rest)), *others = groups
    changed = [3 + (token + 1) % (model.config.get_text_config().vocab_size - 3) for token in first]
    before = engine.logps(model, engine.lay_out(groups, device))
    after = engine.logps(model, engine.lay_out([(prompt, [changed, *rest]), *others], device))
    tolerance = 1e-6 * (1 + before[1:].abs())
    return bool(((before - after)[1:].abs() > tolerance).any()) or bool(before[0] == after[0])
