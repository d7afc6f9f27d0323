"""Pairs under the reference model: which side it finds more likely, per token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from penchant.doctor.rule import Finding, Record, Rule, Verdict
from penchant.doctor.swaps import strongly_rejected, swapped
from penchant.doctor.tokens import TokenExaminer, TokenRow
from penchant.logps import Group, choose_engine
from penchant.logps.passes import passes
from penchant.models import LoadedModel

_MAX_TOKENS = 4096


class _Pair(NamedTuple):
    """A pair as tokens, with its row's index in the list."""

    row: int
    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def group(self) -> Group:
        return self.prompt, [self.chosen, self.rejected]


class ReferenceExaminer:
    """The rules on log-probs, for one model: the first ``most`` pairs that fit are computed, all of them for 0;
    ``on_batch`` hears how many there were so far."""

    def __init__(
        self,
        loaded: LoadedModel,
        tokens: TokenExaminer,
        most: int = 0,
        on_batch: Callable[[int], None] = lambda pairs: None,
    ) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model, self._tokens, self._most = loaded.model.to(device).eval(), tokens, most
        self._engine = choose_engine(self._model, loaded.tokenizer.pad_token_id)
        self._on_batch = on_batch
        self._pairs = self._strongly = 0
        self._preferred = 0.0

    def see(self, rows: Sequence[Record]) -> Iterator[tuple[int, Rule, Finding]]:
        """Findings in some rows, each with the row's index; labelled answers have nothing to compare."""
        if self._most and self._pairs == self._most:
            return
        pairs = self._encode(rows)[: self._most - self._pairs if self._most else None]
        groups = [pair.group for pair in pairs]
        for places in passes(groups, max_tokens=_MAX_TOKENS, packed=self._engine.packed):
            part = [pairs[place] for place in places]
            for pair, gap in zip(part, self._gaps(part), strict=True):
                self._pairs += 1
                self._preferred += 1.0 if gap < 0 else 0.5 * (gap == 0)
                finding = strongly_rejected.check(gap)
                if finding is not None:
                    self._strongly += 1
                    yield pair.row, strongly_rejected, finding
            self._on_batch(self._pairs)

    @property
    def looked_at(self) -> dict[Rule, int]:
        """How many pairs were computed."""
        return {strongly_rejected: self._pairs}

    def close(self) -> Iterator[tuple[Rule, Verdict]]:
        """What all the pairs together say."""
        verdict = swapped.check(self._preferred, self._pairs, self._strongly)
        if verdict is not None:
            yield swapped, verdict

    def _encode(self, rows: Sequence[Record]) -> list[_Pair]:
        """Pairs within max_length with their indices; what does not become tokens has been reported already."""
        return [
            _Pair(index, row.fitted[0], *row.fitted[1])
            for index, row in self._tokens.tokenised(rows)
            if isinstance(row, TokenRow) and row.fitted is not None and len(row.fitted[1]) == 2
        ]

    @torch.no_grad()
    def _gaps(self, pairs: list[_Pair]) -> list[float]:
        """Mean log-prob per token of the rejected answer less that of the chosen one, in nats."""
        device = next(self._model.parameters()).device
        groups = [pair.group for pair in pairs]
        with self._engine.engaged(self._model):
            logps: list[float] = self._engine.logps(self._model, self._engine.lay_out(groups, device)).tolist()
        return [
            rejected / len(pair.rejected) - chosen / len(pair.chosen)
            for pair, chosen, rejected in zip(pairs, logps[::2], logps[1::2], strict=True)
        ]
