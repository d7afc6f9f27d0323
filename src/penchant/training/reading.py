"""A run's rows, of the kind that its method takes, as text and as tokens, with every loss of rows said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from penchant.data import read_lists, read_preferences
from penchant.data.formats import layout_named
from penchant.data.shaping import each_turn
from penchant.errors import InputError
from penchant.objectives import Method
from penchant.records import LabelledAnswer, RankedAnswers
from penchant.spool import Chosen, Spool
from penchant.tokens import (
    EncodeSettings,
    Encoding,
    PromptStyle,
    TokenCache,
    encode_answers,
    encode_lists,
    encode_pairs,
)
from penchant.training.config import PreferenceConfig
from penchant.training.inputs import terms_of_data


def read_rows_for(
    method: Method, config: PreferenceConfig, data: Any, format: str | None, title: str, say: Callable[[str], None]
) -> Any:
    """Pairs, labelled answers or lists from files or rows, with a line on what was read.

    Raises:
        InputError: if a row is at fault or none is left.
    """
    terms = terms_of_data(method, weighted=config.weighted, margins=config.margins)
    found = read_kind(method, data, format, terms, title, say)
    return _every_turn(found, title, say) if config.turns == "all" else found


def read_kind(
    method: Method, data: Any, format: str | None, terms: Sequence[str], title: str, say: Callable[[str], None]
) -> Any:
    """Rows of the kind that a method takes, with the columns that it asks for.

    Raises:
        InputError: if a row is at fault or none is left.
    """
    if method.data != "lists":
        found: Any = read_preferences(data, unpaired=not method.needs_pairs, format=format, terms=terms)
        say(f"{title:<10} {found.summary()}")
        return found
    found = read_lists(data, format=format, terms=terms)
    say(f"{title:<10} {found.summary()}")
    if "list_scores" in method.inputs:
        return found
    kept = Chosen(found.rows, (place for place, row in enumerate(found.rows) if is_strict(row)))
    if len(kept) == len(found.rows):
        return found
    why = f"two answers of one rating, and {method.name} learns from their order alone"
    if not kept:
        raise InputError(f"no list is left: each has {why}", fix="Choose a method that reads ratings, such as info_nca")
    say(f"{title:<10} {len(found.rows) - len(kept)} of {len(found.rows)} lists left out: {why}")
    return dataclasses.replace(found, rows=kept)


def _every_turn(found: Any, title: str, say: Callable[[str], None]) -> Any:
    """Labelled conversations with each of the assistant's turns as a row."""
    for reading in found.readings:
        if layout_named(reading.format).gives != "answers":
            what = "turns all is for labelled conversations, and the earlier turns of these rows are both good and bad"
            raise InputError(what, where=reading.file, got=reading.title, fix="Leave turns out")
    if found.rows.kinds != {LabelledAnswer}:
        raise InputError("rows that are tokens already have no turns to train apart", fix="Leave turns out")
    rows = Spool(turn for row in found.rows for turn in each_turn(row))
    say(f"{title:<10} {len(rows)} assistant turns of {len(found.rows)} conversations, each a row")
    return dataclasses.replace(found, rows=rows)


def is_strict(row: RankedAnswers) -> bool:
    """Whether no two answers have one score."""
    return len(set(row.scores)) == len(row.scores)


def encode_rows(
    method: Method, rows: Any, held_out: Any, style: PromptStyle, config: PreferenceConfig, say: Callable[[str], None]
) -> tuple[Sequence[Any], Sequence[Any]]:
    """Token rows for training and evaluation, with every loss of rows said."""
    settings, cache = EncodeSettings(config.max_length, config.truncation), TokenCache.named(config.token_cache)
    encoded: list[Sequence[Any]] = []
    for part in (rows, held_out):
        if not part:
            encoded.append([])
            continue
        result = encode_kind(method, part, style, settings, cache, mismatched=config.estimates_z_ref)
        say("tokens     " + "; ".join(result.report(settings)))
        encoded.append(result.rows)
    return encoded[0], encoded[1]


def encode_kind(
    method: Method,
    rows: Any,
    style: PromptStyle,
    settings: EncodeSettings,
    cache: TokenCache | None,
    *,
    mismatched: bool,
) -> Encoding[Any]:
    """Token rows of the kind that a method takes; ``mismatched``: with an answer to another prompt, where it may be."""
    if method.data == "pairs":
        return encode_pairs(rows, style, settings, cache)
    if method.data == "lists":
        return encode_lists(rows, style, settings, cache)
    return encode_answers(rows, style, settings, cache, mismatched=mismatched)


def split(rows: Sequence[Any], share: float, seed: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Set a share of the prompts aside: all rows of one prompt go to the same side."""
    if share == 0:
        return [], rows
    prompts = [np.array(row.prompt_ids, dtype=">u4").tobytes() for row in rows]  # bytes that sort as the ids do
    distinct = sorted(set(prompts))
    order = torch.randperm(len(distinct), generator=torch.Generator().manual_seed(seed)).tolist()
    count = round(share * len(distinct))
    if not 0 < count < len(distinct):
        raise InputError(f"eval_split {share} of {len(distinct)} prompts leaves one side empty", fix="Give --eval-data")
    aside = {distinct[index] for index in order[:count]}
    is_aside = np.array([prompt in aside for prompt in prompts])
    return Chosen(rows, np.flatnonzero(is_aside)), Chosen(rows, np.flatnonzero(~is_aside))
