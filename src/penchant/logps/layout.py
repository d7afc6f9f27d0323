"""Several prompts with their answers in one row, each prompt once: ``[p c r | p c r | ...]``.

What all prompts begin with, a system prompt for instance, stands once before them: ``[s | p c r | p c r | ...]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

Group: TypeAlias = tuple[list[int], Sequence[list[int]]]
"""A prompt's token ids and the token ids of each answer to it; none is empty."""

Prompts: TypeAlias = dict[Any, list[tuple[Tensor, Tensor]]]
"""Keys and values of a row's prompts, all but their last position, by the attention layer that made them."""


@dataclass(frozen=True, slots=True)
class Span:
    """One group in the row.

    Attributes:
        start: Where it starts.
        prompt: Positions of its prompt, without those that stand once for all prompts.
        answers: Positions that each answer takes.
        shared: Positions at the row's beginning that its prompt begins with.
    """

    start: int
    prompt: int
    answers: tuple[int, ...]
    shared: int = 0

    @property
    def whole_prompt(self) -> int:
        return self.shared + self.prompt


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Groups as one row of T positions. An answer's last token predicts nothing and is left out of the row.

    Attributes:
        ids_1T: The tokens.
        position_1T: Their positions: every answer goes on from its prompt's end.
        spans: What attention has to know; all groups have the same shared beginning.
        predict_N: The position whose hidden state predicts each answer token; an answer's first token is predicted by
            the prompt's last position, which every answer shares.
        target_N: The answer tokens.
        row_N: The answer that each belongs to, counted through the groups.
        lengths: Tokens per answer, shape ``(answers,)``.
        groups: What was laid out.
        keep: Where the prompts' keys and values are to be left for a row that goes on from them.
        after: What an earlier row left there, if this one goes on from it.
    """

    ids_1T: Tensor
    position_1T: Tensor
    spans: tuple[Span, ...]
    predict_N: Tensor
    target_N: Tensor
    row_N: Tensor
    lengths: Tensor
    groups: Sequence[Group]
    keep: Prompts | None = None
    after: Prompts | None = None

    @classmethod
    def of(cls, groups: Sequence[Group], *, device: Any) -> PackedBatch:
        """Lay groups out one after the other, behind what all prompts begin with."""
        shared = common_beginning([prompt for prompt, _ in groups])
        ids: list[int] = groups[0][0][:shared]
        positions: list[int] = list(range(shared))
        predict: list[int] = []
        spans: list[Span] = []
        for prompt, answers in groups:
            start, last = len(ids), len(ids) + len(prompt) - shared - 1
            ids += prompt[shared:]
            positions += range(shared, len(prompt))
            for answer in answers:
                predict += [last, *range(len(ids), len(ids) + len(answer) - 1)]
                ids += answer[:-1]
                positions += range(len(prompt), len(prompt) + len(answer) - 1)
            spans.append(Span(start, len(prompt) - shared, tuple(len(answer) - 1 for answer in answers), shared))
        return cls(
            torch.tensor([ids], device=device),
            torch.tensor([positions], device=device),
            tuple(spans),
            torch.tensor(predict, device=device),
            *flatten(groups, device),
            groups,
        )

    @classmethod
    def going_on(cls, groups: Sequence[Group], prompts: Prompts, *, device: Any) -> PackedBatch:
        """Answers to prompts that an earlier row kept: of a prompt only its last position, which predicts, comes again.

        Args:
            groups: The earlier row's prompts in its order, with other answers.
            prompts: What it kept.
            device: Where tensors go.
        """
        row = cls.of([(prompt[-1:], answers) for prompt, answers in groups], device=device)
        before = torch.tensor([len(prompt) - 1 for prompt, _ in groups], device=device)
        sizes = torch.tensor([span.prompt + sum(span.answers) for span in row.spans], device=device)
        positions = row.position_1T + before.repeat_interleave(sizes)
        return replace(row, position_1T=positions, groups=groups, after=prompts)


def common_beginning(prompts: Iterable[Sequence[int]]) -> int:
    """Tokens that all of several prompts begin with; each keeps at least its last, which predicts. 0 for one prompt."""
    rest = iter(prompts)
    first: Sequence[int] = next(rest, ())
    most = len(first) - 1
    single = True
    for prompt in rest:
        single, most = False, min(most, len(prompt) - 1)
        if prompt[:most] != first[:most]:
            most = next(place for place in range(most) if prompt[place] != first[place])
        if not most:
            break
    return 0 if single else most


def flatten(groups: Sequence[Group], device: Any) -> tuple[Tensor, Tensor, Tensor]:
    """All answer tokens in order, the answer that each belongs to, and the answers' lengths."""
    answers = [answer for _, group in groups for answer in group]
    lengths = torch.tensor([len(answer) for answer in answers], device=device)
    tokens = torch.tensor([token for answer in answers for token in answer], device=device)
    return tokens, torch.repeat_interleave(torch.arange(len(answers), device=device), lengths), lengths
