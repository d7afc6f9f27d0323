"""A method as a page of a textbook, written from the catalogue: what is derived is computed here, never typed in."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.errors import InputError
from penchant.objectives.catalogue import Method, get_method
from penchant.vocabulary import CONSTANTS, TERMS
from penchant.whiteboard.advice import ADVICE
from penchant.whiteboard.anatomy import ANATOMIES, Anatomy
from penchant.whiteboard.inputs import CATALOGUE_ROLES, CONSTANT_ROLES, POLICY_ROLES, ROLE_NAMES, VIEWS, sample_rows
from penchant.whiteboard.prose import PROSE
from penchant.whiteboard.subjects import Subject, checkable, get_subject, others
from penchant.whiteboard.walkthroughs import WALKTHROUGHS

EXAMPLE = {
    "pw": -12.0,
    "pl": -30.0,
    "rw": -14.0,
    "rl": -29.0,
    "m": 8.0,
    "n": 15.0,
    "p": -12.0,
    "r": -14.0,
    "y": True,
    "z0": 0.5,
}
"""The numbers of the worked example: sums in nats, lengths in tokens."""
WRITTEN = {
    "pw": "log π(y_w)",
    "pl": "log π(y_l)",
    "rw": "log π_ref(y_w)",
    "rl": "log π_ref(y_l)",
    "m": "|y_w|",
    "n": "|y_l|",
    "p": "log π(y)",
    "r": "log π_ref(y)",
    "y": "desirable",
    "z0": "z_ref",
    "a": "a",
    "b": "b",
    "q": "r",
}
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
    "a": "log π(y_w) - log π_ref(y_w), nats",
    "b": "log π(y_l) - log π_ref(y_l), nats",
    "q": "log π(y) - log π_ref(y), nats",
}


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
    subject = get_subject(name) if name in checkable() else None
    prose = PROSE.get(name)
    sections = [Section("In one line", prose.memory if prose else _sentence(method.key_difference))]
    sections += [Section("Formula", f"L = {method.formula}", True), Section("Symbols", _symbols(method, subject))]
    anatomy = ANATOMIES.get(name) or WALKTHROUGHS.get(name)
    if anatomy is not None:
        sections += [Section("Pseudocode", _pseudocode(anatomy, subject), True), Section("Steps", _steps(anatomy))]
    if prose:
        sections.append(Section("Diagram", prose.diagram, True))
    if subject is not None:
        sections.append(Section("Worked example", _example(subject, anatomy), True))
        derivative = [_derivative(subject), prose.derivative if prose else ""]
        sections += [Section("Derivative", "\n".join(filter(None, derivative)))] if any(derivative) else []
    use, wrong = ADVICE.get(name, ("", ""))
    if prose or use:
        sections.append(Section("When to use it", prose.use if prose else use))
    sections.append(Section("Needs", _needs(method)))
    sections.append(Section("Constants", _constants(method)))
    if prose:
        sections.append(Section("Pitfalls", "\n".join(f"- {what}: {symptom}." for what, symptom in prose.pitfalls)))
    elif wrong:
        sections.append(Section("What goes wrong", wrong + "."))
    neighbours = list(prose.neighbours if prose else ()) + (_limits(subject) if subject else [])
    if neighbours:
        sections.append(Section("Neighbours", "\n".join(f"- {_sentence(text)}" for text in neighbours)))
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
        parts.append(section.title.upper() + "\n" + textwrap.indent("\n".join(lines), "  "))
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
        parts.append(f"## {section.title}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _inputs(subject: Subject) -> list[str]:
    """The symbols that a method's inputs are made of."""
    found: list[str] = []
    symbols: list[str] = ["pw", "rw", "pl", "rl", "p", "r"]
    for role in subject.forms[0]:
        names = [name for name in symbols if name in VIEWS.get(role, "").split()] or [role]
        found += [name for name in names if name not in found]
    return found


def _meaning(role: str) -> str:
    return _MEANINGS.get(role) or TERMS[role].meaning


def _symbols(method: Method, subject: Subject | None) -> str:
    roles = _inputs(subject) if subject else [CATALOGUE_ROLES.get(name, name) for name in method.inputs]
    lines = [f"- {WRITTEN.get(role, role)}: {_meaning(role)}" for role in roles]
    lines += [f"- {name.rstrip('_')}: {CONSTANTS[name].meaning}" for name in method.constants if name in CONSTANTS]
    return "\n".join(lines)


def _pseudocode(anatomy: Anatomy, subject: Subject | None) -> str:
    given = _inputs(subject) if subject else []
    head = f"given {', '.join(WRITTEN.get(name, name) for name in given)}:"
    lines = []
    for step in anatomy.steps:
        written = re.sub(r"\b\w+\b(?!\()", lambda found: _written(found[0], given), step.expression)
        lines.append(f"    {step.name} = {written}")
    return "\n".join([head, *lines, f"return mean of {anatomy.steps[-1].name} over the rows"])


def _written(symbol: str, given: list[str]) -> str:
    """A symbol as one writes it: inputs by their formula, constants by the catalogue's name."""
    return WRITTEN.get(symbol, symbol) if symbol in given else _constant_name(symbol)


def _constant_name(role: str) -> str:
    return ROLE_NAMES[role] if role in CONSTANT_ROLES and role in ROLE_NAMES else role


def _steps(anatomy: Anatomy) -> str:
    return "\n".join(f"{number}. {step.text}: {step.meaning}." for number, step in enumerate(anatomy.steps, 1))


def _example_rows(subject: Subject) -> dict[str, Any]:
    rows = sample_rows(1, subject.extras)
    rows |= {name: np.array([value]) for name, value in EXAMPLE.items()}
    rows |= {name: np.array([float(value)]) for name, value in subject.constants.items()}
    return rows


def _example(subject: Subject, anatomy: Anatomy | None) -> str:
    rows = _example_rows(subject)
    given = [name for name in _inputs(subject) if name in rows]
    lines = [f"{WRITTEN.get(name, name)} = {_number(rows[name])}" for name in given]
    lines += [f"{_constant_name(name)} = {_number(rows[name])}" for name in subject.constants]
    lines.append("")
    if anatomy is not None:
        values = anatomy.run(rows)
        width = max(len(step.text) for step in anatomy.steps)
        lines += [f"{step.text:<{width}}   {_number(values[step.name])}" for step in anatomy.steps]
    else:
        lines.append(f"L = {_number(subject.formula.loss(rows))}")
    return "\n".join(lines)


def _number(value: Any) -> str:
    scalar = np.asarray(value).reshape(-1)[0]
    return str(bool(scalar)) if isinstance(scalar, np.bool_) else f"{float(scalar):.6g}"


def slopes(subject: Subject) -> dict[str, float]:
    """Derivatives of the worked example's loss by the policy's log-probs, by central differences."""
    rows, found, step = _example_rows(subject), {}, 1e-5
    for name in _inputs(subject):
        if name not in POLICY_ROLES:
            continue
        ends = [
            np.asarray(subject.formula.loss(rows | {name: rows[name] + sign * step})).reshape(-1)[0] for sign in (1, -1)
        ]
        found[name] = float((ends[0] - ends[1]) / (2 * step))
    return found


def _derivative(subject: Subject) -> str:
    words = []
    for name, slope in slopes(subject).items():
        direction = "stays" if abs(slope) < 1e-9 else "is pushed up" if slope < 0 else "is pushed down"
        words.append(f"∂L/∂{WRITTEN[name]} = {slope:.6g}, so {WRITTEN[name]} {direction}")
    return f"In the example: {'; '.join(words)}." if words else ""


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
        meaning = f"{CONSTANTS[name].meaning}; " if name in CONSTANTS else ""
        lines.append(f"- {name.rstrip('_')} = {value}: {meaning}{told}")
    return "\n".join(lines) or "None."


def argument_text(method: Method, name: str) -> str:
    """What the loss's docstring says of one argument, without the last full stop: domain, and values of the paper."""
    documented = inspect.getdoc(method.loss) or ""
    found = re.search(rf"^    {name}: (.*?)(?=^    \w+: |^$)", documented, flags=re.M | re.S)
    return " ".join(found[1].split()).rstrip(".").replace("``", "`") if found else ""


def _limits(subject: Subject) -> list[str]:
    """Other methods that this one becomes when one constant is 0 or 1: found by computing both."""
    rows = sample_rows(9, subject.extras)
    rows |= {name: np.full(9, float(value)) for name, value in subject.constants.items()}
    found = []
    for name in subject.constants:
        for value in (0.0, 1.0):
            bent = rows | {name: np.full(9, value)}
            if value == subject.constants[name] or (name == "beta" and value == 0):
                continue
            found += [
                f"with {_constant_name(name)} = {value:g} it is {other}" for other in _equal_to(subject, bent, name)
            ]
    return found


def _equal_to(subject: Subject, rows: dict[str, Any], bent: str) -> list[str]:
    """Methods with the same loss on these rows; the bent constant is the subject's alone."""
    kept = set(subject.constants) - {bent}
    equal = []
    for other in others(subject):
        theirs = rows | {n: np.full(9, float(v)) for n, v in other.constants.items() if n not in kept}
        try:
            same = np.allclose(subject.formula.loss(rows), other.formula.loss(theirs), rtol=1e-9, atol=1e-12)
        except InputError:  # a constant out of the other method's domain
            same = False
        equal += [other.name] if same else []
    return equal
