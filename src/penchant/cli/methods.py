"""``penchant methods``: what there is, what each method needs, and one method in full; all of it from the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from penchant.cli.idle import refuse_idle

if TYPE_CHECKING:
    from penchant.objectives import Method, Paper


def methods(
    name: str | None = None,
    /,
    *,
    needs: Annotated[list[str] | None, Parameter(negative="")] = None,
    reference: bool | None = None,
    json: bool = False,
) -> None:
    """List the methods and what each needs, or show one in full.

    Parameters
    ----------
    name
        Show this method: its formula, constants, inputs and paper.
    needs
        List only methods that take such rows (pairs, answers, lists) or need this (lengths, scores, labels ...); may be
        given several times.
    reference
        List only methods with, or without, a reference model.
    json
        Print all facts as JSON.
    """
    from rich.console import Console

    from penchant.objectives import get_method

    if name is not None:
        refuse_idle({"--needs": needs, "--reference": reference}, "is given with a method's name", "Give one of them")
    found = [get_method(name)] if name is not None else list(select(needs or [], reference))
    if json:
        print(as_json(found))
    elif name is not None:
        Console().print(_in_full(found[0]), highlight=False, markup=False)
    else:
        _print_table(found, Console())


def select(needs: Iterable[str], reference: bool | None) -> Iterable[Method]:
    """The methods that need each of these, and have or lack a reference.

    Raises:
        InputError: if there is no such need.
    """
    from penchant.errors import InputError, suggest
    from penchant.objectives import METHODS
    from penchant.vocabulary import DATA, NEEDS

    wanted = set(needs)
    for word in sorted(wanted - {*DATA, *NEEDS}):
        raise InputError(f"nothing is called {word!r}", where="--needs", fix=suggest(word, {*DATA, *NEEDS}))
    for method in METHODS.values():
        if wanted <= {method.data, *method.needs} and reference in (None, method.needs_reference):
            yield method


def _print_table(found: list[Method], console: Any) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("method", "needs", "what sets it apart"):
        table.add_column(heading, no_wrap=heading == "method", overflow="fold")
    for method in found:
        table.add_row(method.name, ", ".join((method.data, *method.needs)), method.key_difference)
    console.print(table)
    console.print(f"\n{len(found)} methods. `penchant methods NAME` shows one in full; sums such as", end=" ")
    console.print("'0.8*dpo + 0.2*bco + nll' and FILE.py:FUNCTION are methods too.", markup=False)


def _in_full(method: Method) -> str:
    lines = {
        "formula": method.formula,
        "rows": method.data,
        "needs": ", ".join(method.needs) or "nothing else",
        "constants": _defaults(method, method.constants) or "none",
        "inputs": ", ".join(method.inputs),
        "function": f"penchant.{method.loss.__name__}" if method.paper else "your own",
        "paper": f"{method.paper.title}. {method.paper}" if method.paper else "-",
    }
    body = "\n".join(f"  {key:<10} {value}" for key, value in lines.items())
    return f"{method.name}: {method.key_difference}\n{body}\n\n{_legend([method])}"


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
    "p̄: log-prob per token; m, n: tokens of the chosen, rejected answer; s_w, s_l: their ratings; "
    "odds = P/(1-P) with P = exp(p̄)"
)


def cells(method: Method) -> tuple[str, ...]:
    """One row of the table, as text."""
    constants = _defaults(method, {name: value for name, value in method.constants.items() if _telling(name, value)})
    return (
        method.name,
        "yes" if method.needs_reference else "no",
        "yes" if method.needs_pairs else f"no, {method.data}",
        ", ".join(need for need in method.needs if need != "reference") or "-",
        method.key_difference,
        method.formula,
        constants or "-",
        str(method.paper),
    )


def _legend(found: Iterable[Method]) -> str:
    """What the table's letters mean, and its question mark where there is one."""
    from penchant.objectives.catalogue import MEANING, UNCONFIRMED

    return f"{LEGEND}; {MEANING}" if any(method.name in UNCONFIRMED for method in found) else LEGEND


def _defaults(method: Method, constants: dict[str, Any]) -> str:
    """Constants with their defaults; a question mark behind those that no source confirms."""
    from penchant.objectives.catalogue import mark, shown

    return ", ".join(
        f"{shown(name)}={round(value, 4) if isinstance(value, float) else value}{mark(method.name, name)}"
        for name, value in constants.items()
    )


def as_json(found: Iterable[Method]) -> str:
    """The facts for programs."""
    return json.dumps([_facts(method) for method in found], indent=2, ensure_ascii=False)


def as_markdown(*names: str) -> str:
    """The table for README and docs, which is generated from the catalogue; of these methods, or of all."""
    from penchant.objectives import METHODS

    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS)]
    found = [METHODS[name] for name in names] or list(METHODS.values())
    for method in found:
        name, *rest, constants, _ = cells(method)
        rest[-1] = "`" + rest[-1].replace("|", "\\|") + "`"
        source = published(method)
        paper = f"[{source.authors} {source.year}]({source.link})"
        lines.append("| " + " | ".join([f"**{name}**", *rest, constants, paper]) + " |")
    return "\n".join([*lines, "", _legend(found)])


def as_groups() -> str:
    """Which methods take which rows, as a table for the documentation; generated from the catalogue."""
    from penchant.objectives import METHODS

    groups: dict[tuple[str, ...], list[str]] = {}
    for method in METHODS.values():
        groups.setdefault((method.data, *method.needs), []).append(method.name)
    lines = ["| rows | also | methods |", "| --- | --- | --- |"]
    for (data, *needs), names in sorted(groups.items(), key=lambda group: (group[0][0] != "pairs", len(group[0]))):
        lines.append(f"| {data} | {', '.join(needs) or 'nothing'} | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines)


def _facts(method: Method) -> dict[str, Any]:
    from penchant.objectives.catalogue import UNCONFIRMED, shown

    paper = method.paper
    return {
        "method": method.name,
        "needs_reference": method.needs_reference,
        "needs_pairs": method.needs_pairs,
        "rows": method.data,
        "needs": list(method.needs),
        "key_difference": method.key_difference,
        "formula": method.formula,
        "default_constants": {shown(name): value for name, value in method.constants.items()},
        "unconfirmed_constants": [shown(name) for name in UNCONFIRMED.get(method.name, ())],
        "inputs": list(method.inputs),
        "function": f"penchant.{method.loss.__name__}" if paper else None,
        "paper": paper and {"authors": paper.authors, "title": paper.title, "year": paper.year, "url": paper.link},
    }


def published(method: Method) -> Paper:
    """The paper of a method of the catalogue."""
    assert method.paper is not None, "a method of the catalogue has a paper"
    return method.paper


def _telling(name: str, value: Any) -> bool:
    """Constants that say something in a narrow table: not those that are switched off."""
    return not (name == "label_smoothing" and value == 0.0)
