"""``penchant score``: any method's numbers from a table of log-probs, without a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penchant.evaluation.score import TableScore


def score(
    table: Path,
    *,
    method: str = "dpo",
    beta: float | None = None,
    skip_missing: bool = False,
    length_normalize: bool = False,
    json: bool = False,
    **constants: str,
) -> None:
    """Compute losses, rewards, margins and accuracy from a table of log-probs, each with a 95 % interval.

    Any constant of the method is an option too: --gamma 0.5 --label-smoothing 0.1.

    Parameters
    ----------
    table
        A CSV, TSV, JSONL or Parquet file with columns such as policy_chosen_logps, ref_chosen_logps, chosen_lengths,
        or the names that other tools log them under.
    method
        A method's name, or all.
    beta
        The method's beta. [default: the method's]
    skip_missing
        Leave out, and count, rows with an empty or infinite field.
    length_normalize
        Give the loss log-probs per token, as training with --length-normalize true does.
    json
        Print the numbers as JSON.
    """
    from penchant.cli.options import parse_constant
    from penchant.evaluation.score import score_table

    given: dict[str, Any] = {n.replace("-", "_"): parse_constant(value) for n, value in constants.items()}
    if beta is not None:
        given["beta"] = beta
    result = score_table(
        table, method=method, constants=given, skip_missing=skip_missing, length_normalize=length_normalize
    )
    if json:
        from penchant.cli.show import print_json

        print_json(result)
    else:
        _show(result)


def _show(result: TableScore) -> None:
    from math import isnan

    from rich.console import Console
    from rich.table import Table

    wide = None if sys.stdout.isatty() else 120  # in a pipe or a file an interval stays on its line
    console = Console(highlight=False, markup=False, soft_wrap=True, width=wide)
    skipped = f", {result.skipped:,} skipped with an empty or infinite field" if result.skipped else ""
    console.print(f"{result.path}: {result.rows:,} rows{skipped}; 95 % intervals")
    renamed = [f"{column} is {name}" for name, column in result.columns.items() if column != name]
    if renamed:
        console.print(f"columns: {', '.join(renamed)}")
    if result.unused:
        console.print(f"columns not used: {', '.join(result.unused)}")
    for remark in result.remarks:
        console.print(f"remark: {remark}")
    for one in result.scores if len(result.scores) == 1 else ():
        table = Table("", "value", "95 % interval", "rows")
        parts = {"loss": one.loss, "rewards/accuracies": one.accuracy, "rewards/margins": one.margins}
        parts |= {"rewards/chosen": one.rewards_chosen, "rewards/rejected": one.rewards_rejected}
        for name, part in parts.items():
            if part is not None:
                interval = "-" if isnan(part.low) else f"{part.low:.6g} to {part.high:.6g}"
                table.add_row(name, f"{part.value:.6g}", interval, f"{part.n:,}")
        constants = ", ".join(f"{name.rstrip('_')}={value}" for name, value in one.constants.items())
        console.print(f"{one.method}: {constants}")
        console.print(table)
    if len(result.scores) > 1:
        table = Table("method", "loss", "accuracy", "margin", "over")
        for one in result.scores:
            accuracy = (
                f"{one.accuracy.value:.2%} [{one.accuracy.low:.2%}, {one.accuracy.high:.2%}]" if one.accuracy else "-"
            )
            loss = f"{one.loss.value:.4g}" if isnan(one.loss.low) and one.rows > 1 else str(one.loss)
            table.add_row(one.method, loss, accuracy, str(one.margins or "-"), f"{one.rows:,} {one.unit}")
        console.print(table)
    for one in result.scores:
        if one.notes or one.ties:
            ties = (f"{one.ties:,} ties count as half",) if one.ties else ()
            console.print(f"{one.method}: {'; '.join((*one.notes, *ties))}")
    for name, lacks in result.lacking.items():
        console.print(f"not computed: {name} needs {lacks}")
