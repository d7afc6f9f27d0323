"""The demo's rule: of two answers to a question, the concise complete one is preferred."""

from __future__ import annotations

import re

from penchant.evaluation.answer import Answer

MIN_WORDS = 8
"""An answer of fewer words is not complete: the rule must not reward saying nothing."""

SHORTER_BY = 0.8
"""Of two complete answers one is more concise if it has at most this share of the other's words."""

_SENTENCE_END = re.compile(r"[.!?][\"')\]*]*$")


def words(text: str) -> int:
    """Number of words, split at white space."""
    return len(text.split())


def is_complete(answer: Answer) -> bool:
    """The model ended the answer itself, with a full sentence and at least MIN_WORDS words."""
    return answer.ended and words(answer.text) >= MIN_WORDS and bool(_SENTENCE_END.search(answer.text))


def preference(first: Answer, second: Answer) -> float:
    """1 if the first answer is preferred, 0 if the second is, 1/2 if the rule sees no difference.

    A complete answer beats one that is not. Of two complete answers the shorter wins if it has at most SHORTER_BY
    times the words of the longer. Everything else is a tie.
    """
    complete_first, complete_second = is_complete(first), is_complete(second)
    if complete_first != complete_second:
        return 1.0 if complete_first else 0.0
    if not complete_first:
        return 0.5
    length_first, length_second = words(first.text), words(second.text)
    if length_first <= SHORTER_BY * length_second:
        return 1.0
    return 0.0 if length_second <= SHORTER_BY * length_first else 0.5
