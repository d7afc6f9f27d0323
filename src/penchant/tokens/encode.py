"""Tokenise preference rows: every row is kept whole, cut by rule and counted, or dropped and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair, TokenAnswer, TokenPair
from penchant.tokens.template import PromptStyle

TRUNCATIONS = ("drop", "keep_start", "keep_end")
_BATCH = 1000

Row = TypeVar("Row", TokenPair, TokenAnswer)


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """What happens to long rows.

    Attributes:
        max_length: Most tokens of prompt and answer together.
        truncation: ``"drop"`` leaves longer rows out; ``"keep_start"`` cuts the answer's end (which then has no
            end-of-turn token); ``"keep_end"`` cuts the prompt's beginning after its
            beginning-of-sequence token, the same for both answers.
    """

    max_length: int = 1024
    truncation: str = "drop"

    def __post_init__(self) -> None:
        if self.truncation not in TRUNCATIONS:
            raise InputError(f"no truncation {self.truncation!r}", fix=f"Choose one of {', '.join(TRUNCATIONS)}")
        if self.max_length < 2:
            raise InputError("max_length must be at least 2", got=str(self.max_length))


@dataclass(slots=True)
class Encoding(Generic[Row]):
    """Token rows, and what became of the rows that did not fit."""

    rows: list[Row] = field(default_factory=list)
    total: int = 0
    too_long: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    same_after_cut: list[str] = field(default_factory=list)
    merged: int = 0

    def report(self, settings: EncodeSettings) -> list[str]:
        """Lines for the run's summary: what was kept, and every kind of loss with its count."""
        lines = [f"{len(self.rows)} of {self.total} rows kept at max_length {settings.max_length}"]
        if self.too_long:
            why = f"longer than {settings.max_length} tokens" if settings.truncation == "drop" else "prompt too long"
            lines.append(f"{len(self.too_long)} rows dropped, {why} (first: {self.too_long[0]})")
        if self.cut:
            side = "prompt's beginning" if settings.truncation == "keep_end" else "answer's end"
            lines.append(f"{len(self.cut)} rows cut at the {side} (first: {self.cut[0]})")
        if self.same_after_cut:
            lines.append(
                f"{len(self.same_after_cut)} pairs dropped, equal after the cut (first: {self.same_after_cut[0]})"
            )
        if self.merged:
            lines.append(f"{self.merged} answers whose first token would merge with the prompt; tokenised on their own")
        return lines


def encode_pairs(pairs: Sequence[PreferencePair], style: PromptStyle, settings: EncodeSettings) -> Encoding[TokenPair]:
    """Tokenise pairs; the prompt's tokens are the same for both answers.

    Raises:
        InputError: if no row is left.
    """
    result: Encoding[TokenPair] = Encoding(total=len(pairs))
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        prompts = [style.render(pair.prompt, pair.source) for pair in batch]
        prompt_ids = _encode_prompts(prompts, style)
        chosen, merged_chosen = _encode_ends(prompts, prompt_ids, [pair.chosen for pair in batch], style)
        rejected, merged_rejected = _encode_ends(prompts, prompt_ids, [pair.rejected for pair in batch], style)
        result.merged += merged_chosen + merged_rejected
        for pair, head, winner, loser in zip(batch, prompt_ids, chosen, rejected, strict=True):
            fitted = _fit(head, (winner, loser), settings, result, pair.source, style)
            if fitted and fitted[1] == fitted[2]:
                result.same_after_cut.append(pair.source)
            elif fitted:
                result.rows.append(TokenPair(fitted[0], fitted[1], fitted[2], pair.source))
    return _nonempty(result, settings)


def encode_answers(
    answers: Sequence[LabelledAnswer], style: PromptStyle, settings: EncodeSettings
) -> Encoding[TokenAnswer]:
    """Tokenise labelled answers, and set beside each an answer to another prompt (for KTO's KL estimate).

    Raises:
        InputError: if no row is left, or all rows have the same prompt.
    """
    result: Encoding[TokenAnswer] = Encoding(total=len(answers))
    for start in range(0, len(answers), _BATCH):
        batch = answers[start : start + _BATCH]
        prompts = [style.render(answer.prompt, answer.source) for answer in batch]
        prompt_ids = _encode_prompts(prompts, style)
        completions, merged = _encode_ends(prompts, prompt_ids, [answer.completion for answer in batch], style)
        result.merged += merged
        for answer, head, completion in zip(batch, prompt_ids, completions, strict=True):
            fitted = _fit(head, (completion,), settings, result, answer.source, style)
            if fitted:
                result.rows.append(TokenAnswer(fitted[0], fitted[1], answer.label, answer.source, mismatched_ids=[]))
    _nonempty(result, settings)
    result.rows = mismatch(result.rows, settings.max_length)
    return result


def mismatch(rows: Sequence[TokenAnswer], max_length: int) -> list[TokenAnswer]:
    """Give each row the answer of the next row that has another prompt, going round at the end.

    Pairing over the whole data set, not inside a batch, makes the estimate independent of how a step is cut and valid
    for a batch of one; a prompt never meets an answer to itself.

    Raises:
        InputError: if all rows have the same prompt.
    """
    count = len(rows)
    if all(row.prompt_ids == rows[0].prompt_ids for row in rows):
        raise InputError(
            "all rows have the same prompt, so KTO's baseline (answers set under other prompts) cannot be estimated",
            where=rows[0].source,
            fix="Add rows with other prompts",
        )
    partner = [0] * count
    following = 0
    for index in reversed(range(2 * count)):
        here, after = rows[index % count], (index + 1) % count
        following = after if rows[after].prompt_ids != here.prompt_ids else following
        partner[index % count] = following
    return [
        TokenAnswer(
            row.prompt_ids,
            row.completion_ids,
            row.label,
            row.source,
            rows[other].completion_ids[: max(1, max_length - len(row.prompt_ids))],
        )
        for row, other in zip(rows, partner, strict=True)
    ]


def _encode_prompts(texts: list[str], style: PromptStyle) -> list[list[int]]:
    """A rendered template brings its own beginning-of-sequence token; plain text gets the tokenizer's."""
    encoded: list[list[int]] = style.tokenizer(texts, add_special_tokens=not style.chat)["input_ids"]
    if style.chat:
        return encoded
    eos = style.tokenizer.eos_token_id
    return [ids[:-1] if ids and ids[-1] == eos and len(ids) > 1 else ids for ids in encoded]


def _encode_ends(
    prompts: list[str], prompt_ids: list[list[int]], answers: list[str], style: PromptStyle
) -> tuple[list[list[int]], int]:
    """Each answer's tokens as they follow the prompt's, with one end-of-turn token; and how many would have merged.

    The joint text is tokenised. Where its beginning is not the prompt's tokens, a token straddles the boundary: the
    answer is then tokenised on its own, because generation starts from the prompt's tokens as they are. So it is where
    the prompt's last token swallows white space, which is the answer's, and where the answer spells out the end-of-turn
    token, which stays text there.
    """
    texts = [style.complete(answer) for answer in answers]
    whole = _encode_prompts([prompt + text for prompt, text in zip(prompts, texts, strict=True)], style)
    ending = style.tokenizer.convert_ids_to_tokens(style.end_of_turn)
    swallowing = {number for number, token in style.tokenizer.added_tokens_decoder.items() if token.rstrip}
    ends, merged = [], 0
    for head, joint, text in zip(prompt_ids, whole, texts, strict=True):
        straddles = joint[: len(head)] != head
        merged += straddles
        swallowed = text[:1].isspace() and bool(head) and head[-1] in swallowing
        alone = straddles or swallowed or ending in text
        ends.append([*(_continuation(text, style) if alone else joint[len(head) :]), style.end_of_turn])
    return ends, merged


def _continuation(text: str, style: PromptStyle) -> list[int]:
    """A text's tokens as they stand after other text: some tokenizers put a space before a text's first word."""
    spelled_out = style.tokenizer.convert_ids_to_tokens(style.end_of_turn) in text
    options = {"add_special_tokens": False, "split_special_tokens": spelled_out}
    line, after_line = style.tokenizer(["\n", f"\n{text}"], **options)["input_ids"]
    if after_line[: len(line)] == line:
        return list(after_line[len(line) :])
    return list(style.tokenizer(text, **options)["input_ids"])


def _fit(
    prompt: list[int],
    answers: tuple[list[int], ...],
    settings: EncodeSettings,
    result: Encoding[Row],
    source: str,
    style: PromptStyle,
) -> list[list[int]] | None:
    """Prompt and answers within max_length by the truncation rule, or ``None`` for a dropped row."""
    longest = max(len(answer) for answer in answers)
    room: int = settings.max_length - (longest if settings.truncation == "keep_end" else len(prompt))
    if not prompt:
        raise InputError("the prompt has no tokens", where=source, fix="Give a prompt, or a tokenizer with a BOS token")
    if len(prompt) + longest <= settings.max_length:
        return [prompt, *answers]
    if settings.truncation == "drop" or room < 1:
        result.too_long.append(source)
        return None
    result.cut.append(source)
    if settings.truncation == "keep_end":
        # A model that has seen a beginning-of-sequence token before every text does badly without it.
        start: list[int] = prompt[:1] if prompt[0] == style.tokenizer.bos_token_id and room > 1 else []
        return [[*start, *prompt[len(start) - room :]], *answers]
    return [prompt, *(answer[:room] for answer in answers)]


def _nonempty(result: Encoding[Row], settings: EncodeSettings) -> Encoding[Row]:
    if not result.rows:
        raise InputError(
            f"no rows left: all {result.total} are longer than max_length",
            got=f"max_length {settings.max_length}",
            fix="Raise --max-length, or choose --truncation keep_start or keep_end",
        )
    return result
