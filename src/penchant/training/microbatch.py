"""Cut an optimiser step's rows into micro-batches. The update does not depend on the cut; memory and speed do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from penchant.records import TokenAnswer, TokenPair

Row = TypeVar("Row", TokenPair, TokenAnswer)


def padded_width(row: TokenPair | TokenAnswer) -> int:
    """Positions of the row's longest sequence."""
    if isinstance(row, TokenPair):
        return len(row.prompt_ids) + max(len(row.chosen_ids), len(row.rejected_ids))
    return len(row.prompt_ids) + max(len(row.completion_ids), len(row.mismatched_ids))


def cut(rows: Sequence[Row], *, max_rows: int | None, max_tokens: int) -> Iterator[list[Row]]:
    """Micro-batches of rows of similar length, each at most max_rows rows and max_tokens positions, padding included.

    A pair counts as two sequences. A single row over the budget goes alone.
    """
    part: list[Row] = []
    for row in sorted(rows, key=padded_width):
        sequences = 2 if isinstance(row, TokenPair) else 1
        tokens = (len(part) + 1) * sequences * padded_width(row)
        if part and (tokens > max_tokens or len(part) == max_rows):
            yield part
            part = []
        part.append(row)
    if part:
        yield part
