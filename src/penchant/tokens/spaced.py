"""Tokenizers in SentencePiece's manner (Llama 2, Mistral, Gemma, ...): where a text can be cut, and why that is exact.

Every space is written as a mark and the whole text goes to byte-pair merging as one word. A merge joins two neighbours.
Where no merge of the vocabulary joins something that ends in a character x with something that begins with the mark,
no merge ever happens between x and a mark, and those on its left and on its right do not know of each other: cut there,
the parts have the tokens of the whole. Vocabularies learnt from words hold that for every x but the mark itself
(Mistral's 58,980 merges), or for all but a few (of Gemma 3's 514,906 one joins ``>`` with what stands after a space).
Each vocabulary's own merges say which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_MARK = "\u2581"
_SPACE_TO_MARK = {"type": "Replace", "pattern": {"String": " "}, "content": _MARK}
_PREPEND = {"type": "Prepend", "prepend": _MARK}
_IDLE = ("continuing_subword_prefix", "end_of_word_suffix", "dropout", "ignore_merges")
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""A byte of a character that the vocabulary lacks: which one it ends is not known."""
_EACH_SPACE = re.compile(f"{_MARK}[^{_MARK}]*|[^{_MARK}]+")


class Spaced(NamedTuple):
    """How a text is written before it is cut (the second argument: whether it is the first of its row), and the cut."""

    mark: Callable[[str, bool], str]
    cut: Callable[[str], list[str]]


def spaced(facts: dict[str, Any]) -> Spaced | None:
    """For a tokenizer's description, as its JSON has it; nothing where a cut is not known to be exact."""
    model = facts["model"]
    if model["type"] != "BPE" or any(model.get(name) for name in _IDLE) or _MARK not in model["vocab"]:
        return None
    if any(
        token["normalized"] and not set(token["content"]).isdisjoint(" " + _MARK) for token in facts["added_tokens"]
    ):
        return None
    way = _way(facts["normalizer"], facts["pre_tokenizer"])
    if way is None:
        return None
    prepend, always, each = way
    joined = [left for left, right in _merges(model) if right[0] == _MARK and left[-1] != _MARK] if not each else []
    if any(map(_BYTE.fullmatch, joined)):
        return None

    def mark(text: str, first: bool) -> str:
        written = text.replace(" ", _MARK)
        wanted = prepend == "always" or (prepend == "first" and first)
        return _MARK + written if wanted and text and (always or written[0] != _MARK) else written

    return Spaced(mark, (_EACH_SPACE if each else _before_spaces({left[-1] for left in joined})).findall)


def _before_spaces(joined: set[str]) -> re.Pattern[str]:
    """Words with the marks before them; not cut off behind a character that merges join with a mark."""
    more = f"(?:(?<=[{re.escape(''.join(sorted(joined)))}]){_MARK}+[^{_MARK}]*)*" if joined else ""
    return re.compile(f"{_MARK}*[^{_MARK}]+{more}|{_MARK}+")


def _merges(model: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Both ways in which tokenizers write them: two strings, or one with a space."""
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        yield left, right


def _way(normalizer: Any, pre_tokenizer: Any) -> tuple[str, bool, bool] | None:
    """Where a mark is put before a text, whether even before one that begins with it, and whether every mark is cut."""
    steps = normalizer["normalizers"] if normalizer and normalizer["type"] == "Sequence" else [normalizer]
    steps = [step for step in steps if step]
    split = pre_tokenizer or {"type": "none"}
    if steps in ([_SPACE_TO_MARK], [_PREPEND, _SPACE_TO_MARK]):
        # Gemma's cut at spaces, of which none are left, cuts nothing.
        idle = split["type"] == "none" or (split["type"] == "Split" and split["pattern"] == {"String": " "})
        return ("always" if len(steps) == 2 else "never", True, False) if idle else None
    if steps or split["type"] != "Metaspace" or split["replacement"] != _MARK:
        return None
    return split["prepend_scheme"], False, split["split"]
