"""Which parameter of a hand-written function plays which role: as stated, by its name, else by its place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penchant.errors import InputError, suggest
from penchant.whiteboard.inputs import (
    CATALOGUE_ROLES,
    COMMON_NAMES,
    CONSTANT_ROLES,
    OTHER_LETTERS,
    REFERENCE_WORDS,
    ROLE_NAMES,
    VIEWS,
    role_of,
    words_of,
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the function under test, or a ``"key"`` of a batch that it takes: keys have no order."""

    name: str
    kind: str
    required: bool


@dataclass(frozen=True, slots=True)
class Binding:
    """Which parameter plays which role; parameters left out keep their own defaults."""

    roles: Mapping[str, str]  # parameter -> role
    positional: tuple[str, ...]  # parameters that can only be given by position, in order

    def has(self, role: str) -> bool:
        return role in self.roles.values()

    def parameter(self, role: str) -> str:
        return next(name for name, found in self.roles.items() if found == role)


def bind(
    parameters: Sequence[Parameter],
    forms: Sequence[Sequence[str]],
    given: Sequence[str] | None,
    where: str,
    constants: Sequence[str] = (),
) -> Binding:
    """Find each parameter's role: as stated by the user, by its name, else by its place.

    Args:
        parameters: Of the function under test, in order.
        forms: Orders of roles in which the method is usually written.
        given: The user's own statement, one name of the vocabulary per parameter.
        where: The function, for messages.
        constants: The method's own, by role; a name that is one of these, or of its inputs, means that.

    Raises:
        InputError: if the roles cannot be told.
    """
    only = tuple(p.name for p in parameters if p.kind == "positional")
    if given is not None:
        own = {*constants, *(role for form in forms for role in form)}
        stated = _stated(given, parameters, where, own)
        return Binding(dict(zip((p.name for p in parameters), stated, strict=False)), only)
    named = _named(parameters, forms, constants)
    fixed = {*CONSTANT_ROLES, *constants}
    useful = {role for form in forms for role in form} | fixed | {"m", "n", "z0", "kl"}
    found = {name: role for name, role in named.items() if role in useful}
    required = [p.name for p in parameters if p.required]
    if (
        all(name in found for name in required)
        and len(set(found.values())) == len(found)
        and _enough(found, forms, fixed)
    ):
        return Binding({name: role for name, role in found.items() if role}, only)
    told = {name: role for name, role in found.items() if role and (role in fixed or role == "z0")}
    return Binding(_by_place(parameters, forms, told, where), only)


def _by_place(
    parameters: Sequence[Parameter], forms: Sequence[Sequence[str]], told: Mapping[str, str], where: str
) -> dict[str, str]:
    """Roles in the order in which the method is usually written, beside those that the names tell."""
    places = [p.name for p in parameters if p.required and p.name not in told]
    places = places or [p.name for p in parameters if p.required]
    in_order = all(p.kind != "key" for p in parameters) and ("x" in forms[0] or not _logits(places))
    form = next((form for form in forms if in_order and len(form) == len(places)), None)
    if form is None:
        raise _cannot_tell([p.name for p in parameters], forms[0], where)
    roles = dict(zip(places, form, strict=True))
    if _one_array_for_both(roles):
        raise _both_in_one(places, where)
    return roles | {name: role for name, role in told.items() if name not in roles}


def _cannot_tell(names: Sequence[str], form: Sequence[str], where: str) -> InputError:
    example, got = ",".join(ROLE_NAMES.get(role, role) for role in form), ", ".join(names)
    if _logits(names):
        fix = f"Sum the log-probs of each answer's tokens first, and check a function of ({example})"
        return InputError("logits are not taken, only log-probs of answers", where=where, got=got, fix=fix)
    fix = f"Say what each is with --inputs, in order, for instance --inputs {example}"
    return InputError("cannot tell what the parameters are", where=where, got=got, fix=fix)


def _logits(names: Sequence[str]) -> bool:
    return any("logits" in words_of(name) for name in names)


def _both_in_one(names: Sequence[str], where: str) -> InputError:
    what = "no parameter says which answer it is of: a matrix of (rows, 2) and a concatenated batch are not taken"
    example = "policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps"
    return InputError(
        what, where=where, got=", ".join(names), fix=f"Check a function of one array per answer: ({example})"
    )


def _one_array_for_both(roles: Mapping[str, str]) -> bool:
    """Whether places contradict names: ``policy_logps, ref_logps`` are no chosen and rejected answer."""
    return any(words_of(name) & REFERENCE_WORDS and not role.startswith("r") for name, role in roles.items())


def _named(
    parameters: Sequence[Parameter], forms: Sequence[Sequence[str]], constants: Sequence[str]
) -> dict[str, str | None]:
    """What the names say: the method's own names first, then the common ones, then what it calls otherwise."""
    paired = not any("y" in form or form == ("x",) for form in forms)
    inputs = {role for form in forms for role in form}
    own = {role for role in (*constants, *inputs) if role not in COMMON_NAMES.values()}
    own_names = {spelled: role for role in own for spelled in (role, role.rstrip("_"))}
    named = {p.name: own_names.get(p.name) or role_of(p.name, paired) for p in parameters}
    if "b" in named and "a" not in named:
        named["b"] = "beta"
    for name, role in named.items():
        named[name] = _called_here(name, role, constants, set(named.values()))
    return named


def _called_here(name: str, role: str | None, constants: Sequence[str], taken: set[str | None]) -> str | None:
    """A constant that the method has under another letter: ORPO's lambda is TRL's ``beta``."""
    if role in constants or role not in OTHER_LETTERS:
        return role
    here = OTHER_LETTERS[role]
    only = constants[0] if len(constants) == 1 else ""
    if only in ("beta", "lam") and role != "eps" and "margin" not in name:
        here = only
    return here if here in constants and here not in taken else role


def _enough(found: Mapping[str, str | None], forms: Sequence[Sequence[str]], fixed: set[str]) -> bool:
    """Whether the data roles amount to one of the method's forms, more or less (a fault may leave an input out)."""
    data = {role for role in found.values() if role not in fixed}
    return any(len(data & set(form)) >= max(1, len(form) - 2) for form in forms)


def _stated(given: Sequence[str], parameters: Sequence[Parameter], where: str, own: set[str]) -> list[str]:
    known = {role: role for role in own} | {name: role for role, name in ROLE_NAMES.items()} | CATALOGUE_ROLES
    known |= {role: role for role in VIEWS}
    for name in given:
        if name not in known:
            raise InputError(f"--inputs: no input {name!r}", fix=suggest(name, set(known)))
    needed = sum(p.required for p in parameters)
    if not needed <= len(given) <= len(parameters):
        raise InputError("--inputs must name every parameter, in order", where=where, got=",".join(given))
    return [known[name] for name in given]


def forms_of(inputs: Sequence[str]) -> list[tuple[str, ...]]:
    """The orders in which a method with these catalogue inputs is usually written."""
    first = tuple(CATALOGUE_ROLES.get(name, name) for name in inputs)
    swaps: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
        (("a", "b"), ("pw", "pl", "rw", "rl")),
        (("pw", "pl", "rw", "rl"), ("a", "b")),
        (("pw", "pl", "m", "n"), ("cw", "cl")),
        (("q",), ("p", "r")),
        (("b",), ("pl", "rl")),
        (("pw", "pl", "rw", "rl"), ("pw", "pl", "rw", "rl", "m", "n")),
    )
    forms = [first]
    for old, new in swaps:
        if first[: len(old)] == old and not (new[-2:] == first[-2:] == ("m", "n")):
            forms.append(new + first[len(old) :])
    if "z0" in first:
        forms += [tuple(role for role in form if role != "z0") for form in forms]
        forms += [tuple("kl" if role == "z0" else role for role in form) for form in forms if "z0" in form]
    if "log_ratio_baseline" in first:
        forms += [tuple("reward_baseline" if role == "log_ratio_baseline" else role for role in form) for form in forms]
        forms += [
            tuple(role for role in form if role != "reward_baseline") for form in forms if form[-1] == "reward_baseline"
        ]
    return forms


def parameters_of(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters that can be given one by one."""
    kinds = {
        inspect.Parameter.POSITIONAL_ONLY: "positional",
        inspect.Parameter.POSITIONAL_OR_KEYWORD: "either",
        inspect.Parameter.KEYWORD_ONLY: "keyword",
    }
    found = inspect.signature(function).parameters.values()
    return [Parameter(p.name, kinds[p.kind], p.default is inspect.Parameter.empty) for p in found if p.kind in kinds]
