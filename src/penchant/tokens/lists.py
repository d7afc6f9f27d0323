"""Tokenise ranked answers: lists of any number of answers, best first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from penchant.records import RankedAnswers, TokenList
from penchant.tokens.encode import BATCH, Encoding, fitted_row, nonempty
from penchant.tokens.template import PromptStyle
from penchant.tokens.tokenise import EncodeSettings, Tokenised, tokenise


def encode_lists(lists: Sequence[RankedAnswers], style: PromptStyle, settings: EncodeSettings) -> Encoding[TokenList]:
    """Tokenise lists and sort each by its scores, best first; answers of one score stay in the row's order.

    A list of which two answers are equal after the cut is left out and counted.

    Raises:
        InputError: if no row is left.
    """
    result: Encoding[TokenList] = Encoding(total=len(lists))
    for start in range(0, len(lists), BATCH):
        batch = lists[start : start + BATCH]
        for row, whole in zip(batch, _tokenised(batch, style), strict=True):
            fitted = fitted_row(whole, settings, style, result, row.source)
            if fitted is None:
                continue
            prompt, answers = fitted
            if len(set(map(tuple, answers))) < len(answers):
                result.same_after_cut.append(row.source)
                continue
            order = sorted(range(len(answers)), key=lambda index: -row.scores[index])
            scores = tuple(row.scores[index] for index in order)
            result.rows.append(TokenList(prompt, [answers[i] for i in order], scores, row.source, row.numbers))
    return nonempty(result, settings)


def _tokenised(batch: Sequence[RankedAnswers], style: PromptStyle) -> list[Tokenised]:
    """The rows tokenised, those with one number of answers together."""
    prompts = [style.render(row.prompt, row.source, row.template_args) for row in batch]
    of_count: defaultdict[int, list[int]] = defaultdict(list)
    for index, row in enumerate(batch):
        of_count[len(row.answers)].append(index)
    found: dict[int, Tokenised] = {}
    for indices in of_count.values():
        done = tokenise([prompts[i] for i in indices], [batch[i].answers for i in indices], style)
        found |= dict(zip(indices, done, strict=True))
    return [found[index] for index in range(len(batch))]
