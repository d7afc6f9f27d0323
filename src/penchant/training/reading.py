"""A run's rows, of the kind that its method takes, with every loss of rows said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from penchant.data import read_lists, read_preferences
from penchant.errors import InputError
from penchant.objectives import Method
from penchant.records import RankedAnswers
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
    if method.data != "lists":
        found: Any = read_preferences(data, unpaired=not method.needs_pairs, format=format, terms=terms)
        say(f"{title:<10} {found.summary()}")
        return found
    found = read_lists(data, format=format, terms=terms)
    say(f"{title:<10} {found.summary()}")
    if "list_scores" in method.inputs:
        return found
    kept = [row for row in found.rows if is_strict(row)]
    if len(kept) == len(found.rows):
        return found
    why = f"two answers of one rating, and {method.name} learns from their order alone"
    if not kept:
        raise InputError(f"no list is left: each has {why}", fix="Choose a method that reads ratings, such as info_nca")
    say(f"{title:<10} {len(found.rows) - len(kept)} of {len(found.rows)} lists left out: {why}")
    return dataclasses.replace(found, rows=kept)


def is_strict(row: RankedAnswers) -> bool:
    """Whether no two answers have one score."""
    return len(set(row.scores)) == len(row.scores)
