"""The engine: the ways of computing log-probs, one interface. Which one a model gets is decided in choice.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from penchant.logps.attention import NATIVE, TILED
from penchant.logps.cached import CachedBatch, cached_logits
from penchant.logps.head import caught_hidden, head_caught
from penchant.logps.kernels import kernels_compiled
from penchant.logps.layout import Group, PackedBatch, Prompts
from penchant.logps.lean import lean_layers
from penchant.logps.plain import AnswerBatch, sum_by_row
from penchant.logps.predictions import FromHidden, FromLogits, Predictions

Batch: TypeAlias = PackedBatch | CachedBatch | AnswerBatch
Rows: TypeAlias = Literal["packed", "cached", "plain"]

_ROWS = {
    "packed": "packed rows, each prompt computed once",
    "cached": "each prompt computed once and kept as a key-value cache",
    "plain": "plain rows, one per answer",
}

_WRAPPERS = ("DistributedDataParallel", "DeepSpeedEngine")  # by name: DeepSpeed is not imported for this


@dataclass(frozen=True, slots=True)
class Engine:
    """Computes the log-probs of answers; every way gives one number per answer, group by group.

    Attributes:
        rows: ``packed``: several groups share a row and each prompt is computed once; ``cached``: each prompt is
            computed once and its answers go on from its key-value cache; ``plain``: one row per answer.
        streamed: Whether the log-probs are formed from the head tile by tile, with no logits kept.
        native: What the attention of packed rows was compiled for; empty where it is put together from products.
        reason: Why it is no faster, where it is not.
        pad_id: The padding token of plain rows.
    """

    rows: Rows = "plain"
    streamed: bool = False
    native: str = ""
    reason: str = ""
    pad_id: int = 0

    @property
    def packed(self) -> bool:
        return self.rows == "packed"

    @property
    def attention(self) -> str:
        """The name under which the model finds its attention; empty where it keeps its own."""
        return "" if not self.packed else NATIVE if self.native else TILED

    @property
    def description(self) -> str:
        """One clause for the run's summary."""
        parts = [_ROWS[self.rows], "head streamed" if self.streamed else "logits at answer tokens"]
        if self.native:
            parts.append(f"attention compiled for {self.native}")
        if kernels_compiled() and self != Engine(pad_id=self.pad_id):
            parts.append("element-wise parts compiled")
        checked = "" if self.rows == "plain" and not self.streamed else "; checked against plain rows on this model"
        return f"{'; '.join(parts)}{f' ({self.reason})' if self.reason else ''}{checked}"

    @property
    def computes(self) -> str:
        """What of this decides the last digits of a log-prob."""
        parts = {
            self.rows: True,
            "streamed head": self.streamed,
            f"attention for {self.native}": self.native,
            "compiled": kernels_compiled(),
        }
        return ", ".join(part for part, there in parts.items() if there)

    def lay_out(self, groups: Sequence[Group], device: Any) -> Batch:
        """Groups as tensors."""
        if self.rows == "packed":
            return PackedBatch.of(groups, device=device)
        if self.rows == "cached":
            return CachedBatch.of(groups, device=device)
        flat = [(prompt, answer) for prompt, answers in groups for answer in answers]
        return AnswerBatch.of([p for p, _ in flat], [a for _, a in flat], pad_id=self.pad_id, device=device)

    def token_logps(self, model: Any, batch: Batch) -> Tensor:
        """Log-prob of each answer token given what comes before it: nats, float32 or wider, shape ``(N,)``."""
        return self.predict(model, batch).token_logps(batch.target_N)

    def predict(self, model: Any, batch: Batch) -> Predictions:
        """What the model says at each of a batch's N answer tokens, for log-probs and for sums over the vocabulary.

        Answers follow one another as ``batch.row_N`` says. The model (wrapped as it may be for several processes) must
        be engaged, see :meth:`engaged`.
        """
        if isinstance(batch, PackedBatch):
            output = model(
                input_ids=batch.ids_1T,
                position_ids=batch.position_1T,
                logits_to_keep=batch.predict_N,
                spans=batch.spans,
                keep=batch.keep,
                after=batch.after,
                use_cache=False,
            )
            logits = output.logits[0]
        elif isinstance(batch, CachedBatch):
            logits = cached_logits(model, batch)
            logits = logits if self.streamed else logits[batch.predict_N]
        else:
            logits = model(
                input_ids=batch.ids_BT, attention_mask=batch.attention_BT, logits_to_keep=batch.keep_BT, use_cache=False
            ).logits
        if self.streamed:
            predict_N = batch.predict_N if isinstance(batch, CachedBatch) else None
            return FromHidden(*caught_hidden(base_model(model), predict_N))
        return FromLogits(logits)

    def logps(self, model: Any, batch: Batch) -> Tensor:
        """Log-prob of each answer given its prompt: nats, summed over its tokens in float64, shape ``(answers,)``."""
        return sum_by_row(self.token_logps(model, batch), batch.row_N, len(batch.lengths))

    def logps_aside(self, model: Any, batch: Batch, others: Sequence[Group]) -> tuple[Tensor, Tensor]:
        """Log-probs of a batch's answers, with a graph, and those of other answers to its prompts, without.

        On a CPU packed rows compute the prompts once for both: the others go on from their keys and values. They are
        given rows of their own on a GPU, which would wait for the calls that this takes, and with activation
        checkpointing, which keeps no keys and values.

        Args:
            model: The model, engaged.
            batch: Prompts with their answers.
            others: The same prompts with other answers.

        Returns:
            One number an answer each; nats, as :meth:`logps`.
        """
        device, prompts = batch.target_N.device, Prompts()
        recomputes = getattr(base_model(model), "is_activation_checkpointing", False)
        if isinstance(batch, PackedBatch) and device.type == "cpu" and not recomputes:
            logps = self.logps(model, replace(batch, keep=prompts))
            rest: Batch = PackedBatch.going_on(others, prompts, device=device)
        else:
            logps, rest = self.logps(model, batch), self.lay_out(others, device)
        with torch.no_grad():
            return logps, self.logps(model, rest)

    @contextmanager
    def engaged(self, *models: Any) -> Iterator[None]:
        """The models with the attention, layers and head this engine needs, for a forward pass and its backward."""
        with ExitStack() as stack:
            for base in {id(base): base for base in map(base_model, models)}.values():
                if self.attention:
                    stack.enter_context(_attention_on(base, self.attention))
                if self.packed or self.streamed:
                    stack.enter_context(lean_layers(base))
                if self.streamed:
                    stack.enter_context(head_caught(base))
            yield


@contextmanager
def _attention_on(model: Any, name: str) -> Iterator[None]:
    """The model with the attention of this name while the block runs, and with its own before and after."""
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def base_model(model: Any) -> Any:
    """The transformers model inside the wrappers of several processes and of an adapter."""
    model = model.module if type(model).__name__ in _WRAPPERS else model
    return model.get_base_model() if hasattr(model, "get_base_model") else model
