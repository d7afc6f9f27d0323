"""What a pair states beside its numbers, where a method asks for it: a third answer, a weight for each token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from penchant.data.formats.fields import describe, from_text, quoted
from penchant.data.formats.turns import read_answer
from penchant.errors import InputError
from penchant.records import PreferencePair
from penchant.vocabulary import TERMS


def stated_texts(record: Any, columns: Mapping[str, str], row: Mapping[str, object], source: str) -> dict[str, Any]:
    """Fields of the record that hold what the row gives for terms that are no numbers.

    Args:
        record: The pair without them.
        columns: The column of each term, by the vocabulary's name.
        row: The raw row.
        source: Where it stands.

    Raises:
        InputError: if what stands there is not what the term is, or the record is of token ids.
    """
    if columns and not isinstance(record, PreferencePair):
        what = f"{quoted(next(iter(columns.values())))} is read beside a pair of texts only"
        raise InputError(what, where=source)
    found: dict[str, Any] = {}
    for term, column in columns.items():
        if TERMS[term].holds == "text":
            found["gold"] = read_answer(row[column], quoted(column), record.prompt, source)
        else:
            side = 0 if column.startswith("chosen") else 1
            found.setdefault("token_weights", [(), ()])[side] = _weights(row[column], column, source)
    if "token_weights" in found:
        found["token_weights"] = tuple(found["token_weights"])
    return found


def _weights(value: object, column: str, source: str) -> tuple[float, ...]:
    """A column's list of numbers; its JSON text counts."""
    value = from_text(value)
    entries = list(value) if isinstance(value, list | tuple) else []
    if not entries or not all(_finite(entry) for entry in entries):
        what = f"{quoted(column)} must be a list of numbers, one for each token of the answer"
        raise InputError(what, where=source, got=describe(value))
    return tuple(map(float, entries))


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
