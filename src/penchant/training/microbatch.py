"""Cut an optimiser step's rows into micro-batches. The update does not depend on the cut; memory and speed do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import torch

from penchant.records import TokenAnswer, TokenPair

Row = TypeVar("Row", bound=TokenPair | TokenAnswer)


def cut(rows: Sequence[Row], *, max_rows: int | None, max_tokens: int, packed: bool, least: int = 1) -> list[list[Row]]:
    """Micro-batches of at most max_rows rows and max_tokens positions: the longest row first, each into the first
    micro-batch that has room for it.

    Packed, a pair takes its prompt once and both answers, and any rows go together. Otherwise every answer takes a row
    as wide as the widest, padding included, so a row goes only with those next to it in length. A single row over the
    budget goes alone.

    Args:
        rows: The rows of this process.
        max_rows: Most rows in a micro-batch.
        max_tokens: Most positions in one.
        packed: How positions are counted.
        least: Cut into at least as many, so that several processes take as many forward passes; at most one a row.
    """
    count = _packed if packed else _padded
    parts: list[list[Row]] = []
    for row in sorted(rows, key=positions, reverse=True):
        for part in parts if packed else parts[-1:]:
            if len(part) != max_rows and count([*part, row]) <= max_tokens:
                part.append(row)
                break
        else:
            parts.append([row])
    while len(parts) < min(least, len(rows)):
        fullest = max((part for part in parts if len(part) > 1), key=count)
        parts.append(fullest[::2])
        del fullest[::2]
    return parts


def positions(row: TokenPair | TokenAnswer) -> int:
    """Positions that a row takes in a packed micro-batch."""
    return len(row.prompt_ids) + sum(_answers(row))


def _answers(row: TokenPair | TokenAnswer) -> tuple[int, ...]:
    """Lengths of the answers that go through the model together; a mismatched answer goes in another pass."""
    if isinstance(row, TokenPair):
        return len(row.chosen_ids), len(row.rejected_ids)
    return (max(len(row.completion_ids), len(row.mismatched_ids)),)


def _packed(rows: Sequence[TokenPair | TokenAnswer]) -> int:
    return sum(map(positions, rows))


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
