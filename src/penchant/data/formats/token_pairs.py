"""Pairs that are tokens already: ``prompt_ids``, ``chosen_ids``, ``rejected_ids``, or each with ``input_ids``."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.data.formats.fields import Row, describe
from penchant.data.formats.layout import Layout
from penchant.errors import InputError
from penchant.records import TokenPair

PROMPT = ("prompt_ids", "prompt_input_ids")
_CHOSEN, _REJECTED = ("chosen_ids", "chosen_input_ids"), ("rejected_ids", "rejected_input_ids")


def convert(row: Row, source: str) -> TokenPair:
    prompt, chosen, rejected = (read_ids(row, group, source) for group in (PROMPT, _CHOSEN, _REJECTED))
    if chosen == rejected:
        what = "the chosen tokens are the rejected ones; the pair states no preference"
        raise InputError(what, where=source, fix="Drop the row", kind="identical")
    return TokenPair(prompt, chosen, rejected, source)


def read_ids(row: Row, names: Sequence[str], source: str) -> list[int]:
    """A column of token ids: whole numbers from 0, at least one."""
    name = next(name for name in names if name in row)
    value = row[name]
    ids = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(ids, list | tuple) or not all(type(one) is int and one >= 0 for one in ids):
        what = f'"{name}" must be a list of token ids'
        raise InputError(what, where=source, got=describe(ids))
    if not ids:
        raise InputError(f'"{name}" holds no tokens', where=source, fix="Drop the row", kind="empty")
    return list(ids)


LAYOUT = Layout(
    name="token-pairs",
    title="tokenised pairs",
    columns=(),
    either=(PROMPT, _CHOSEN, _REJECTED),
    convert=convert,
    known="TRL's own columns after it has tokenised",
)
