"""Cut an optimiser step's rows into micro-batches. The update does not depend on the cut; memory and speed do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from penchant.logps.layout import common_beginning
from penchant.records import TokenAnswer, TokenRow

Row = TypeVar("Row", bound=TokenRow)


def cut(rows: Sequence[Row], *, max_rows: int | None, max_tokens: int, packed: bool, least: int = 1) -> list[list[Row]]:
    """Micro-batches of at most max_rows rows and max_tokens positions: the longest row first, each into the first
    micro-batch that has room for it.

    Packed, a pair takes its prompt once and both answers, what all prompts of the rows begin with counts once for all,
    and any rows go together. Otherwise every answer takes a row as wide as the widest, padding included, so a row goes
    only with those next to it in length. Lists of different numbers of answers go apart, so that their log-probs make
    a rectangle. A single row over the budget goes alone.

    Args:
        rows: The rows of this process.
        max_rows: Most rows in a micro-batch.
        max_tokens: Most positions in one.
        packed: How positions are counted.
        least: Cut into at least as many, so that several processes take as many forward passes; at most one a row.
    """
    shared = common_beginning(row.prompt_ids for row in rows) if packed else 0
    count = partial(_packed, shared=shared) if packed else _padded
    parts: list[list[Row]] = []
    for row in sorted(rows, key=_order, reverse=True):
        for part in parts if packed else parts[-1:]:
            alike = len(part[0].answers) == len(row.answers)
            if alike and len(part) != max_rows and count([*part, row]) <= max_tokens:
                part.append(row)
                break
        else:
            parts.append([row])
    while len(parts) < min(least, len(rows)):
        fullest = max((part for part in parts if len(part) > 1), key=count)
        parts.append(fullest[::2])
        del fullest[::2]
    return parts


def positions(row: TokenRow) -> int:
    """Positions that a row takes in a packed micro-batch by itself."""
    return len(row.prompt_ids) + sum(_answers(row))


def _answers(row: TokenRow) -> tuple[int, ...]:
    """Lengths of the answers that go through the model together; a mismatched answer goes in another pass."""
    if isinstance(row, TokenAnswer):
        return (max(len(row.completion_ids), len(row.mismatched_ids)),)
    return tuple(map(len, row.answers))


def _order(row: TokenRow) -> tuple[int, int]:
    return len(row.answers), positions(row)


def taken(rows: Sequence[TokenRow], *, packed: bool) -> int:
    """Positions that rows take in one micro-batch."""
    return _packed(rows, common_beginning(row.prompt_ids for row in rows)) if packed else _padded(rows)


def _packed(rows: Sequence[TokenRow], shared: int) -> int:
    """Positions of a packed micro-batch, of which so many stand once for all rows."""
    return shared + sum(positions(row) - shared for row in rows)


def _padded(rows: Sequence[TokenRow]) -> int:
    width = max((len(row.prompt_ids) + max(_answers(row)) for row in rows), default=0)
    return width * sum(len(_answers(row)) for row in rows)
