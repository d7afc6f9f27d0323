"""One row at a time: the prompt's tokens, the answers' as they follow them, and the cut to a length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from penchant.errors import InputError
from penchant.tokens.template import PromptStyle
from penchant.tokens.words import ids_of

TRUNCATIONS = ("drop", "keep_start", "keep_end")


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """What happens to long rows.

    Attributes:
        max_length: Most tokens of prompt and answer together.
        truncation: ``"drop"`` leaves longer rows out; ``"keep_start"`` cuts the answer's end (which then has no
            end-of-turn token); ``"keep_end"`` cuts the prompt's beginning after its beginning-of-sequence token, the
            same for both answers.
    """

    max_length: int = 1024
    truncation: str = "drop"

    def __post_init__(self) -> None:
        if self.truncation not in TRUNCATIONS:
            raise InputError(f"no truncation {self.truncation!r}", fix=f"Choose one of {', '.join(TRUNCATIONS)}")
        if self.max_length < 2:
            raise InputError("max_length must be at least 2", got=str(self.max_length))


class Tokenised(NamedTuple):
    """A prompt and answers to it, whole; ``merged`` says of each answer whether a token would straddle the boundary."""

    prompt: list[int]
    answers: tuple[list[int], ...]
    merged: tuple[bool, ...]


def tokenise(prompts: Sequence[str], answers: Sequence[Sequence[str]], style: PromptStyle) -> list[Tokenised]:
    """Tokenise rendered prompts, each once, with the same number of answers to each.

    An answer's tokens are those of the joint text after the prompt's, with one end-of-turn token. Where the joint
    text's tokens do not begin with the prompt's, a token straddles the boundary: the answer is then tokenised on its
    own, because generation starts from the prompt's tokens as they are. So it is where the prompt's last token
    swallows white space, which is the answer's, and where the answer spells out the end-of-turn token, which stays
    text there.
    """
    heads = prompt_ids(prompts, style)
    contexts = _contexts(prompts, heads, style)
    sides = [_ends(contexts, side, style) for side in zip(*answers, strict=True)]
    rows = zip(heads, zip(*sides, strict=True), strict=True)
    return [Tokenised(head, tuple(end for end, _ in ends), tuple(merged for _, merged in ends)) for head, ends in rows]


def fit(row: Tokenised, settings: EncodeSettings, style: PromptStyle) -> tuple[list[int], tuple[list[int], ...]] | None:
    """Prompt and answers within ``max_length`` by the truncation rule; the lists themselves if they fit as they are.

    Nothing for a row that is left out: a long one under ``"drop"``, or one with no room for what must stay whole.
    """
    prompt, answers = row.prompt, row.answers
    longest = max(map(len, answers))
    if len(prompt) + longest <= settings.max_length:
        return prompt, answers
    room = settings.max_length - (longest if settings.truncation == "keep_end" else len(prompt))
    if settings.truncation == "drop" or room < 1:
        return None
    if settings.truncation == "keep_start":
        return prompt, tuple(answer[:room] for answer in answers)
    # A model that has seen a beginning-of-sequence token before every text does badly without it.
    start = prompt[:1] if prompt[0] == style.tokenizer.bos_token_id and room > 1 else []
    return [*start, *prompt[len(start) - room :]], answers


def prompt_ids(texts: Sequence[str], style: PromptStyle) -> list[list[int]]:
    """Rendered prompts as tokens that an answer can follow.

    A template brings its own beginning-of-sequence token; plain text gets the tokenizer's, and none that ends it.
    """
    encoded = ids_of(style.tokenizer, texts, special=not style.chat)
    if style.chat:
        return encoded
    eos = style.tokenizer.eos_token_id
    return [ids[:-1] if ids and ids[-1] == eos and len(ids) > 1 else ids for ids in encoded]


def _contexts(prompts: Sequence[str], heads: list[list[int]], style: PromptStyle) -> list[tuple[str, list[int]]]:
    """Of each prompt what can touch an answer's tokens, as text and ids: it begins at the last special token.

    A special token parts a text into pieces that are tokenised apart, so that the long beginning need not be tokenised
    again with every answer. Where the ids do not agree the whole prompt is taken.
    """
    starts = [style.last_special(prompt) for prompt in prompts]
    if not any(starts):
        return list(zip(prompts, heads, strict=True))
    tails = [prompt[start:] for prompt, start in zip(prompts, starts, strict=True)]
    ids = prompt_ids(tails, style)
    return [
        (tail, short) if short and head[-len(short) :] == short else (prompt, head)
        for prompt, head, tail, short in zip(prompts, heads, tails, ids, strict=True)
    ]


def _ends(
    contexts: Sequence[tuple[str, list[int]]], answers: Sequence[str], style: PromptStyle
) -> list[tuple[list[int], bool]]:
    """One answer's tokens for each prompt, and whether it would have merged with it."""
    texts = [style.complete(answer) for answer in answers]
    whole = prompt_ids([before + text for (before, _), text in zip(contexts, texts, strict=True)], style)
    ending = style.tokenizer.convert_ids_to_tokens(style.end_of_turn)
    swallowing = {number for number, token in style.tokenizer.added_tokens_decoder.items() if token.rstrip}
    ends = []
    for (_, head), joint, text in zip(contexts, whole, texts, strict=True):
        straddles = joint[: len(head)] != head
        swallowed = text[:1].isspace() and bool(head) and head[-1] in swallowing
        alone = straddles or swallowed or ending in text
        ids = _continuation(text, ending in text, style) if alone else joint[len(head) :]
        ends.append(([*ids, style.end_of_turn], straddles))
    return ends


def _continuation(text: str, ending_is_text: bool, style: PromptStyle) -> list[int]:
    """A text's tokens as they stand after other text: some tokenizers put a space before a text's first word."""
    options = {"add_special_tokens": False, "split_special_tokens": ending_is_text}
    line, after_line = style.tokenizer(["\n", f"\n{text}"], **options)["input_ids"]
    if after_line[: len(line)] == line:
        return list(after_line[len(line) :])
    return list(style.tokenizer(text, **options)["input_ids"])
