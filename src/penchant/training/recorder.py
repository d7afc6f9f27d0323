"""From token rows to the record of log-probs that a loss asks for; the one place that runs policy and reference."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from penchant.logps import Batch, Engine, Group, Reference
from penchant.logps.plain import sum_by_row
from penchant.records import AnswerLogps, ListLogps, Logps, PairLogps, TokenAnswer, TokenList, TokenPair
from penchant.training.statistics import TokenView, needs_distribution, statistics

Rows = list[Any]


@dataclass(frozen=True, slots=True)
class Recorder:
    """What computes the log-probs of rows.

    Attributes:
        engine: The way of computing.
        reference: What gives the reference's log-probs, if the method has one.
        device: Where tensors go.
        precision: The context in which models are run: mixed precision, where it is on.
        asked: Statistics of tokens and of the vocabulary that the method names.
        draw: The number of the draw of random tokens.
    """

    engine: Engine
    reference: Reference | None
    device: Any
    precision: Callable[[], AbstractContextManager[Any]]
    asked: tuple[str, ...] = ()
    draw: int = 0

    def record(self, model: Any, rows: Rows, z_ref: Tensor) -> Logps:
        """What is known of rows of one kind, with the graph; ``z_ref`` is the baseline of single answers."""
        batch = self.lay_out([(row.prompt_ids, row.answers) for row in rows])
        if isinstance(rows[0], TokenPair):
            return self._pairs(model, rows, batch)
        if isinstance(rows[0], TokenList):
            return self._lists(model, rows, batch)
        return self._answers(model, rows, batch, z_ref)

    def mismatched(self, model: Any, rows: list[TokenAnswer], *, per_token: bool) -> Tensor:
        """Log-ratios of the answers that are set under other rows' prompts; nats, or nats per token."""
        batch = self.lay_out([(row.prompt_ids, [row.mismatched_ids]) for row in rows])
        ratios = self.logps(model, batch) - self.ref_logps(batch)
        return ratios / batch.lengths if per_token else ratios

    def gap(self, model: Any, rows: Rows) -> float:
        """Most nats by which policy and reference differ on the rows' first answers."""
        batch = self.lay_out([(row.prompt_ids, row.answers[:1]) for row in rows])
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

    def _pairs(self, model: Any, rows: list[TokenPair], batch: Batch) -> PairLogps:
        policy_N, reference_N, found = self._by_token(model, rows, batch) if self.asked else (None, None, {})
        by_pair = (len(rows), -1)
        policy = self.logps(model, batch) if policy_N is None else _summed(policy_N, batch)
        policy_w, policy_l, *gold = policy.view(by_pair).unbind(1)
        lengths_w, lengths_l, *gold_lengths = batch.lengths.view(by_pair).unbind(1)
        ref_w, ref_l = None, None
        if self.reference is not None:
            reference = self.ref_logps(batch) if reference_N is None else _summed(reference_N, batch)
            ref_w, ref_l, *_ = reference.view(by_pair).unbind(1)
        return PairLogps(
            policy_w,
            policy_l,
            ref_w,
            ref_l,
            lengths_w,
            lengths_l,
            self._numbers(rows),
            gold_logps=gold[0] if gold else None,
            gold_lengths=gold_lengths[0] if gold else None,
            statistics=found,
        )

    def _by_token(
        self, model: Any, rows: list[TokenPair], batch: Batch
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """Log-probs of tokens under policy and reference, and the statistics made of them."""
        with self.precision():
            reference, reference_N = None, None
            if self.reference is not None and needs_distribution(self.asked):
                reference = self.reference.predict(self.engine, batch)
                with torch.no_grad():
                    reference_N = reference.token_logps(batch.target_N)
            elif self.reference is not None:
                reference_N = self.reference.token_logps(self.engine, batch)
            policy = self.engine.predict(model, batch)
            policy_N = policy.token_logps(batch.target_N)
            view = TokenView(rows, batch, policy, policy_N, reference, reference_N, self.draw)
            return policy_N, reference_N, statistics(self.asked, view)

    def _answers(self, model: Any, rows: list[TokenAnswer], batch: Batch, z_ref: Tensor) -> AnswerLogps:
        policy = self.logps(model, batch)
        reference = self.ref_logps(batch) if self.reference else None
        labels = torch.tensor([row.label for row in rows], device=self.device)
        return AnswerLogps(policy, reference, batch.lengths, labels, z_ref, self._numbers(rows))

    def _lists(self, model: Any, rows: list[TokenList], batch: Batch) -> ListLogps:
        by_list = (len(rows), -1)
        policy = self.logps(model, batch).view(by_list)
        reference = self.ref_logps(batch).view(by_list) if self.reference else None
        scores = torch.tensor([row.scores for row in rows], dtype=torch.float64, device=self.device)
        return ListLogps(policy, reference, batch.lengths.view(by_list), scores, self._numbers(rows))

    def _numbers(self, rows: Rows) -> dict[str, Tensor]:
        """What the rows state, as tensors."""
        return {
            name: torch.tensor([row.numbers[name] for row in rows], dtype=torch.float64, device=self.device)
            for name in rows[0].numbers
        }


def _summed(logps_N: Tensor, batch: Batch) -> Tensor:
    return sum_by_row(logps_N, batch.row_N, len(batch.lengths))
