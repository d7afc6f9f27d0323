"""The plain truth: one right-padded row per answer, a float32 log-softmax at the answer's positions only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from penchant.logps.layout import Group


@dataclass(frozen=True, slots=True)
class AnswerBatch:
    """Answers as right-padded rows. Shapes: B rows, T positions, N answer tokens in all.

    Attributes:
        ids_BT: Prompt and answer without the answer's last token, which predicts nothing that is asked for.
        attention_BT: 1 at real tokens, 0 at padding.
        keep_BT: True where the hidden state predicts an answer token; N positions in all.
        target_N: The answer tokens, row by row.
        row_N: The row each of them belongs to.
        groups: What was laid out, one answer to a group.
    """

    ids_BT: Tensor
    attention_BT: Tensor
    keep_BT: Tensor
    target_N: Tensor
    row_N: Tensor
    groups: Sequence[Group]

    @classmethod
    def of(cls, prompts: Sequence[list[int]], answers: Sequence[list[int]], *, pad_id: int, device: Any) -> AnswerBatch:
        """Lay out prompts and answers, each at least one token long."""
        rows = [prompt + answer[:-1] for prompt, answer in zip(prompts, answers, strict=True)]
        width = max(map(len, rows))
        ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows], device=device)
        position = torch.arange(width, device=device)
        lengths = torch.tensor([len(row) for row in rows], device=device)[:, None]
        starts = torch.tensor([len(prompt) for prompt in prompts], device=device)[:, None]
        counts = torch.tensor([len(answer) for answer in answers], device=device)
        return cls(
            ids_BT=ids,
            attention_BT=(position < lengths).long(),
            keep_BT=(position >= starts - 1) & (position < lengths),
            target_N=torch.tensor([token for answer in answers for token in answer], device=device),
            row_N=torch.repeat_interleave(torch.arange(len(rows), device=device), counts),
            groups=[(prompt, [answer]) for prompt, answer in zip(prompts, answers, strict=True)],
        )

    @property
    def lengths(self) -> Tensor:
        """Tokens per answer, shape ``(B,)``."""
        return torch.bincount(self.row_N, minlength=self.ids_BT.shape[0])


def answer_logps(model: Any, batch: AnswerBatch) -> Tensor:
    """Log-prob of each answer given its prompt: nats, summed over its tokens, shape ``(B,)``.

    The head is applied at the N positions that predict an answer token, so no logits exist for the prompt or padding.
    Each token's log-prob is taken in float32 (float64 for a float64 model) and summed in float64, because what matters
    later is the small difference of two large sums.
    """
    output = model(
        input_ids=batch.ids_BT, attention_mask=batch.attention_BT, logits_to_keep=batch.keep_BT, use_cache=False
    )
    return sum_by_row(token_logps(output.logits, batch.target_N), batch.row_N, batch.ids_BT.shape[0])


def token_logps(logits_NV: Tensor, target_N: Tensor) -> Tensor:
    """Log-softmax at the targets, float32 or wider; shape ``(N,)``."""
    assert logits_NV.shape[0] == target_N.shape[0], "the model did not honour logits_to_keep"
    exact_NV = logits_NV if logits_NV.dtype == torch.float64 else logits_NV.float()
    return -torch.nn.functional.cross_entropy(exact_NV, target_N, reduction="none")


def sum_by_row(logp_N: Tensor, row_N: Tensor, rows: int) -> Tensor:
    """Token log-probs summed by row, in float64; shape ``(rows,)``."""
    wide = torch.float32 if logp_N.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    sums = torch.zeros(rows, dtype=wide, device=logp_N.device)
    return sums.index_add(0, row_N, logp_N.to(wide))
