"""Held-out pairs from tables of log-probs: one table per checkpoint, the same pairs in the same order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from penchant.data.files import path_text
from penchant.diagnostics import implicit_rewards
from penchant.errors import InputError
from penchant.evaluation.columns import SumCheck, reward_needs_lengths
from penchant.evaluation.pairs import HeldOut, Rewards
from penchant.evaluation.tables import LogpTable, open_table
from penchant.objectives import Method
from penchant.records import Array

_EXTRAS = {
    "prompt": ("prompt_id", "prompt", "instruction"),
    "source": ("source", "dataset"),
    "user turns": ("turns", "user_turns"),
}

_ALIKE = dict.fromkeys(("chosen_lengths", "rejected_lengths"), (0.0, 0.0))
_ALIKE |= dict.fromkeys(("ref_chosen_logps", "ref_rejected_logps"), (0.01, 0.1))
"""How far a pair's numbers may differ between tables, relatively and absolutely: log-probs by bfloat16's rounding."""


def evaluate_tables(
    paths: Sequence[str],
    *,
    method: Method,
    constants: Mapping[str, Any],
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Rewards], HeldOut]:
    """The rewards in each table, and what the first says of the pairs.

    Columns ``prompt`` (or ``prompt_id``), ``source`` and ``turns`` are used where they are there; without the first
    every pair counts as a prompt of its own, and so does a row whose prompt is empty. ``say`` is told of columns that
    can hardly be sums of log-probs.

    Raises:
        InputError: if a table lacks what the method's reward needs, or the tables do not hold the same pairs.
    """
    results, first = [], None
    for path in paths:
        table = open_table(path, _EXTRAS)
        columns, extras = _whole(table)
        check = SumCheck()
        check.add(columns)
        for remark in check.remarks():
            say(f"{path_text(table.path)}: {remark}")
        rewards = [_reward(method, constants, columns, side, table) for side in ("chosen", "rejected")]
        results.append(Rewards(path_text(table.path), rewards[0], rewards[1]))
        if first is None:
            first = (columns, extras)
            continue
        _check_same_pairs(table, columns, extras, first)
    assert first is not None, "the command line asks for at least one table"
    columns, extras = first
    count = len(results[0].chosen)
    prompts = _prompts(extras.pop("prompt", [None] * count))
    lengths = [columns.get(f"{side}_lengths") for side in ("chosen", "rejected")]
    difference = lengths[0] - lengths[1] if lengths[0] is not None and lengths[1] is not None else None
    groups = {name: [str(value) for value in values] for name, values in extras.items()}
    return results, HeldOut(prompts, difference, groups)


def _prompts(given: Sequence[Any]) -> Array:
    """The first row of each row's prompt; an empty one is a prompt of its own."""
    first: dict[str, int] = {}
    return np.array([
        row if prompt is None or prompt == "" else first.setdefault(str(prompt), row)
        for row, prompt in enumerate(given)
    ])  # fmt: skip


def _whole(table: LogpTable) -> tuple[dict[str, Array], dict[str, list[Any]]]:
    parts = list(table.batches())
    columns = {name: np.concatenate([part.arrays[name] for part in parts]) for name in table.columns}
    return columns, {name: [value for part in parts for value in part.extras[name]] for name in table.extras}


def _reward(
    method: Method, constants: Mapping[str, Any], columns: Mapping[str, Array], side: str, table: LogpTable
) -> Array:
    """The implicit reward of one side; only what it needs is asked of the table."""
    needs = [f"policy_{side}_logps"]
    needs += [f"ref_{side}_logps"] if method.needs_reference else []
    needs += [f"{side}_lengths"] if reward_needs_lengths(method) else []
    missing = [name for name in needs if name not in columns]
    if missing:
        what = f"the reward of method {method.name!r} needs {', '.join(missing)}, which the table lacks"
        raise InputError(what, where=path_text(table.path), got=", ".join(sorted(columns)))
    logps = columns[needs[0]]
    reference = columns[f"ref_{side}_logps"] if method.needs_reference else None
    lengths = columns[f"{side}_lengths"] if reward_needs_lengths(method) else np.ones_like(logps)
    return implicit_rewards(method, constants, logps, reference, lengths)


def _check_same_pairs(
    table: LogpTable,
    columns: Mapping[str, Array],
    extras: Mapping[str, list[Any]],
    first: tuple[Mapping[str, Array], Mapping[str, list[Any]]],
) -> None:
    """A paired test needs the same pairs in the same order.

    Compared are the number of rows and, where both tables have them, lengths, the reference's log-probs and prompts.
    """
    count = len(next(iter(columns.values())))
    wanted = len(next(iter(first[0].values())))
    where = path_text(table.path)
    if count != wanted:
        raise InputError("the tables hold different numbers of rows", where=where, got=f"{count}, the first {wanted}")
    for name, (relative, absolute) in _ALIKE.items():
        if name not in columns or name not in first[0]:
            continue
        alike = np.isclose(columns[name], first[0][name], rtol=relative, atol=absolute)
        if not alike.all():
            row = int(np.argmin(alike))
            got = f"{columns[name][row]:g}, the first {first[0][name][row]:g}"
            what = f"the tables do not hold the same pairs: {name} differ"
            raise InputError(what, where=f"{where}:row {row + 1}", got=got)
    if "prompt" in extras and "prompt" in first[1] and extras["prompt"] != first[1]["prompt"]:
        raise InputError("the tables do not hold the same prompts in the same order", where=where)
