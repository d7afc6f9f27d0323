"""The public layouts of preference data, and which of them a row is in."""

from __future__ import annotations

from penchant.data.formats import (
    alpaca_eval,
    alpaca_labelled,
    alpaca_pairs,
    arena,
    conversation_pairs,
    helpsteer,
    helpsteer_preferences,
    labelled_completions,
    labelled_messages,
    nectar,
    orca_pairs,
    prompt_pairs,
    ranked_completions,
    ranked_lists,
    rated_answers,
    rated_pairs,
    sharegpt,
    sharegpt_labelled,
    shp,
    stack_exchange,
    stack_exchange_pairs,
    swift_pairs,
    token_answers,
    token_pairs,
    transcripts,
    ultrafeedback,
    verdicts,
    webgpt,
)
from penchant.data.formats.fields import Row, describe, listed, quoted
from penchant.data.formats.layout import Layout
from penchant.errors import InputError, suggest

LAYOUTS: tuple[Layout, ...] = (
    token_pairs.LAYOUT,
    token_answers.LAYOUT,
    sharegpt.LAYOUT,
    prompt_pairs.LAYOUT,
    orca_pairs.LAYOUT,
    alpaca_pairs.LAYOUT,
    swift_pairs.LAYOUT,
    rated_pairs.LAYOUT,
    transcripts.LAYOUT,
    conversation_pairs.LAYOUT,
    shp.LAYOUT,
    stack_exchange_pairs.LAYOUT,
    webgpt.LAYOUT,
    verdicts.LAYOUT,
    arena.LAYOUT,
    alpaca_eval.LAYOUT,
    helpsteer_preferences.LAYOUT,
    labelled_completions.LAYOUT,
    labelled_messages.LAYOUT,
    sharegpt_labelled.LAYOUT,
    alpaca_labelled.LAYOUT,
    ultrafeedback.LAYOUT,
    nectar.LAYOUT,
    stack_exchange.LAYOUT,
    ranked_completions.LAYOUT,
    ranked_lists.LAYOUT,
    helpsteer.LAYOUT,
    rated_answers.LAYOUT,
)
"""In the order of recognition: a layout stands after those whose columns include its own."""


def layout_named(name: str) -> Layout:
    """The layout that ``format=`` asks for."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    fix = suggest(name, [layout.name for layout in LAYOUTS], "docs/data.md has them all")
    raise InputError(f"no format {describe(name)}", fix=fix)


def recognise(row: Row, source: str) -> Layout:
    """The layout that a file's first row is in."""
    for layout in LAYOUTS:
        if layout.matches(row) and layout.fits(row):
            return layout
    nearest = min(LAYOUTS, key=lambda layout: len(layout.missing(row)) - len(layout.misspelled(row)) / 2)
    wanted = len(nearest.columns) + len(nearest.either)
    if len(nearest.missing(row)) == wanted and not nearest.misspelled(row):
        what, fix = "the columns fit no known layout", "See the table of layouts in docs/data.md"
        raise InputError(what, where=source, got=describe(row), fix=fix)
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


def as_markdown() -> str:
    """The table of layouts, for docs/data.md."""
    lines = ["| `--format` | fields | gives | who writes it |", "| --- | --- | --- | --- |"]
    for layout in LAYOUTS:
        groups = [" or ".join(f"`{name}`" for name in group) for group in layout.either]
        fields = ", ".join([f"`{name}`" for name in layout.columns] + groups)
        extra = f"; {', '.join(f'`{name}`' for name in layout.optional)} if there" if layout.optional else ""
        gives = {"pairs": "pairs", "answers": "labelled answers", "lists": "rated answers"}[layout.gives]
        lines.append(f"| {layout.name} | {fields}{extra} | {gives} | {layout.known} |")
    return "\n".join(lines)
