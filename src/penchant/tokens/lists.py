"""Tokenise ranked answers: lists of any number of answers, best first."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.records import RankedAnswers, TokenList
from penchant.tokens.cache import TokenCache
from penchant.tokens.encode import Encoding, fitted_row, nonempty
from penchant.tokens.template import PromptStyle
from penchant.tokens.tokenise import EncodeSettings
from penchant.tokens.whole import whole_rows


def encode_lists(
    lists: Sequence[RankedAnswers], style: PromptStyle, settings: EncodeSettings, cache: TokenCache | None = None
) -> Encoding[TokenList]:
    """Tokenise lists and sort each by its scores, best first; answers of one score stay in the row's order.

    A list of which two answers are equal after the cut is left out and counted.

    Raises:
        InputError: if no row is left.
    """
    result: Encoding[TokenList] = Encoding(total=len(lists))
    tokenised, result.cached = whole_rows(lists, style, cache)
    for row, whole in zip(lists, tokenised, strict=True):
        fitted = fitted_row(whole, settings, style, result, row.source)
        if fitted is None:
            continue
        prompt, answers = fitted
        if len(set(map(tuple, answers))) < len(answers):
            result.drop_same(row.source)
            continue
        order = sorted(range(len(answers)), key=lambda index: -row.scores[index])
        scores = tuple(row.scores[index] for index in order)
        result.rows.append(TokenList(prompt, [answers[i] for i in order], scores, row.source, row.numbers))
    return nonempty(result, settings)
