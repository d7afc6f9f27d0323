"""From token rows to the record of log-probs that a loss asks for; the one place that runs policy and reference."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from penchant.logps import Batch, Engine, Group, Reference
from penchant.records import AnswerLogps, PairLogps, TokenAnswer, TokenPair

Record = PairLogps | AnswerLogps
Rows = list[Any]


@dataclass(frozen=True, slots=True)
class Recorder:
    """What computes the log-probs of rows.

    Attributes:
        engine: The way of computing.
        reference: What gives the reference's log-probs, if the method has one.
        device: Where tensors go.
        precision: The context in which models are run: mixed precision, where it is on.
    """

    engine: Engine
    reference: Reference | None
    device: Any
    precision: Callable[[], AbstractContextManager[Any]]

    def record(self, model: Any, rows: Rows, z_ref: Tensor) -> Record:
        """What is known of rows of one kind, with the graph; ``z_ref`` is the baseline of single answers."""
        return self._pairs(model, rows) if isinstance(rows[0], TokenPair) else self._answers(model, rows, z_ref)

    def mismatched(self, model: Any, rows: list[TokenAnswer], *, per_token: bool) -> Tensor:
        """Log-ratios of the answers that are set under other rows' prompts; nats, or nats per token."""
        batch = self.lay_out([(row.prompt_ids, [row.mismatched_ids]) for row in rows])
        ratios = self.logps(model, batch) - self.ref_logps(batch)
        return ratios / batch.lengths if per_token else ratios

    def gap(self, model: Any, rows: Rows) -> float:
        """Most nats by which policy and reference differ on the rows' first answers."""
        batch = self.lay_out([(row.prompt_ids, [first_answer(row)]) for row in rows])
        with torch.no_grad():
            return float((self.logps(model, batch) - self.ref_logps(batch)).abs().max())

    def lay_out(self, groups: list[Group]) -> Batch:
        return self.engine.lay_out(groups, self.device)

    def logps(self, model: Any, batch: Batch) -> Tensor:
        with self.precision():
            return self.engine.logps(model, batch)

    def ref_logps(self, batch: Batch) -> Tensor:
        assert self.reference is not None, "asked for the reference of a method without one"
        with self.precision():
            return self.reference.logps(self.engine, batch)

    def engaged(self, model: Any) -> AbstractContextManager[None]:
        """Policy and reference with what the engine puts into them, for a forward pass and its backward."""
        return self.engine.engaged(*([model] if self.reference is None else [model, self.reference.model]))

    def _pairs(self, model: Any, rows: list[TokenPair]) -> PairLogps:
        batch = self.lay_out([(row.prompt_ids, [row.chosen_ids, row.rejected_ids]) for row in rows])
        policy_w, policy_l = self.logps(model, batch).view(-1, 2).unbind(1)
        ref_w, ref_l = self.ref_logps(batch).view(-1, 2).unbind(1) if self.reference else (None, None)
        lengths_w, lengths_l = batch.lengths.view(-1, 2).unbind(1)
        return PairLogps(policy_w, policy_l, ref_w, ref_l, lengths_w, lengths_l, self._numbers(rows))

    def _answers(self, model: Any, rows: list[TokenAnswer], z_ref: Tensor) -> AnswerLogps:
        batch = self.lay_out([(row.prompt_ids, [row.completion_ids]) for row in rows])
        policy = self.logps(model, batch)
        reference = self.ref_logps(batch) if self.reference else None
        labels = torch.tensor([row.label for row in rows], device=self.device)
        return AnswerLogps(policy, reference, batch.lengths, labels, z_ref, self._numbers(rows))

    def _numbers(self, rows: Rows) -> dict[str, Tensor]:
        """What the rows state, as tensors."""
        return {
            name: torch.tensor([row.numbers[name] for row in rows], dtype=torch.float64, device=self.device)
            for name in rows[0].numbers
        }


def first_answer(row: TokenPair | TokenAnswer) -> list[int]:
    """The chosen answer of a pair, or the answer."""
    return row.chosen_ids if isinstance(row, TokenPair) else row.completion_ids
