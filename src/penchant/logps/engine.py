"""The engine: which way log-probs are computed on a given model, decided by a check on that very model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from penchant.logps.attention import NAME, NotPackable
from penchant.logps.head import caught_logps, frozen_head, head_caught
from penchant.logps.layout import Group, PackedBatch
from penchant.logps.lean import lean_layers
from penchant.logps.plain import AnswerBatch, answer_logps, sum_by_row, sum_logps

_FAITHFUL = {"full_attention", "sliding_attention"}
_VALUE_TOLERANCE = {torch.float64: 1e-5, torch.float32: 2e-4}
_GRADIENT_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-3}
_LOW_PRECISION = 0.1


@dataclass(frozen=True, slots=True)
class Engine:
    """Computes the log-probs of answers, packed or one row each; both give one number per answer, group by group.

    Attributes:
        packed: Whether several groups share a row and each prompt is computed once.
        streamed: Whether a frozen head's log-probs are formed tile by tile, with no logits kept; only when packed.
        reason: Why it is no faster, where it is not.
        pad_id: The padding token of plain rows.
    """

    packed: bool
    streamed: bool = False
    reason: str = ""
    pad_id: int = 0

    @property
    def description(self) -> str:
        """One clause for the run's summary."""
        if not self.packed:
            return f"plain rows, one per answer ({self.reason})"
        head = "head streamed" if self.streamed else f"logits at answer tokens ({self.reason})"
        return f"packed rows, each prompt computed once; {head}; checked against plain rows on this model"

    def lay_out(self, groups: Sequence[Group], device: Any) -> PackedBatch | AnswerBatch:
        """Groups as tensors."""
        if self.packed:
            return PackedBatch.of(groups, device=device)
        flat = [(prompt, answer) for prompt, answers in groups for answer in answers]
        return AnswerBatch.of([p for p, _ in flat], [a for _, a in flat], pad_id=self.pad_id, device=device)

    def logps(self, model: Any, batch: PackedBatch | AnswerBatch) -> Tensor:
        """Log-prob of each answer given its prompt: nats, summed over its tokens, shape ``(answers,)``.

        The model (wrapped as it may be for several processes) must be engaged, see :meth:`engaged`.
        """
        if isinstance(batch, AnswerBatch):
            return answer_logps(model, batch)
        output = model(
            input_ids=batch.ids_1T,
            position_ids=batch.position_1T,
            logits_to_keep=batch.predict_N,
            spans=batch.spans,
            use_cache=False,
        )
        answers = len(batch.lengths)
        if self.streamed:
            return sum_by_row(caught_logps(_base(model), batch.target_N), batch.row_N, answers)
        return sum_logps(output.logits[0], batch.target_N, batch.row_N, answers)

    @contextmanager
    def engaged(self, *models: Any) -> Iterator[None]:
        """The models with the attention and head this engine needs, for a forward pass and its backward."""
        with ExitStack() as stack:
            for base in {id(base): base for base in map(_base, models)}.values() if self.packed else ():
                stack.enter_context(packed_attention_on(base))
                stack.enter_context(lean_layers(base))
                if self.streamed:
                    stack.enter_context(head_caught(base))
            yield


@contextmanager
def packed_attention_on(model: Any) -> Iterator[None]:
    """The model with packed attention while the block runs, and with its own before and after."""
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _base(model: Any) -> Any:
    """The transformers model inside the wrappers of several processes and of an adapter."""
    model = model.module if isinstance(model, torch.nn.parallel.DistributedDataParallel) else model
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def choose_engine(model: Any, pad_id: int, *, packing: bool = True) -> Engine:
    """The fastest engine that gives the log-probs and gradients of plain rows on this very model.

    Args:
        model: The policy, in the state in which it will be trained.
        pad_id: The padding token of plain rows.
        packing: False asks for plain rows.
    """
    if not packing:
        return Engine(False, reason="asked for", pad_id=pad_id)
    objection = _static_objection(model)
    if objection:
        return Engine(False, reason=objection, pad_id=pad_id)
    plain = Engine(False, pad_id=pad_id)
    groups = _probe_groups(_base(model).config)
    expected = _probe(model, plain, groups)
    streamed_objection = "the head is trained, or not a plain linear layer"
    if frozen_head(_base(model)) is not None:
        streamed = Engine(True, streamed=True, pad_id=pad_id)
        streamed_objection = _measured_objection(model, streamed, groups, expected) or ""
        if not streamed_objection:
            return streamed
    objection = _measured_objection(model, Engine(True), groups, expected)
    if objection is None:
        return Engine(True, reason=streamed_objection, pad_id=pad_id)
    return Engine(False, reason=objection, pad_id=pad_id)


def _static_objection(model: Any) -> str | None:
    """What the configuration says against packing."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ()) - _FAITHFUL
    if kinds:
        return f"layers of kind {', '.join(sorted(kinds))} carry state along the row"
    if getattr(config, "attention_chunk_size", None):
        return "attention in chunks"
    if any(name.startswith("mamba") for name in config.to_dict()):
        return "state-space layers carry state along the row"
    return None


def _measured_objection(model: Any, engine: Engine, groups: list[Group], expected: tuple[Tensor, Tensor]) -> str | None:
    """What two small forward passes and their gradients say against an engine."""
    try:
        with engine.engaged(model):
            if _base(model).config._attn_implementation != NAME:
                return "the model does not take its attention from transformers' AttentionInterface"
            logps, slopes = _probe(model, engine, groups)
            leaked = _leaks(model, engine, groups)
    except (NotPackable, TypeError) as error:
        return str(error)
    dtype = next(model.parameters()).dtype
    gap = ((logps - expected[0]).abs() / (1 + expected[0].abs())).max().item()
    if not gap <= _VALUE_TOLERANCE.get(dtype, _LOW_PRECISION):
        return f"packed log-probs differ from plain ones by {gap:.2g} of their size"
    slope_gap = ((slopes - expected[1]).norm() / expected[1].norm()).item()
    if not slope_gap <= _GRADIENT_TOLERANCE.get(dtype, _LOW_PRECISION):
        return f"packed gradients differ from plain ones by {slope_gap:.2g} of their size"
    return "one answer's tokens change another's log-prob" if leaked else None


def _probe_groups(config: Any) -> list[Group]:
    """Two prompts with answers of unlike lengths, long enough to leave a small sliding window."""
    window = getattr(config, "sliding_window", None) or 0
    length = window + 3 if window <= 256 else 6
    generator = torch.Generator().manual_seed(0)
    vocabulary = config.get_text_config().vocab_size

    def draw(count: int) -> list[int]:
        tokens: list[int] = torch.randint(3, vocabulary, (count,), generator=generator).tolist()
        return tokens

    return [(draw(length), [draw(7), draw(4)]), (draw(1), [draw(1), draw(length), draw(2)])]


def _probe(model: Any, engine: Engine, groups: list[Group]) -> tuple[Tensor, Tensor]:
    """Log-probs, and the gradient of an uneven sum of them by the trained weights, as one vector."""
    device = next(model.parameters()).device
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    logps = engine.logps(model, engine.lay_out(groups, device))
    weights = torch.tensor([float((-1) ** index * (index + 1)) for index in range(len(logps))], device=device)
    slopes = torch.autograd.grad((weights * logps).sum(), trained, allow_unused=True)
    return logps.detach(), torch.cat([slope.flatten().float() for slope in slopes if slope is not None])


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
