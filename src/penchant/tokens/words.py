"""Texts to token ids by remembering words: the tokenizer's own ids, several times as fast as asking it for each text.

Tokenizers on bytes (GPT-2's kind: Llama 3, Qwen, SmolLM, OLMo, Granite, Phi-4, Command-R, ...) cut a text by a regular
expression into words that are tokenised apart, and most words come again. Here the text is cut by the same expression,
and only words that are new go to the tokenizer's model. Those in SentencePiece's manner (Llama 2, Mistral, Gemma) cut
nothing; :mod:`.spaced` says where their texts can be cut all the same.

Nothing of it is believed. Two engines may disagree about a character, so each is held against the tokenizer's own cut
in many surroundings before any text that holds it is cut here, and some whole texts are compared. What is not certain
goes to the tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import regex

from penchant.tokens.spaced import Spaced, spaced

_WORTH_LEARNING = 64
"""Fewer texts are tokenised sooner than an expression is tried."""
_COMPARED = 16
_MOST_WORDS = 1 << 18
_LONGEST = 64
"""Longer words hardly ever come again."""
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_SURROUNDINGS = (
    "a{0}b {0}a {0} 1{0}2 {0}3 .{0}, {0}. '{0} '{0}l 'r{0} '{0}{0}",
    "{0}{0}{0}A  {0}B\n{0}\n\n{0} \t{0}1234567{0}9\r\n {0}\n",
    "{0}  {0}   a\n {0}\t{0}'S{0}'t'LL{0}/{0}\n{0}/\r-{0}",
    "{0}",
)
_ASCII = "".join(map(chr, range(128)))

Cut = Callable[[str], Sequence[str]]
_KEPT: WeakKeyDictionary[Any, tuple[int, Words | None]] = WeakKeyDictionary()
"""By tokenizer, with the number of its tokens, to which more may be added."""


def ids_of(tokenizer: Any, texts: Sequence[str], *, special: bool) -> list[list[int]]:
    """Each text's ids, as the tokenizer has them.

    Args:
        tokenizer: A transformers tokenizer.
        texts: What to tokenise.
        special: Whether with the tokens that it puts around a text.
    """
    words = _words_of(tokenizer, texts)
    if words is None:
        return _asked(tokenizer, texts, special=special)
    found = [words.ids(text) for text in texts]
    unsure = [text for text, ids in zip(texts, found, strict=True) if ids is None]
    asked = iter(_asked(tokenizer, unsure, special=special))
    start, end = _around(tokenizer) if special else ([], [])
    return [next(asked) if ids is None else [*start, *ids, *end] if special else ids for ids in found]


def _asked(tokenizer: Any, texts: Sequence[str], *, special: bool) -> list[list[int]]:
    if not texts:
        return []
    only_ids = {"return_attention_mask": False, "return_token_type_ids": False}
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=special, **only_ids)["input_ids"]
    return ids


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that a tokenizer puts before and after a text."""
    (bare,), (whole,) = (_asked(tokenizer, ["a"], special=special) for special in (False, True))
    at = next(at for at in range(len(whole)) if whole[at : at + len(bare)] == bare)
    return whole[:at], whole[at + len(bare) :]


def _words_of(tokenizer: Any, texts: Sequence[str]) -> Words | None:
    """A tokenizer's words, made when there are texts enough to be worth it; nothing where they cannot be trusted."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or getattr(tokenizer, "split_special_tokens", False):
        return None
    count, words = _KEPT.get(tokenizer, (-1, None))
    if count != len(tokenizer):
        if len(texts) < _WORTH_LEARNING:
            return None
        words = Words.of(backend)
        some = texts[:_COMPARED]
        if words is not None and not words.agrees(some, _asked(tokenizer, some, special=False)):
            words = None
        _KEPT[tokenizer] = (len(tokenizer), words)
    return words


class Words:
    """A tokenizer's words, remembered.

    Args:
        backend: A ``tokenizers.Tokenizer``.
        cut: Its way of cutting a text into words; or a cut that is proved, before which spaces are marked.
    """

    def __init__(self, backend: Any, cut: Cut | Spaced) -> None:
        from tokenizers.pre_tokenizers import ByteLevel

        self._mark = cut.mark if isinstance(cut, Spaced) else None
        self._cut = cut.cut if isinstance(cut, Spaced) else cut
        self._model, self._pre, self._normalizer = backend.model, backend.pre_tokenizer, backend.normalizer
        self._bytes = ByteLevel(add_prefix_space=False, use_regex=False)
        self._memory = _Memory(self._of_word)
        self._known: set[str] = set()
        self._odd: set[str] = set()
        added = backend.get_added_tokens_decoder()
        # A token that takes in the white space beside it, or is looked for after normalising, is not looked for here.
        plain = {
            token.content: [number]
            for number, token in added.items()
            if not (token.lstrip or token.rstrip or token.single_word or (token.normalized and self._normalizer))
        }
        others = [token.content for token in added.values() if token.content not in plain]
        self._added, self._others = plain, _any_of(others)
        self._parts = _any_of(plain)
        if self._mark is None:
            self._learn(_ASCII)

    @classmethod
    def of(cls, backend: Any) -> Words | None:
        """For a tokenizer whose cut is known here; nothing for another."""
        facts = msgspec.json.decode(backend.to_str())
        marked = spaced(facts)
        if marked is not None:
            return cls(backend, marked)
        normalizer, model = facts["normalizer"], facts["model"]
        if (normalizer or {"type": "NFC"})["type"] != "NFC" or model["type"] != "BPE" or model.get("dropout"):
            return None
        cut = _cut_of(facts["pre_tokenizer"])
        return None if cut is None else cls(backend, cut)

    def ids(self, text: str) -> list[int] | None:
        """The text's ids without any that surround it; nothing where this is for the tokenizer to say."""
        if self._others is not None and self._others.search(text):
            return None
        parts = [text] if self._parts is None else self._parts.split(text)
        if len(parts) == 1:
            return self._plain(text, first=True)
        found: list[int] = []
        for number, part in enumerate(parts):
            ids = self._added[part] if number % 2 else self._plain(part, first=not number) if part else []
            if ids is None:
                return None
            found += ids
        return found

    def agrees(self, texts: Sequence[str], ids: Iterable[Sequence[int]]) -> bool:
        """Whether the ids of some texts, as the tokenizer has them, are those found here."""
        return all(self.ids(text) in (None, own) for text, own in zip(texts, ids, strict=True))

    def _plain(self, text: str, *, first: bool) -> list[int] | None:
        """The ids of a text without added tokens, the first of its row or not."""
        if self._mark is not None:
            text = self._mark(text, first)
        elif not text.isascii():
            if self._normalizer is not None:
                text = self._normalizer.normalize_str(text)
            new = set(text) - self._known
            if new and (not self._odd.isdisjoint(new) or not self._learn(new - self._odd)):
                return None
        elif self._odd and not self._odd.isdisjoint(text):
            return None
        return list(chain.from_iterable(map(self._memory.__getitem__, self._cut(text))))

    def _learn(self, characters: Iterable[str]) -> bool:
        """Whether some characters are cut here as the tokenizer cuts them."""
        new = set(characters)
        odd = {one for one in new if not all(self._same(about.format(one)) for about in _SURROUNDINGS)}
        self._odd |= odd
        self._known |= new - odd
        return not odd

    def _same(self, text: str) -> bool:
        own = [text[start:end] for _, (start, end) in self._pre.pre_tokenize_str(text)]
        return list(self._cut(text)) == own

    def _of_word(self, word: str) -> tuple[int, ...]:
        pieces = [word] if self._mark else [piece for piece, _ in self._bytes.pre_tokenize_str(word)]
        return tuple(token.id for piece in pieces for token in self._model.tokenize(piece))


class _Memory(dict[str, tuple[int, ...]]):
    """Words and their ids, up to a number of them."""

    def __init__(self, make: Callable[[str], tuple[int, ...]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, word: str) -> tuple[int, ...]:
        ids = self._make(word)
        if len(word) <= _LONGEST and len(self) < _MOST_WORDS:
            self[word] = ids
        return ids


def _any_of(tokens: Iterable[str]) -> re.Pattern[str] | None:
    """Any of some texts, the longest that fits; nothing for none."""
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})") if longest_first else None


def _cut_of(pre_tokenizer: dict[str, Any] | None) -> Cut | None:
    """How a pre-tokenizer of the byte-level kind cuts, from its description; nothing where that is not known."""
    whole = pre_tokenizer or {"type": "none"}
    steps: list[dict[str, Any]] = whole["pretokenizers"] if whole["type"] == "Sequence" else [whole]
    if steps[-1]["type"] != "ByteLevel" or any(step["type"] == "ByteLevel" for step in steps[:-1]):
        return None
    expressions = [_expression(step) for step in steps]
    if None in expressions:
        return None
    try:
        *first, last = [regex.compile(one) for one in expressions if one]
    except (regex.error, ValueError):  # ValueError: it cuts by nothing at all
        return None
    if any(pattern.groups for pattern in (*first, last)):
        return None
    before = [regex.compile(f"({pattern.pattern})") for pattern in first]
    return last.findall if not before else lambda text: _cut_in_turn(text, before, last)


def _expression(step: dict[str, Any]) -> str | None:
    """What one step cuts by; the empty string for one that leaves the text whole."""
    match step:
        case {"type": "ByteLevel", "add_prefix_space": False}:
            return _GPT2 if step["use_regex"] else ""
        case {"type": "Digits"}:
            return r"\p{N}" if step["individual_digits"] else r"\p{N}+"
        case {"type": "Split", "behavior": "Isolated", "invert": False, "pattern": {"Regex": str() as pattern}}:
            return pattern
        case _:
            return None


def _cut_in_turn(text: str, before: Sequence[regex.Pattern[str]], last: regex.Pattern[str]) -> list[str]:
    parts = [text]
    for pattern in before:
        parts = [piece for part in parts for piece in pattern.split(part) if piece]
    return [word for part in parts for word in last.findall(part)]
