"""Cut an optimiser step's rows into micro-batches. The update does not depend on the cut; memory and speed do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

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
