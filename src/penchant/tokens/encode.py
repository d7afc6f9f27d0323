"""Tokenise preference rows: every row is kept whole, cut by rule and counted, or dropped and counted."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import Generic, TypeVar

from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair, TokenAnswer, TokenList, TokenPair
from penchant.spool import Spool
from penchant.tokens.cache import TokenCache
from penchant.tokens.template import PromptStyle
from penchant.tokens.tokenise import EncodeSettings, Tokenised, fit
from penchant.tokens.whole import whole_rows

Row = TypeVar("Row", TokenPair, TokenAnswer, TokenList)


@dataclass(slots=True)
class Encoding(Generic[Row]):
    """Token rows, and what became of the rows that did not fit."""

    rows: Spool[Row] = field(default_factory=Spool)
    total: int = 0
    too_long: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    same_after_cut: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    merged: int = 0
    cached: bool = False

    def drop_same(self, source: str) -> None:
        """Count a row that :func:`fitted_row` gave and whose answers are the same."""
        cut = bool(self.cut) and self.cut[-1] == source
        (self.same_after_cut if cut else self.same).append(source)

    def report(self, settings: EncodeSettings) -> list[str]:
        """Lines for the run's summary: what was kept, and every kind of loss with its count."""
        lines = [f"{len(self.rows)} of {self.total} rows kept at max_length {settings.max_length}"]
        if self.too_long:
            why = f"longer than {settings.max_length} tokens" if settings.truncation == "drop" else "prompt too long"
            lines.append(f"{len(self.too_long)} rows dropped, {why} (first: {self.too_long[0]})")
        if self.cut:
            side = "prompt's beginning" if settings.truncation == "keep_end" else "answer's end"
            lines.append(f"{len(self.cut)} rows cut at the {side} (first: {self.cut[0]})")
        for dropped, when in ((self.same, "as tokens"), (self.same_after_cut, "after the cut")):
            if dropped:
                lines.append(f"{len(dropped)} rows dropped, answers equal {when} (first: {dropped[0]})")
        if self.merged:
            lines.append(f"{self.merged} answers whose first token would merge with the prompt; tokenised on their own")
        if self.cached:
            lines.append("tokens from the cache")
        return lines


def encode_pairs(
    pairs: Sequence[PreferencePair | TokenPair],
    style: PromptStyle,
    settings: EncodeSettings,
    cache: TokenCache | None = None,
) -> Encoding[TokenPair]:
    """Tokenise pairs; the prompt's tokens are the same for all answers. Rows that are tokens already are only fitted.

    Raises:
        InputError: if no row is left.
    """
    result: Encoding[TokenPair] = Encoding(total=len(pairs))
    tokenised, result.cached = whole_rows(pairs, style, cache)
    for pair, whole in zip(pairs, tokenised, strict=True):
        fitted = fitted_row(whole, settings, style, result, pair.source)
        if fitted is None:
            continue
        prompt, (winner, loser, *gold) = fitted
        weights = _token_weights(pair, whole, fitted[1])
        if winner == loser:
            result.drop_same(pair.source)
        else:
            result.rows.append(
                TokenPair(prompt, winner, loser, pair.source, pair.numbers, gold[0] if gold else None, weights)
            )
    return nonempty(result, settings)


def _token_weights(
    pair: PreferencePair | TokenPair, whole: Tokenised, fitted: tuple[list[int], ...]
) -> tuple[tuple[float, ...], ...] | None:
    """The weights of the pair's tokens, cut as its answers were."""
    if pair.token_weights is None:
        return None
    for side, ids, weights in zip(("chosen", "rejected"), whole.answers, pair.token_weights, strict=False):
        if len(ids) != len(weights):
            raise InputError(
                f"the {side} answer has {len(ids)} tokens and {len(weights)} token weights",
                where=pair.source,
                fix="Give one weight for each token that this tokenizer makes, the end of the turn included",
            )
    return tuple(weights[: len(ids)] for weights, ids in zip(pair.token_weights, fitted, strict=False))


def encode_answers(
    answers: Sequence[LabelledAnswer | TokenAnswer],
    style: PromptStyle,
    settings: EncodeSettings,
    cache: TokenCache | None = None,
    *,
    mismatched: bool = True,
) -> Encoding[TokenAnswer]:
    """Tokenise labelled answers, each with an answer to another prompt (for KTO's KL estimate) if it is wanted.

    Raises:
        InputError: if no row is left, or all rows have the same prompt and mismatched answers are wanted.
    """
    result: Encoding[TokenAnswer] = Encoding(total=len(answers))
    tokenised, result.cached = whole_rows(answers, style, cache)
    for answer, whole in zip(answers, tokenised, strict=True):
        fitted = fitted_row(whole, settings, style, result, answer.source)
        if fitted is not None:
            prompt, (ids,) = fitted
            result.rows.append(TokenAnswer(prompt, ids, answer.label, answer.source, [], answer.numbers))
    nonempty(result, settings)
    if mismatched:
        result.rows = mismatch(result.rows, settings.max_length)
    return result


def mismatch(rows: Sequence[TokenAnswer], max_length: int) -> Spool[TokenAnswer]:
    """Give each row the answer of the next row that has another prompt, going round at the end.

    Pairing over the whole data set, not inside a batch, makes the estimate independent of how a step is cut and valid
    for a batch of one; a prompt never meets an answer to itself.

    Raises:
        InputError: if all rows have the same prompt.
    """
    differs = [one.prompt_ids != other.prompt_ids for one, other in pairwise(chain(rows, rows[:1]))]
    if not any(differs):
        raise InputError(
            "all rows have the same prompt, so KTO's baseline (answers set under other prompts) cannot be estimated",
            where=rows[0].source,
            fix="Add rows with other prompts",
        )
    count = len(rows)
    partner = array("q", bytes(8 * count))
    following = 0
    for index in reversed(range(2 * count)):
        following = (index + 1) % count if differs[index % count] else following
        partner[index % count] = following
    return Spool(
        replace(row, mismatched_ids=rows[other].completion_ids[: max(1, max_length - len(row.prompt_ids))])
        for row, other in zip(rows, partner, strict=True)
    )


def fitted_row(
    whole: Tokenised, settings: EncodeSettings, style: PromptStyle, result: Encoding[Row], source: str
) -> tuple[list[int], tuple[list[int], ...]] | None:
    """The row within max_length, or nothing; what became of it is counted."""
    if not whole.prompt:
        raise InputError("the prompt has no tokens", where=source, fix="Give a prompt, or a tokenizer with a BOS token")
    result.merged += sum(whole.merged)
    fitted = fit(whole, settings, style)
    if fitted is None:
        result.too_long.append(source)
    elif fitted[0] is not whole.prompt or fitted[1] is not whole.answers:
        result.cut.append(source)
    return fitted


def nonempty(result: Encoding[Row], settings: EncodeSettings) -> Encoding[Row]:
    if result.rows:
        return result
    if not result.too_long:
        what = f"no rows left: in all {result.total} the answers are the same"
        raise InputError(what, fix="Look at a row with penchant show")
    raise InputError(
        f"no rows left: of {result.total} rows {len(result.too_long)} are longer than max_length",
        got=f"max_length {settings.max_length}",
        fix="Raise --max-length, or choose --truncation keep_start or keep_end",
    )
