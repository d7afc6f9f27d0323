"""Answers after a prompt that is computed once and kept as a differentiable key-value cache.

For models whose attention cannot be packed: nothing of the model is replaced, each answer goes through on its own copy
of the prompt's cache, and gradients flow back through the cache into the prompt.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from penchant.logps.layout import Group, flatten


@dataclass(frozen=True, slots=True)
class CachedBatch:
    """Prompts with their answers, to be run one prompt at a time.

    Attributes:
        prompts: Token ids of each prompt, shape ``(1, P)``.
        answers: For each prompt, the token ids of its answers without their last token, each ``(1, A - 1)``.
        predict_N: Where, among all positions whose logits are made, the one is that predicts each answer token.
        target_N: All answer tokens in order.
        row_N: The answer that each belongs to.
        lengths: Tokens per answer, shape ``(answers,)``.
        groups: What was laid out.
    """

    prompts: tuple[Tensor, ...]
    answers: tuple[tuple[Tensor, ...], ...]
    predict_N: Tensor
    target_N: Tensor
    row_N: Tensor
    lengths: Tensor
    groups: Sequence[Group]

    @classmethod
    def of(cls, groups: Sequence[Group], *, device: Any) -> CachedBatch:
        """Lay groups out."""

        def row(ids: list[int]) -> Tensor:
            return torch.tensor([ids], device=device, dtype=torch.long)

        predict: list[int] = []
        made = 0
        for _, answers in groups:
            last, made = made, made + 1
            for answer in answers:
                predict += [last, *range(made, made + len(answer) - 1)]
                made += len(answer) - 1
        return cls(
            tuple(row(prompt) for prompt, _ in groups),
            tuple(tuple(row(answer[:-1]) for answer in answers) for _, answers in groups),
            torch.tensor(predict, device=device),
            *flatten(groups, device),
            groups,
        )


def cached_logits(model: Any, batch: CachedBatch) -> Tensor:
    """Logits at each prompt's last position and all positions of its answers, prompt by prompt; see ``predict_N``."""
    pieces: list[Tensor] = []
    for prompt, answers in zip(batch.prompts, batch.answers, strict=True):
        start = model(input_ids=prompt, use_cache=True, logits_to_keep=1)
        pieces.append(start.logits[0, -1:])
        for answer in answers:
            if answer.shape[1]:
                branch = _branch(start.past_key_values)
                pieces.append(model(input_ids=answer, past_key_values=branch, use_cache=True).logits[0])
    return torch.cat(pieces)


def _branch(cache: Any) -> Any:
    """A cache that can be extended without changing the other; both share the prompt's tensors."""
    branch = copy.copy(cache)
    branch.layers = [copy.copy(layer) for layer in cache.layers]
    return branch
