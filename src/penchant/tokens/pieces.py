"""The text of single tokens, so that put together they are the decoded whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_HALF = "\ufffd"
_CONTEXT = 4


def pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text; joined, the decoded text with its special tokens.

    A character that several tokens make up stands with the last of them, and the others add nothing. Tokens are decoded
    with a few before them, because a word's first token may be written differently at the start of a text.

    Args:
        tokenizer: What decodes them.
        ids: Tokens of one text.
    """
    texts: list[str] = []
    start = done = 0  # tokens from start on are decoded; those before done have given their text
    for end in range(1, len(ids) + 1):
        before, whole = _decoded(tokenizer, ids[start:done]), _decoded(tokenizer, ids[start:end])
        if whole.endswith(_HALF) and end < len(ids) and end - done < _CONTEXT:
            texts.append("")
            continue
        texts.append(whole[len(before) :])
        start, done = done, end
    return texts


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return text
