"""Which groups go through the model together when nothing is trained."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from penchant.logps.layout import Group, common_beginning


def passes(groups: Sequence[Group], *, max_tokens: int, packed: bool) -> Iterator[list[int]]:
    """Places of groups from short to long, as many at a time as stay within so many positions; at least one.

    Args:
        groups: Prompts with their answers.
        max_tokens: Most positions at once.
        packed: Whether a prompt takes its positions once, and what all prompts begin with once for all; otherwise every
            answer takes a row as wide as the widest.
    """
    shared = common_beginning(prompt for prompt, _ in groups) if packed else 0
    sizes = array("q", (_size(group, packed) - shared for group in groups))
    part: list[int] = []
    rows = total = 0
    for place in sorted(range(len(groups)), key=sizes.__getitem__):
        answers = len(groups[place][1])
        together = total + sizes[place] if packed else (rows + answers) * sizes[place]
        if part and shared + together > max_tokens:
            yield part
            part, rows, together = [], 0, sizes[place] * (1 if packed else answers)
        part.append(place)
        rows, total = rows + answers, together
    if part:
        yield part


def _size(group: Group, packed: bool) -> int:
    """Positions of the group, or of the widest row among its answers'."""
    prompt, answers = group
    return len(prompt) + (sum if packed else max)(map(len, answers))
