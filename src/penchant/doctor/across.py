"""Rules on a row and all the others. Each takes the columns and gives the rows at fault, by index, with a finding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from penchant.doctor.columns import NO_SYSTEM, Columns, mix
from penchant.doctor.rule import Finding, Rule, Severity, rule

_LONG_ANSWERS = 40
"""Characters in a row's answers, from which no two rows have the same by chance."""


@rule(
    "D101",
    "duplicate rows",
    Severity.WARNING,
    why="A row that stands k times weighs k times as much, and one of its copies may fall into the evaluation split.",
    remedy="Keep one of each.",
    drops=True,
)
def duplicates(rows: Columns, held_out: Columns | None) -> Iterator[tuple[int, Finding]]:
    """Same prompt, same answers, same preference as an earlier row."""
    keys = rows.keys()
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    group_start = np.concatenate([[True], ~same]) if len(keys) else np.zeros(0, bool)
    firsts = order[np.maximum.accumulate(np.where(group_start, np.arange(len(order)), 0))]
    for position in np.flatnonzero(~group_start):
        yield int(order[position]), Finding(f"the same as {rows.source(int(firsts[position]))}")


@rule(
    "D102",
    "contradicting rows",
    Severity.ERROR,
    why="Two rows pull the same two log-probs in opposite directions: their gradients cancel, and what is left of the "
    "step is noise.",
    remedy="Decide, drop both, or keep both and allow for wrong labels: --label-smoothing, or --method dr_dpo.",
    drops=True,
)
def contradictions(rows: Columns, held_out: Columns | None) -> Iterator[tuple[int, Finding]]:
    """A preferred to B and B preferred to A for one prompt, or one answer with both labels."""
    for index, other in _meetings(rows.keys(), rows.keys(mirrored=True)):
        yield index, Finding(f"{rows.source(other)} says the opposite")


@rule(
    "D103",
    "prompt is in the evaluation set",
    Severity.ERROR,
    why="The evaluation then measures memory, and its accuracy is too high by an unknown amount.",
    remedy="Take these rows out of the training set, not out of the evaluation set.",
    drops=True,
)
def leaks(rows: Columns, held_out: Columns | None) -> Iterator[tuple[int, Finding]]:
    """The prompt is one of the evaluation set's, but for case, white space, punctuation at the end, and a system turn
    that only one of them has; or the last turn and long answers are. Worst where the answers are too."""
    if held_out is None or not len(held_out):
        return
    kinds = (
        ("the whole row is at", 2.0, dict(_meetings(held_out.keys(), rows.keys()))),
        ("its answers and its last turn are at", 2.0, dict(_same_answers(held_out, rows))),
        ("its prompt is at", 1.0, dict(_meetings(held_out.hashes("prompt"), rows.hashes("prompt")))),
        ("its prompt, but for the system turn or punctuation, is at", 1.0, dict(_same_question(held_out, rows))),
    )
    for index in sorted(set().union(*(found for _, _, found in kinds))):
        words, weight, found = next(kind for kind in kinds if index in kind[2])
        yield index, Finding(f"{words} {held_out.source(found[index])}", weight)


def _same_answers(known: Columns, asked: Columns) -> Iterator[tuple[int, int]]:
    """Rows with the last turn and the answers of a known one, whatever was said before; "Yes." shows nothing."""
    keys = (mix(rows.numbers("last"), rows.numbers("first"), rows.numbers("second")) for rows in (known, asked))
    long = asked.numbers("first_length") + asked.numbers("second_length") >= _LONG_ANSWERS
    return ((index, other) for index, other in _meetings(*keys) if long[index])


def _same_question(known: Columns, asked: Columns) -> Iterator[tuple[int, int]]:
    """Rows with all but the system turns of a known one, where these agree or one of the two has none."""
    yield from _meetings(*(mix(rows.numbers("asked"), rows.numbers("system")) for rows in (known, asked)))
    bare = np.flatnonzero(known.numbers("system") == NO_SYSTEM)
    for index, other in _meetings(known.hashes("asked")[bare], asked.hashes("asked")):
        yield index, int(bare[other])
    bare = np.flatnonzero(asked.numbers("system") == NO_SYSTEM)
    for index, other in _meetings(known.hashes("asked"), asked.hashes("asked")[bare]):
        yield int(bare[index]), other


def _meetings(known: NDArray[np.uint64], asked: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """For each asked key that is known: its index, and the first index of the known one."""
    if not len(known):
        return
    order = np.argsort(known, kind="stable")
    sorted_keys = known[order]
    position = np.searchsorted(sorted_keys, asked)
    found = (position < len(known)) & (sorted_keys[np.minimum(position, len(known) - 1)] == asked)
    for index in np.flatnonzero(found):
        yield int(index), int(order[position[index]])


RULES: tuple[Rule, ...] = (duplicates, contradictions, leaks)
