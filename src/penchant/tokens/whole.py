"""Rows tokenised whole, in batches, or taken from the cache; rows that are tokens already as they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair, RankedAnswers, TokenAnswer, TokenPair
from penchant.spool import kinds
from penchant.tokens.cache import WORTH_KEEPING, TokenCache, key_of
from penchant.tokens.template import PromptStyle
from penchant.tokens.tokenise import Tokenised, tokenise

_BATCH = 1000

Text: TypeAlias = PreferencePair | LabelledAnswer | RankedAnswers
Rows: TypeAlias = Sequence[Text | TokenPair | TokenAnswer]


def whole_rows(rows: Rows, style: PromptStyle, cache: TokenCache | None = None) -> tuple[Iterator[Tokenised], bool]:
    """Every row's prompt and answers before any cut, drawn in batches, and whether they are from the cache.

    Raises:
        InputError: if the template refuses a prompt, a row has tokens that the model does not know, or the cache cannot
            be written to; when the row is drawn.
    """
    texts: Any = rows
    if kinds(rows) & {TokenPair, TokenAnswer}:
        texts = (row for row in rows if not isinstance(row, TokenPair | TokenAnswer))
        made, size = _made(texts, style), len(style.tokenizer)
        both = (_as_it_is(row, size) if isinstance(row, TokenPair | TokenAnswer) else next(made) for row in rows)
        return both, False
    if cache is None or len(rows) < WORTH_KEEPING:
        return _made(texts, style), False
    key = key_of(((row.prompt, _answers(row), row.template_args) for row in texts), style)
    if key is None:
        return _made(texts, style), False
    found = cache.read(key)
    if found is not None:
        return found, True
    return cache.kept(key, _made(texts, style)), False


def _made(rows: Iterable[Text], style: PromptStyle) -> Iterator[Tokenised]:
    drawn = iter(rows)
    while batch := list(islice(drawn, _BATCH)):
        yield from _batch(batch, style)


def _batch(rows: Sequence[Text], style: PromptStyle) -> Iterator[Tokenised]:
    """A batch, those with one number of answers together."""
    prompts = [style.render(row.prompt, row.source, row.template_args) for row in rows]
    of_count: defaultdict[int, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        of_count[len(_answers(row))].append(index)
    found: dict[int, Tokenised] = {}
    for indices in of_count.values():
        done = tokenise([prompts[i] for i in indices], [_answers(rows[i]) for i in indices], style)
        found |= dict(zip(indices, done, strict=True))
    yield from (found[index] for index in range(len(rows)))


def _answers(row: Text) -> tuple[str, ...]:
    if isinstance(row, RankedAnswers):
        return row.answers
    if isinstance(row, LabelledAnswer):
        return (row.completion,)
    return (row.chosen, row.rejected, *([] if row.gold is None else [row.gold]))


def _as_it_is(row: TokenPair | TokenAnswer, size: int) -> Tokenised:
    """A row that is tokens already, whose ids the model must know."""
    answers = (row.chosen_ids, row.rejected_ids) if isinstance(row, TokenPair) else (row.completion_ids,)
    largest = max(max(ids) for ids in (row.prompt_ids, *answers))
    if largest >= size:
        what = f"the row has a token that the model does not: it knows {size}, from 0"
        raise InputError(what, where=row.source, got=str(largest), fix="Use the tokenizer that made the rows")
    return Tokenised(row.prompt_ids, answers, (False,) * len(answers))
