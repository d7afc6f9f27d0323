"""The public layouts of preference data, and which of them a row is in."""

from __future__ import annotations

from penchant.data.formats import (
    conversation_pairs,
    labelled_completions,
    labelled_messages,
    prompt_pairs,
    sharegpt,
)
from penchant.data.formats.fields import describe, listed, quoted
from penchant.data.formats.layout import Layout, Row
from penchant.errors import InputError, suggest

LAYOUTS: tuple[Layout, ...] = (
    sharegpt.LAYOUT,
    prompt_pairs.LAYOUT,
    conversation_pairs.LAYOUT,
    labelled_completions.LAYOUT,
    labelled_messages.LAYOUT,
)
"""In the order of recognition: conversation pairs come after the pairs whose columns include theirs."""


def layout_named(name: str) -> Layout:
    """The layout that ``format=`` asks for."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise InputError(f"no format {describe(name)}", fix=suggest(name, [layout.name for layout in LAYOUTS]))


def recognise(row: Row, source: str) -> Layout:
    """The layout that a file's first row is in."""
    for layout in LAYOUTS:
        if layout.matches(row):
            return layout
    nearest = min(LAYOUTS, key=lambda layout: len(layout.missing(row)) - len(layout.misspelled(row)) / 2)
    if len(nearest.missing(row)) == len(nearest.columns) and not nearest.misspelled(row):
        known = "; ".join(", ".join(layout.columns) for layout in LAYOUTS)
        what = "the columns fit no known layout"
        raise InputError(what, where=source, got=describe(row), fix=f"Known layouts have {known}")
    raise missing_columns(nearest, row, source, f"{nearest.title}, the nearest known layout")


def missing_columns(layout: Layout, row: Row, source: str, owner: str) -> InputError:
    """The error of a row that lacks columns of ``layout``; ``owner`` says what needs them."""
    missing = layout.missing(row)
    renamed = [f"{quoted(found)} to {quoted(wanted)}" for wanted, found in layout.misspelled(row).items()]
    return InputError(
        f"missing column{'s' if len(missing) > 1 else ''} {listed(missing)} for {owner}",
        where=source,
        got=describe(row),
        fix=f"Rename {' and '.join(renamed)}" if renamed else None,
    )
