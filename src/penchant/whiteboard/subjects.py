"""What can be checked: every method of the catalogue on pairs or single answers, and the log-sigmoid.

A method with an anatomy is known line by line; any other is known by its inputs and constants alone, and its faults
are those that can be made with them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from penchant.errors import InputError, suggest
from penchant.objectives.catalogue import METHODS, OTHER_NAMES, Method
from penchant.whiteboard.anatomy import ANATOMIES, NOTHING, evaluate
from penchant.whiteboard.binding import forms_of
from penchant.whiteboard.fault import Fault
from penchant.whiteboard.faults import FAULTS
from penchant.whiteboard.inputs import BASELINE, CATALOGUE_ROLES, VIEWS, sample_rows


class Formula(Protocol):
    """A loss per row whose parts can be bent."""

    def loss(self, symbols: Mapping[str, Any], changes: Mapping[str, str] = NOTHING) -> Any: ...

    def line(self, name: str) -> str: ...


@dataclass(frozen=True)
class Subject:
    """What a function is checked against.

    Attributes:
        name: The method, or ``log_sigmoid``.
        formula: The loss of each row.
        faults: Single known mistakes.
        forms: Orders of roles in which it is usually written.
        constants: Defaults by role.
        method: The catalogue's entry, if it has one.
    """

    name: str
    formula: Formula
    faults: tuple[Fault, ...]
    forms: tuple[tuple[str, ...], ...]
    constants: Mapping[str, float]
    method: Method | None = None

    @property
    def paired(self) -> bool:
        return not any("y" in form or form == ("x",) for form in self.forms)

    @property
    def extras(self) -> tuple[str, ...]:
        """Inputs that are no symbol of the anatomies: ratings, for instance."""
        return tuple(role for role in self.forms[0] if role not in VIEWS)


@dataclass(frozen=True)
class CatalogueFormula:
    """The catalogue's own loss, with its inputs and constants as the parts that can be bent."""

    method: Method

    def loss(self, symbols: Mapping[str, Any], changes: Mapping[str, str] = NOTHING) -> Any:
        values = dict(symbols)
        inputs = {name: evaluate(changes.get(name, _expression(name)), values) for name in self.method.inputs}
        constants = {name: self._constant(name, values, changes) for name in self.method.constants}
        losses = _in_groups(self.method, inputs, constants, np.shape(symbols["pw"]))
        return evaluate(changes["loss"], values | {"loss": losses}) if "loss" in changes else losses

    def _constant(self, name: str, values: Mapping[str, Any], changes: Mapping[str, str]) -> Any:
        default = self.method.constants[name]
        if isinstance(default, str):
            return default
        role = CATALOGUE_ROLES.get(name, name)
        return evaluate(changes.get(name, role), {role: default} | dict(values))

    def line(self, name: str) -> str:
        return f"L = {self.method.formula}"


def _expression(name: str) -> str:
    role = CATALOGUE_ROLES.get(name, name)
    return VIEWS.get(role, role)


def _in_groups(method: Method, inputs: Mapping[str, Any], constants: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """Losses of rows whose constants differ: the catalogue takes one value of each at a time."""
    count = shape[0] if shape else 1
    columns = {
        name: np.broadcast_to(value, (count,)) for name, value in constants.items() if not isinstance(value, str)
    }
    words = {name: value for name, value in constants.items() if isinstance(value, str)}
    losses = np.full(count, np.nan)
    keys = list(zip(*columns.values(), strict=True)) if columns else [()] * count
    for key in dict.fromkeys(keys):
        rows = [i for i, found in enumerate(keys) if found == key]
        given = {name: np.broadcast_to(value, (count,))[rows] for name, value in inputs.items()}
        chosen = dict(zip(columns, (float(value) for value in key), strict=True))
        with np.errstate(all="ignore"):
            losses[rows] = method.loss(**given, **chosen, **words, reduction="none")
    return losses if shape else losses[0]


@functools.cache
def get_subject(name: str) -> Subject:
    """What to check against, by name.

    Raises:
        InputError: if there is no such method, or it is not one that works on numbers per pair or answer.
    """
    if name == "log_sigmoid":
        return Subject(name, ANATOMIES[name], FAULTS[name], (("x",),), {})
    name = OTHER_NAMES.get(name, name)
    if name not in METHODS:
        raise InputError(f"no method {name!r}", fix=suggest(name, [*METHODS, "log_sigmoid"]))
    subject = _of_method(METHODS[name])
    if subject is None:
        raise InputError(f"penchant check cannot grade {name!r}: it is not a loss on numbers per pair or answer")
    return subject


def _of_method(method: Method) -> Subject | None:
    forms = tuple(forms_of(method.inputs))
    constants = {
        CATALOGUE_ROLES.get(name, name): value for name, value in method.constants.items() if not isinstance(value, str)
    }
    if method.name in ANATOMIES:
        return Subject(method.name, ANATOMIES[method.name], FAULTS[method.name], forms, constants, method)
    subject = Subject(method.name, CatalogueFormula(method), tuple(_generic_faults(method)), forms, constants, method)
    rows = sample_rows(6, subject.extras)
    rows |= {name: np.full(6, value) for name, value in constants.items()}
    try:
        losses = subject.formula.loss(rows)
        alone = subject.formula.loss({name: np.asarray(values)[:1] for name, values in rows.items()})
    except (InputError, TypeError):  # rows of another shape (lists), or a loss that couples its rows
        return None
    return subject if np.isfinite(losses).all() and np.allclose(alone, losses[:1]) else None


@functools.cache
def checkable() -> tuple[str, ...]:
    """The names of everything that can be checked."""
    return (*(name for name, method in METHODS.items() if _of_method(method) is not None), "log_sigmoid")


def others(subject: Subject) -> Iterator[Subject]:
    """The catalogue's other methods on the same kind of rows."""
    for name in checkable():
        other = get_subject(name)
        known = set(other.extras) <= {BASELINE}
        if name != subject.name and other.method is not None and other.paired == subject.paired and known:
            yield other


def _twin(name: str) -> str | None:
    """The same input of the other answer."""
    for one, other in (("chosen", "rejected"), ("_w", "_l")):
        for old, new in ((one, other), (other, one)):
            if old in name:
                return name.replace(old, new)
    return None


_OWN_FAULTS = {
    "dpop": (
        Fault(
            "lambda-outside-beta",
            "lambda's penalty is not multiplied by beta",
            "Double beta in the call: does the penalty grow with it?",
            "β(a - b - λ·max(0, -a)): the penalty stands inside the brackets.",
            {"lambda_": "lam / beta"},
        ),
    ),
    "bco": (
        Fault(
            "baseline-outside-beta",
            "the baseline of log-ratios is not multiplied by beta",
            "Is the baseline one of log-ratios, or of rewards β·log-ratio?",
            "β(a - baseline).",
            {BASELINE: f"{BASELINE} / beta"},
        ),
        Fault(
            "baseline-scaled-twice",
            "the baseline of rewards is multiplied by beta once more",
            "Is the baseline one of log-ratios, or of rewards β·log-ratio?",
            "βa - δ: δ is a mean of rewards.",
            {BASELINE: f"{BASELINE} * beta"},
        ),
    ),
}
"""What people get wrong in methods without a page of steps, beyond what any input and constant allows."""


def _generic_faults(method: Method) -> Iterator[Fault]:
    """Faults that can be made with a method's inputs and constants, whatever its formula."""
    inputs = method.inputs
    swaps = {name: _expression(twin) for name in inputs if (twin := _twin(name)) in inputs and twin is not None}
    hint = "Which answer, and which model, does each input belong to?"
    if swaps:
        yield Fault("sign-flipped", "chosen and rejected are swapped", hint, "Swap them back.", swaps)
    for name in inputs:
        yield from _of_input(name, inputs, swaps, hint)
    for name, default in method.constants.items():
        if not isinstance(default, str):
            yield from _of_constant(name)
    yield from _OWN_FAULTS.get(method.name, ())
    yield Fault("minus-missing", "the loss has the wrong sign", hint, "Turn the sign round.", {"loss": "-loss"})


def _of_input(name: str, inputs: Sequence[str], swaps: Mapping[str, str], hint: str) -> Iterator[Fault]:
    twin = _twin(name)
    if twin in inputs and name < str(twin):
        label = f"{name} and {twin} are swapped"
        code = "lengths-swapped" if "length" in name else "log-probs-mixed-up"
        yield Fault(code, label, hint, "Swap them back.", {name: swaps[name], str(twin): swaps[str(twin)]})
        if "length" in name:
            sentence = "the log-probs are not divided by the lengths"
            yield Fault(
                "length-normalisation-missing",
                sentence,
                hint,
                "Divide by the lengths.",
                {name: "m/m", str(twin): "n/n"},
            )
    if name.startswith("ref_"):
        policy = next(
            (other for other in inputs if other in (name.replace("ref_", "policy_"), name.removeprefix("ref_"))), None
        )
        sentence = f"{name} is left out"
        yield Fault("reference-missing", sentence, hint, "Subtract it.", {name: "0 * pw"})
        if policy:
            changes = {name: _expression(policy), policy: _expression(name)}
            yield Fault("log-probs-mixed-up", f"{name} and {policy} are swapped", hint, "Swap them back.", changes)
    if name.startswith("log_ratio") or name == "log_ratio":
        ratio = _expression(name)
        yield Fault(
            "sign-flipped", f"{name} has the wrong sign", hint, "Policy minus reference.", {name: f"-({ratio})"}
        )
        yield Fault(
            "reference-missing",
            f"{name} leaves the reference out",
            hint,
            "Policy minus reference.",
            {name: ratio.split(" - ")[0]},
        )
    if name == "is_desirable":
        yield Fault(
            "labels-inverted", "desirable and undesirable are swapped", hint, "Swap them back.", {name: "y == False"}
        )


def _of_constant(name: str) -> Iterator[Fault]:
    role, shown = CATALOGUE_ROLES.get(name, name), name.rstrip("_")
    hint = f"Change {shown} in the call: does the loss change as the formula says?"
    answer = f"Use {shown} exactly where the formula has it."
    if role in ("beta", "gamma"):
        yield Fault(f"{shown}-missing", f"{shown} is missing", hint, answer, {name: f"{role} / {role}"})
        yield Fault(f"{shown}-doubled", f"{shown} is doubled", hint, answer, {name: f"2 * {role}"})
        yield Fault(f"{shown}-doubled", f"{shown} is applied twice", hint, answer, {name: f"{role} * {role}"})
        yield Fault(f"{shown}-inverted", f"{shown} divides where it multiplies", hint, answer, {name: f"1 / {role}"})
    if role != "beta":
        yield Fault(f"{shown}-missing", f"{shown} is not used", hint, answer, {name: f"0 * {role}"})
        yield Fault(f"{shown}-sign", f"{shown} has the wrong sign", hint, answer, {name: f"-{role}"})
