"""Two answers, which of them is better, and by how much: what annotations of all kinds come to."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.data.formats.fields import Row, pair, unstated
from penchant.records import PreferencePair, Prompt


def compared(
    prompt: Prompt, answers: Sequence[str], toward_second: float, source: str, row: Row, **numbers: float
) -> PreferencePair:
    """A pair with the better answer first.

    Args:
        prompt: What both answer.
        answers: The two, in the row's order.
        toward_second: Above 0 if the second is better, below if the first is; at 0 the pair is marked as a tie.
        source: ``file:line``.
        row: What may hold tools.
        numbers: What the row states besides, by the vocabulary's names.
    """
    if toward_second == 0 and answers[0] == answers[1]:
        raise unstated("both answers are the same, and the row is a tie", source, answers[0])
    first, second = answers if toward_second <= 0 else answers[::-1]
    numbers["is_tie"] = float(toward_second == 0)
    return pair(prompt, first, second, source, numbers, row)
