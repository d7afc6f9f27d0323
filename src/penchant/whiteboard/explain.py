"""A method as a page of a textbook, written from the catalogue: what is derived is computed here, never typed in."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.objectives.catalogue import MEANING, UNCONFIRMED, Method, get_method, mark
from penchant.vocabulary import CONSTANTS, TERMS
from penchant.whiteboard import derivative, examples
from penchant.whiteboard.advice import ADVICE
from penchant.whiteboard.anatomy import Anatomy
from penchant.whiteboard.diagram import draw
from penchant.whiteboard.inputs import CATALOGUE_ROLES, CONSTANT_ROLES, ROLE_NAMES
from penchant.whiteboard.neighbours import neighbours
from penchant.whiteboard.pitfalls import pitfalls
from penchant.whiteboard.prose import PROSE
from penchant.whiteboard.pushes import pushes, table, told
from penchant.whiteboard.walkthroughs import WALKTHROUGHS
from penchant.whiteboard.walkthroughs.blocks import SIGNS, width, written

_MEANINGS = {
    "pw": "summed log-prob of the chosen answer under the policy, nats",
    "pl": "the same of the rejected answer",
    "rw": "summed log-prob of the chosen answer under the reference, nats; a constant",
    "rl": "the same of the rejected answer; a constant",
    "m": "tokens of the chosen answer",
    "n": "tokens of the rejected answer",
    "p": "summed log-prob of the answer under the policy, nats",
    "r": "the same under the reference; a constant",
    "y": "the label: true for a good answer",
    "z0": "the baseline, max(0, mean log-ratio of mismatched answers), nats; a constant",
}
_HELPERS = {
    "constant": "x, through which no gradient flows",
    "gaps": "x_i - x_j of each two answers: i the row, j the column",
    "each": "x as a column: one row for each answer",
    "across": "x as a row, the same for each answer",
    "ranks": "the place of each answer by x, 1 for the largest",
    "log_sum_from": "log of the summed e^x of an answer and all after it",
    "best": "x of the answer that is rated highest",
    "least": "the smallest x",
    "but_last": "x of all answers but the last",
    "last": "x of the last answer",
    "sort": "x in ascending order",
}
"""What the pseudocode's functions do, where their names do not say."""
_LONGEST = 46
"""Columns of a derivative that is still shown as a formula."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its text; ``code`` text is kept as it is."""

    title: str
    text: str
    code: bool = False


def explain(name: str) -> list[Section]:
    """The sections of a method's page.

    Raises:
        InputError: if there is no such method.
    """
    method = get_method(name)
    prose = PROSE.get(method.name)
    sections = [
        Section("In one line", prose.memory if prose else _sentence(method.key_difference)),
        Section("Formula", f"L = {method.formula}", True),
        Section("Symbols", _symbols(method)),
    ]
    anatomy = WALKTHROUGHS.get(method.name)
    if anatomy is not None:
        diagram = prose.diagram if prose else draw(anatomy, list(examples.constants_of(method)))
        found = pushes(method)
        sections += [
            Section("Pseudocode", _pseudocode(method, anatomy), True),
            Section("Steps", _steps(anatomy)),
            Section("Diagram", diagram, True),
            Section("Worked example", _example(method, anatomy), True),
            Section("Derivative", _chain(method, anatomy), True),
            Section("What it does to each side", table(found), True),
            Section("", prose.derivative if prose else told(found)),
        ]
    if prose or method.name in ADVICE:
        sections.append(Section("When to use it", prose.use if prose else ADVICE[method.name][0]))
    sections += [Section("Needs", _needs(method)), Section("Constants", _constants(method))]
    if anatomy is not None:
        sections.append(Section("Pitfalls", _list(pitfalls(method))))
        known = list(prose.neighbours if prose else ()) + neighbours(method)
        sections += [Section("Neighbours", _list(known))] if known else []
    if method.paper:
        sections.append(Section("Source", f"{method.paper}. {method.paper.title}."))
    return sections


def as_text(sections: list[Section], name: str, width: int = 100) -> str:
    """The page for a terminal."""
    parts = [name]
    for section in sections:
        lines = section.text.splitlines()
        if not section.code:
            lines = [
                w
                for line in lines
                for w in textwrap.wrap(line, width - 2, subsequent_indent="  " if line.startswith("- ") else "") or [""]
            ]
        title = f"{section.title.upper()}\n" if section.title else ""
        parts.append(title + textwrap.indent("\n".join(lines), "  "))
    return "\n\n".join(parts)


def as_markdown(sections: list[Section], name: str) -> str:
    """The page for the documentation."""
    parts = [f"# {name}"]
    for section in sections:
        text = (
            f"```text\n{section.text}\n```"
            if section.code
            else section.text.replace("\n", "\n\n" if not section.text.startswith("- ") else "\n")
        )
        parts.append(f"## {section.title}\n\n{text}" if section.title else text)
    return "\n\n".join(parts) + "\n"


def _sentence(text: str) -> str:
    first = text[:1].upper() if text[:1].isascii() else text[:1]  # β is not Β
    return first + text[1:] + ("" if text.endswith(".") else ".")


def _list(texts: list[str]) -> str:
    return "\n".join(f"- {_sentence(text)}" for text in texts)


def _symbols(method: Method) -> str:
    lines, symbols = [], examples.symbols_of(method)
    for symbol in symbols:
        name = next((name for name in method.inputs if CATALOGUE_ROLES.get(name, name) == symbol), symbol)
        called = f" ({name})" if symbol in TERMS else ""
        meaning = _MEANINGS.get(symbol) or TERMS[symbol].meaning
        if meaning.startswith("the same of") and f"{symbol[0]}w" not in symbols:
            meaning = _MEANINGS[f"{symbol[0]}w"].replace("chosen", "rejected")
        lines.append(f"- {SIGNS.get(symbol, symbol)}{called}: {meaning}")
    for name in method.constants:
        if name in CONSTANTS:
            lines.append(
                f"- {SIGNS.get(CATALOGUE_ROLES.get(name, name), name)} ({name.rstrip('_')}): {_meaning(method, name)}"
            )
    return "\n".join(lines)


def _meaning(method: Method, name: str) -> str:
    """What a constant is: in the loss's own words where the vocabulary cannot know."""
    if name != "alpha":
        return CONSTANTS[name].meaning
    return argument_text(method, name).partition(";")[0].partition(". ")[0]


def _pseudocode(method: Method, anatomy: Anatomy) -> str:
    given = [SIGNS.get(name, name) for name in examples.symbols_of(method)]
    lines = []
    for step in anatomy.steps:
        expression = re.sub(r"\b\w+\b(?!\()", lambda found: _coded(found[0], method), step.expression)
        held = "constant(" if step.held else ""
        lines.append(f"    {step.name} = {held}{expression}{')' if held else ''}")
    last = anatomy.steps[-1].name
    text = "\n".join(lines)
    where = [f"{name}(x): {told}" for name, told in _HELPERS.items() if f"{name}(" in text]
    end = f"return {last}" if method.couples_rows else f"return mean of {last} over the rows"
    return "\n".join([f"given {', '.join(given)}:", *lines, end, *([""] if where else []), *where])


def _coded(symbol: str, method: Method) -> str:
    """A symbol as one writes it: inputs by their formula, constants by the catalogue's name."""
    return SIGNS.get(symbol, symbol) if symbol in examples.symbols_of(method) else _constant_name(symbol)


def _constant_name(role: str) -> str:
    return ROLE_NAMES[role] if role in CONSTANT_ROLES and role in ROLE_NAMES else role


def _steps(anatomy: Anatomy) -> str:
    return "\n".join(f"{number}. {step.text}: {step.meaning}." for number, step in enumerate(anatomy.steps, 1))


def _example(method: Method, anatomy: Anatomy) -> str:
    rows = examples.example(method)
    lines = [f"{SIGNS.get(name, name)} = {_number(rows[name])}" for name in examples.symbols_of(method)]
    lines += [
        f"{SIGNS[name]} ({_constant_name(name)}) = {_number(rows[name])}" for name in examples.constants_of(method)
    ]
    values = anatomy.run(rows)
    return "\n".join([*lines, "", *_aligned([(step.text, _number(values[step.name])) for step in anatomy.steps])])


def _aligned(pairs: list[tuple[str, str]]) -> list[str]:
    wide = max(width(text) for text, _ in pairs)
    return [f"{text}{' ' * (wide - width(text))}   {value}" for text, value in pairs]


def _number(value: Any) -> str:
    """A number, or the numbers of a list or a batch."""
    array = np.asarray(value)
    array = array[0] if array.ndim and array.shape[0] == 1 else array
    if array.ndim:
        return f"({', '.join(_number(part) for part in array)})"
    return str(bool(array)) if array.dtype == bool else f"{float(array) or 0.0:.6g}"


def _chain(method: Method, anatomy: Anatomy) -> str:
    """The derivatives from the loss back to what is trained, with the example's numbers."""
    rows, steep = examples.example(method), examples.steep_symbols(method)
    derived = derivative.run(anatomy, rows)
    values = examples.slopes(anatomy, rows, steep) | derived
    trained = derivative.depending(anatomy, steep)
    lines = [
        (_rule(name, expression if name in derived else ""), _number(values[name]))
        for name, expression in derivative.chain(anatomy)
        if name in trained and name in values
    ]
    return "\n".join(_aligned(lines))


def _rule(name: str, expression: str) -> str:
    left = f"∂L/∂{SIGNS.get(name, name)}"
    right = (
        re.sub(r"\bd_(\w+)", lambda found: f"∂L/∂{SIGNS.get(found[1], found[1])}", written(expression))
        if expression
        else ""
    )
    return f"{left} = {right}" if right and width(right) <= _LONGEST else left


def _needs(method: Method) -> str:
    what = {"pairs": "pairs of answers", "answers": "single answers", "lists": "lists of answers"}[method.data]
    reference = "" if method.needs_reference else " No reference."
    return f"It takes {what}; besides: {', '.join(method.needs) or 'nothing'}.{reference}"


def _constants(method: Method) -> str:
    prose = PROSE.get(method.name)
    lines = []
    for name, value in method.constants.items():
        told = argument_text(method, name) or "which form"
        if name in CONSTANTS and prose and name in prose.values:
            told = f"{CONSTANTS[name].domain}; {prose.values[name]}"
        if told[:1].isupper():  # the loss's own words for it
            told = told[:1].lower() + told[1:]
        elif name in CONSTANTS and name != "alpha":
            told = f"{CONSTANTS[name].meaning}; {told}"
        lines.append(f"- {name.rstrip('_')} = {value}{mark(method.name, name)}: {told}")
    lines += ["", MEANING] if method.name in UNCONFIRMED else []
    return "\n".join(lines) or "None."


def argument_text(method: Method, name: str) -> str:
    """What the loss's docstring says of one argument, without the last full stop: domain, and values of the paper."""
    documented = inspect.getdoc(method.loss) or ""
    found = re.search(rf"^    {name}: (.*?)(?=^    \w+: |^$)", documented, flags=re.M | re.S)
    return " ".join(found[1].split()).rstrip(".").replace("``", "`") if found else ""
