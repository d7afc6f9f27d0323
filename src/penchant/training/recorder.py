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

    def record(self, model: Any, rows: Rows, z_ref: Tensor, reference: Tensor | None = None) -> Logps:
        """What is known of rows of one kind, with the graph.

        Args:
            model: The policy.
            rows: The rows.
            z_ref: The baseline of single answers.
            reference: The reference's log-probs, answer by answer, where they are known.
        """
        batch = self.lay_out([(row.prompt_ids, row.answers) for row in rows])
        if self.asked and isinstance(rows[0], TokenPair):
            policy, reference, found = self._by_token(model, rows, batch)
            return self._pairs(rows, batch, policy, reference, found)
        policy = self.logps(model, batch)
        if reference is None and self.reference is not None:
            reference = self.ref_logps(batch)
        if isinstance(rows[0], TokenPair):
            return self._pairs(rows, batch, policy, reference, {})
        if isinstance(rows[0], TokenList):
            return self._lists(rows, batch, policy, reference)
        return self._answers(rows, batch, policy, reference, z_ref)

    def again(self, model: Any, rows: Rows, record: Logps) -> Logps:
        """A record made a second time, with the graph; the reference's log-probs are those of the first."""
        z_ref = record.z_ref if isinstance(record, AnswerLogps) else torch.zeros((), device=self.device)
        return self.record(model, rows, z_ref, None if self.asked else _by_answer(record))

    @torch.no_grad()
    def mismatched(self, model: Any, rows: list[TokenAnswer], *, per_token: bool) -> tuple[Tensor, Tensor]:
        """Log-ratios of the answers that are set under other rows' prompts; nats, or nats per token. And the
        reference's log-probs of the rows' own answers, which take the same pass over the prompts.
        """
        batch = self.lay_out([(row.prompt_ids, [row.mismatched_ids]) for row in rows])
        own, reference = self._ref_both(rows)
        ratios = self.logps(model, batch) - reference
        return ratios / batch.lengths if per_token else ratios, own

    def with_mismatched(self, model: Any, rows: list[TokenAnswer], *, per_token: bool) -> tuple[AnswerLogps, Tensor]:
        """What is known of the rows but for the baseline, with the graph, and the log-ratios of :meth:`mismatched`:
        each prompt goes through policy and reference once.
        """
        batch = self.lay_out([(row.prompt_ids, row.answers) for row in rows])
        others = [(row.prompt_ids, [row.mismatched_ids]) for row in rows]
        with self.precision():
            policy, aside = self.engine.logps_aside(model, batch, others)
        own, reference = self._ref_both(rows)
        ratios = aside - reference
        lengths = torch.tensor([len(row.mismatched_ids) for row in rows], device=self.device)
        record = self._answers(rows, batch, policy, own, torch.zeros((), device=self.device))
        return record, ratios / lengths if per_token else ratios

    def _ref_both(self, rows: list[TokenAnswer]) -> tuple[Tensor, Tensor]:
        """The reference's log-probs of the rows' own answers and of their mismatched ones."""
        batch = self.lay_out([(row.prompt_ids, [row.completion_ids, row.mismatched_ids]) for row in rows])
        own, reference = self.ref_logps(batch).view(-1, 2).unbind(1)
        return own, reference

    @torch.no_grad()
    def gap(self, model: Any, rows: Rows) -> float:
        """Most nats by which policy and reference differ on the rows' first answers."""
        batch = self._first(rows)
        return float((self.logps(model, batch) - self.ref_logps(batch)).abs().max())

    @torch.no_grad()
    def unrest(self, model: Any, rows: Rows) -> float:
        """Most nats by which the policy differs from itself, asked twice, on the rows' first answers."""
        batch = self._first(rows)
        return float((self.logps(model, batch) - self.logps(model, batch)).abs().max())

    def _first(self, rows: Rows) -> Batch:
        return self.lay_out([(row.prompt_ids, row.answers[:1]) for row in rows])

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

    def _pairs(
        self, rows: list[TokenPair], batch: Batch, policy: Tensor, reference: Tensor | None, found: dict[str, Tensor]
    ) -> PairLogps:
        by_pair = (len(rows), -1)
        policy_w, policy_l, *gold = policy.view(by_pair).unbind(1)
        lengths_w, lengths_l, *gold_lengths = batch.lengths.view(by_pair).unbind(1)
        ref_w, ref_l = (None, None) if reference is None else reference.view(by_pair).unbind(1)[:2]
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
        """Log-probs of answers under policy and reference, and the statistics made of those of tokens."""
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
            found = statistics(self.asked, view)
            return _summed(policy_N, batch), None if reference_N is None else _summed(reference_N, batch), found

    def _answers(
        self, rows: list[TokenAnswer], batch: Batch, policy: Tensor, reference: Tensor | None, z_ref: Tensor
    ) -> AnswerLogps:
        labels = torch.tensor([row.label for row in rows], device=self.device)
        return AnswerLogps(policy, reference, batch.lengths, labels, z_ref, self._numbers(rows))

    def _lists(self, rows: list[TokenList], batch: Batch, policy: Tensor, reference: Tensor | None) -> ListLogps:
        by_list = (len(rows), -1)
        policy, reference = policy.view(by_list), None if reference is None else reference.view(by_list)
        scores = torch.tensor([row.scores for row in rows], dtype=torch.float64, device=self.device)
        return ListLogps(policy, reference, batch.lengths.view(by_list), scores, self._numbers(rows))

    def _numbers(self, rows: Rows) -> dict[str, Tensor]:
        """What the rows state, as tensors."""
        return {
            name: torch.tensor([row.numbers[name] for row in rows], dtype=torch.float64, device=self.device)
            for name in rows[0].numbers
        }


def _by_answer(record: Logps) -> Tensor | None:
    """The reference's log-probs of a record, one answer after another."""
    if isinstance(record, AnswerLogps):
        known: Tensor | None = record.ref_logps
    elif isinstance(record, ListLogps):
        known = record.ref_list_logps
    else:
        pair = (record.ref_chosen_logps, record.ref_rejected_logps)
        known = None if pair[0] is None else torch.stack(pair, 1)
    return None if known is None else known.flatten()


def _summed(logps_N: Tensor, batch: Batch) -> Tensor:
    return sum_by_row(logps_N, batch.row_N, len(batch.lengths))
