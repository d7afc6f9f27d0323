"""Rules on a row and all the others. Each takes the columns and gives the rows at fault, by index, with a finding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from penchant.doctor.columns import Columns
from penchant.doctor.rule import Finding, Rule, Severity, rule


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
    """The prompt, but for case and white space, is one of the evaluation set's; worst where the answers are too."""
    if held_out is None or not len(held_out):
        return
    whole = dict(_meetings(held_out.keys(), rows.keys()))
    prompts = held_out.numbers("prompt").astype(np.uint64), rows.numbers("prompt").astype(np.uint64)
    for index, other in _meetings(*prompts):
        if index in whole:
            yield index, Finding(f"the whole row is at {held_out.source(whole[index])}", 2.0)
        else:
            yield index, Finding(f"its prompt is at {held_out.source(other)}")


def _meetings(known: NDArray[np.uint64], asked: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """For each asked key that is known: its index, and the first index of the known one."""
    order = np.argsort(known, kind="stable")
    sorted_keys = known[order]
    position = np.searchsorted(sorted_keys, asked)
    found = (position < len(known)) & (sorted_keys[np.minimum(position, len(known) - 1)] == asked)
    for index in np.flatnonzero(found):
        yield int(index), int(order[position[index]])


RULES: tuple[Rule, ...] = (duplicates, contradictions, leaks)
