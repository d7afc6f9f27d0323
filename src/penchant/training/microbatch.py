"""Cut an optimiser step's rows into micro-batches. The update does not depend on the cut; memory and speed do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch

from penchant.records import TokenAnswer, TokenPair

Row = TypeVar("Row", bound=TokenPair | TokenAnswer)


def cut(rows: Sequence[Row], *, max_rows: int | None, max_tokens: int, packed: bool) -> Iterator[list[Row]]:
    """Micro-batches of rows of similar length, each at most max_rows rows and max_tokens positions.

    Packed, a pair takes its prompt once and both answers; otherwise every answer takes a row as wide as the widest,
    padding included. A single row over the budget goes alone.
    """
    part: list[Row] = []
    for row in sorted(rows, key=_positions):
        trial: list[Row] = [*part, row]
        tokens = sum(_positions(one) for one in trial) if packed else _padded(trial)
        if part and (tokens > max_tokens or len(part) == max_rows):
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def _answers(row: TokenPair | TokenAnswer) -> tuple[int, ...]:
    """Lengths of the answers that go through the model together; a mismatched answer goes in another pass."""
    if isinstance(row, TokenPair):
        return len(row.chosen_ids), len(row.rejected_ids)
    return (max(len(row.completion_ids), len(row.mismatched_ids)),)


def _positions(row: TokenPair | TokenAnswer) -> int:
    return len(row.prompt_ids) + sum(_answers(row))


def _padded(rows: Sequence[TokenPair | TokenAnswer]) -> int:
    width = max(len(row.prompt_ids) + max(_answers(row)) for row in rows)
    return width * sum(len(_answers(row)) for row in rows)


def joined(records: Sequence[Any]) -> Any:
    """Log-probs of several micro-batches as one record; what is one number for all rows stays one."""
    fields = {field.name: [getattr(one, field.name) for one in records] for field in dataclasses.fields(records[0])}
    numbers = fields.pop("numbers")
    whole = {name: torch.cat([part[name] for part in numbers]) for name in numbers[0]}
    return type(records[0])(
        **{
            name: values[0] if values[0] is None or values[0].ndim == 0 else torch.cat(values)
            for name, values in fields.items()
        },
        numbers=whole,
    )
