"""What a loss may ask of a pair's answers beside their summed log-probs: parts of them, and sums over the vocabulary.

Everything is one number per answer, made of one number per token. It is computed only when a method names it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penchant.logps import Batch, Predictions
from penchant.logps.plain import sum_by_row
from penchant.logps.store import address
from penchant.records import TokenPair
from penchant.vocabulary import TERMS

_SIDES = (("chosen", "w"), ("rejected", "l"))


@dataclass(frozen=True, slots=True)
class TokenView:
    """A batch of pairs, token by token. N counts the tokens of all answers, in the batch's order.

    Attributes:
        rows: The pairs.
        batch: As they were laid out.
        policy: The policy's predictions.
        policy_N: Log-probs of the tokens under the policy.
        reference: The reference's predictions, where its distribution is asked for.
        reference_N: Log-probs under the reference, where it has a part in what is asked.
        draw: The number of the draw of random tokens.
    """

    rows: Sequence[TokenPair]
    batch: Batch
    policy: Predictions
    policy_N: Tensor
    reference: Predictions | None
    reference_N: Tensor | None
    draw: int

    def per_answer(self, values_N: Tensor) -> Tensor:
        """Sums over each answer's tokens, float64, shape ``(pairs, answers)``."""
        sums = sum_by_row(values_N, self.batch.row_N, len(self.batch.lengths))
        return sums.view(len(self.rows), -1)

    @property
    def lengths(self) -> Tensor:
        """Tokens of each answer, shape ``(pairs, answers)``."""
        return self.batch.lengths.view(len(self.rows), -1)

    def ratio_N(self) -> Tensor:
        return self.policy_N - self.ref_N()

    def ref_N(self) -> Tensor:
        assert self.reference_N is not None, "asked for log-probs under the reference of a method without one"
        return self.reference_N

    def distribution(self) -> Predictions:
        assert self.reference is not None, "asked for the distribution of a method's reference that has none"
        return self.reference

    def weights_N(self, of_row: Callable[[TokenPair], list[list[float]]]) -> Tensor:
        """A factor for each token, answer by answer."""
        flat = [weight for row in self.rows for answer in of_row(row) for weight in answer]
        return torch.tensor(flat, dtype=torch.float64, device=self.policy_N.device)


def _shared(view: TokenView) -> Tensor:
    """1 for the tokens up to the shorter answer's length, 0 beyond."""

    def weights(row: TokenPair) -> list[list[float]]:
        least = _least(row)
        return [[1.0] * min(least, len(answer)) + [0.0] * (len(answer) - least) for answer in row.answers]

    return view.weights_N(weights)


def _sampled(view: TokenView) -> Tensor:
    """1 for as many random tokens of each answer as the shorter one has. The draw depends on the row and on nothing
    else of its batch, so that it is the same for policy and reference and for any cut of a step.
    """

    def weights(row: TokenPair) -> list[list[float]]:
        seed = int.from_bytes(address(row.prompt_ids, [*row.chosen_ids, *row.rejected_ids]), "big")
        generator, least, found = random.Random(seed + view.draw), _least(row), []  # noqa: S311 - no secret
        for answer in row.answers:
            kept = set(generator.sample(range(len(answer)), min(least, len(answer))))
            found.append([1.0 if index in kept else 0.0 for index in range(len(answer))])
        return found

    return view.weights_N(weights)


def _given(view: TokenView) -> Tensor:
    """The weights that the rows state; a third answer has none."""

    def weights(row: TokenPair) -> list[list[float]]:
        stated = map(list, row.token_weights or ())
        return [*stated, *([[0.0] * len(row.gold_ids)] if row.gold_ids else [])]

    return view.weights_N(weights)


def _least(row: TokenPair) -> int:
    return min(len(row.chosen_ids), len(row.rejected_ids))


def _entropy(view: TokenView) -> Tensor:
    reference = view.distribution()
    return view.per_answer(reference.spread().entropy_N) / view.lengths / math.log(reference.vocabulary)


_FAMILIES: dict[str, Callable[[TokenView], Tensor]] = {
    "policy_*_shared_logps": lambda view: view.per_answer(view.policy_N * _shared(view)),
    "ref_*_shared_logps": lambda view: view.per_answer(view.ref_N() * _shared(view)),
    "sampled_log_ratio_+": lambda view: view.per_answer(view.ratio_N() * _sampled(view)),
    "weighted_log_ratio_+": lambda view: view.per_answer(view.ratio_N() * _given(view)),
    "*_weighted_kl": lambda view: view.per_answer(view.policy.kl_to(view.distribution()) * _given(view)),
    "*_sequence_kl": lambda view: view.per_answer(view.policy.kl_from(view.distribution())),
    "*_mean_log_collision": lambda view: view.per_answer(view.policy.spread().log_collision_N) / view.lengths,
    "ref_*_mean_entropy": _entropy,
}


def _names(pattern: str) -> list[str]:
    return [pattern.replace("*", side).replace("+", short) for side, short in _SIDES]


KNOWN = tuple(name for pattern in _FAMILIES for name in _names(pattern))
"""Every statistic that can be computed, by the parameter name of a loss."""


def asked_of_tokens(inputs: Iterable[str]) -> tuple[str, ...]:
    """Those of a method's inputs that are statistics."""
    return tuple(name for name in inputs if name in KNOWN)


def needs_distribution(inputs: Iterable[str]) -> bool:
    """Whether the reference's whole distribution is asked for, not only its log-probs of tokens."""
    return any({"reference", "vocabulary statistics"} <= set(TERMS[name].needs) for name in inputs if name in KNOWN)


def statistics(asked: Sequence[str], view: TokenView) -> dict[str, Tensor]:
    """The statistics by parameter name, shape ``(pairs,)``; a gradient flows where the vocabulary says so."""
    found: dict[str, Tensor] = {}
    for pattern, compute in _FAMILIES.items():
        names = _names(pattern)
        if any(name in asked for name in names):
            by_answer = compute(view)
            found |= {name: by_answer[:, side] for side, name in enumerate(names) if name in asked}
    return found
