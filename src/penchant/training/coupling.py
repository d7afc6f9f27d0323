"""Losses that are no sum over rows: records of a whole step, over micro-batches and processes, and the slopes of the
loss by what a gradient flows into.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from penchant.errors import InputError
from penchant.records import AnswerLogps, ListLogps, Logps
from penchant.vocabulary import TERMS


def leaves(record: Logps) -> list[Tensor]:
    """What a gradient flows into: the policy's log-probs, and statistics of which the vocabulary says so."""
    if isinstance(record, ListLogps):
        return [record.policy_list_logps]
    if isinstance(record, AnswerLogps):
        return [record.policy_logps]
    gold = [] if record.gold_logps is None else [record.gold_logps]
    moved = [value for name, value in record.statistics.items() if TERMS[name].gradient]
    return [record.policy_chosen_logps, record.policy_rejected_logps, *gold, *moved]


def joined(records: Sequence[Any]) -> Any:
    """The records of several micro-batches as one; what is one number for all rows stays one.

    Raises:
        InputError: if lists have different numbers of answers.
    """
    if isinstance(records[0], ListLogps) and len({record.list_lengths.shape[1] for record in records}) > 1:
        raise InputError(
            "a loss that couples rows needs lists of one length",
            fix="Give every row the same number of answers, or choose a method that is a sum over rows",
        )
    return _mapped(torch.cat, records)


def gathered(record: Any, real: Tensor, accelerator: Any) -> tuple[Any, slice]:
    """The record of all processes' real rows without a graph, and which rows of it are this process's own."""
    if accelerator.num_processes == 1:
        return record, slice(None)
    record = _mapped(lambda values: values[0][real], [record])
    own = int(real.sum())
    counts = accelerator.gather(torch.tensor([own], device=accelerator.device)).tolist()
    most, start = max(counts), sum(counts[: accelerator.process_index])

    def whole(values: list[Tensor]) -> Tensor:
        (value,) = values
        padded = torch.cat([value.detach(), value.new_zeros(most - own, *value.shape[1:])])
        parts = accelerator.gather(padded.contiguous()).split(most)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    return _mapped(whole, [record]), slice(start, start + own)


def slopes(loss: Callable[[Any], Tensor], record: Any) -> tuple[Tensor, list[Tensor]]:
    """The loss of all rows, and its derivative by each of the record's leaves (0 for one that it does not use)."""
    inputs = [leaf.requires_grad_() for leaf in leaves(record)]
    value = loss(record)
    found = torch.autograd.grad(value, inputs, allow_unused=True)
    zeros = [torch.zeros_like(leaf) for leaf in inputs]
    return value.detach(), [zero if slope is None else slope for slope, zero in zip(found, zeros, strict=True)]


def spread(slope: Tensor, real: Tensor) -> Tensor:
    """A slope of the real rows as one of all rows, 0 for the others."""
    whole = slope.new_zeros(len(real), *slope.shape[1:])
    whole[real] = slope
    return whole


def _mapped(function: Callable[[list[Tensor]], Tensor], records: Sequence[Any]) -> Any:
    """A record whose every tensor with one entry per row is the function of the records' tensors."""

    def one(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {name: one([value[name] for value in values]) for name in values[0]}
        return values[0] if values[0] is None or values[0].ndim == 0 else function(values)

    fields = [field.name for field in dataclasses.fields(records[0])]
    return type(records[0])(**{name: one([getattr(record, name) for record in records]) for name in fields})
