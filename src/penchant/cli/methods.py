"""``penchant methods``: the comparison table, derived from the catalogue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penchant.objectives import Method, Paper


def methods(*, json: bool = False) -> None:
    """Compare the methods: what each needs, its formula, constants and paper.

    Parameters
    ----------
    json
        Print the table as JSON.
    """
    if json:
        print(as_json())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from penchant.objectives import METHODS

    console = Console()
    table = Table(show_lines=True)
    for heading in ("method", "rows", "needs", "formula, and what sets it apart"):
        table.add_column(heading)
    table.add_column("constants and paper", min_width=len("arXiv:2305.18290"))
    for method in METHODS.values():
        name, _, _, _, difference, formula, constants, paper = cells(method)
        what = Text.assemble((formula, "bold"), "\n", difference)
        needs = "\n".join(method.needs) or "nothing else"
        table.add_row(
            name, method.data, needs, what, Text.assemble(constants.replace(", ", "\n"), "\n", (paper, "dim"))
        )
    console.print(table)
    console.print(LEGEND, highlight=False, markup=False)


HEADINGS = (
    "method",
    "needs reference",
    "needs pairs",
    "also needs",
    "key difference",
    "formula",
    "default constants",
    "paper",
)
LEGEND = (
    "a, b: log-ratio policy/reference of the chosen, rejected answer; r: of a single answer; "
    "p̄: log-prob per token; m, n: tokens of the chosen, rejected answer; odds = P/(1-P) with P = exp(p̄)"
)


def cells(method: Method) -> tuple[str, ...]:
    """One row of the table, as text."""
    from penchant.objectives.catalogue import shown

    constants = ", ".join(f"{shown(name)}={value}" for name, value in method.constants.items() if _telling(name, value))
    return (
        method.name,
        "yes" if method.needs_reference else "no",
        "yes" if method.needs_pairs else f"no, {method.data}",
        ", ".join(need for need in method.needs if need != "reference") or "-",
        method.key_difference,
        method.formula,
        constants,
        str(method.paper),
    )


def as_json() -> str:
    """The table for programs."""
    from penchant.objectives import METHODS

    return json.dumps([_facts(method) for method in METHODS.values()], indent=2, ensure_ascii=False)


def as_markdown() -> str:
    """The table for the README, which is generated from it."""
    from penchant.objectives import METHODS

    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS)]
    for method in METHODS.values():
        name, *rest, constants, _ = cells(method)
        rest[-1] = f"`{rest[-1]}`"
        source = published(method)
        paper = f"[{source.authors} {source.year}](https://arxiv.org/abs/{source.arxiv})"
        lines.append("| " + " | ".join([f"**{name}**", *rest, constants, paper]) + " |")
    return "\n".join([*lines, "", LEGEND])


def _facts(method: Method) -> dict[str, Any]:
    from penchant.objectives.catalogue import shown

    paper = published(method)
    return {
        "method": method.name,
        "needs_reference": method.needs_reference,
        "needs_pairs": method.needs_pairs,
        "rows": method.data,
        "needs": list(method.needs),
        "key_difference": method.key_difference,
        "formula": method.formula,
        "default_constants": {shown(name): value for name, value in method.constants.items()},
        "inputs": list(method.inputs),
        "function": f"penchant.{method.loss.__name__}",
        "paper": {
            "authors": paper.authors,
            "title": paper.title,
            "year": paper.year,
            "arxiv": paper.arxiv,
        },
    }


def published(method: Method) -> Paper:
    """The paper of a method of the catalogue."""
    assert method.paper is not None, "a method of the catalogue has a paper"
    return method.paper


def _telling(name: str, value: Any) -> bool:
    """Constants that say something in a narrow table: not those that are switched off."""
    return not (name == "label_smoothing" and value == 0.0)
