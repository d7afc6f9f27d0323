"""The catalogue: every method is a loss with bound constants and a paper; what it needs is read off its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from penchant.errors import InputError, suggest
from penchant.objectives.door import check_constants
from penchant.objectives.pairwise import dpo_loss, ipo_loss, orpo_loss, simpo_loss
from penchant.objectives.unpaired import kto_loss
from penchant.objectives.vocabulary import CHOICES, CONSTANTS, ROW_TERMS
from penchant.records import Array


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a method was published."""

    authors: str
    title: str
    year: int
    arxiv: str

    def __str__(self) -> str:
        return f"{self.authors} {self.year}, arXiv:{self.arxiv}"


@dataclass(frozen=True, slots=True)
class Method:
    """A published method: what ``--method`` names.

    Attributes:
        name: The name on the command line.
        loss: The loss function; its signature says what it needs.
        key_difference: One clause that sets it apart.
        formula: One line of plain text; a and b are the log-ratios of chosen and rejected, p̄ a log-prob per token.
        paper: Its source.
        bound: Constants that differ from the function's own defaults.
    """

    name: str
    loss: Callable[..., Array]
    key_difference: str
    formula: str
    paper: Paper
    bound: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The row terms the loss asks for, by name."""
        return tuple(name for name in inspect.signature(self.loss).parameters if name in ROW_TERMS)

    @property
    def needs_reference(self) -> bool:
        return any(name.startswith(("ref_", "log_ratio")) for name in self.inputs)

    @property
    def needs_pairs(self) -> bool:
        return "is_desirable" not in self.inputs

    @property
    def uses_lengths(self) -> bool:
        return any(name.endswith("lengths") for name in self.inputs)

    @property
    def constants(self) -> dict[str, Any]:
        """The constants a user may set, with their defaults for this method."""
        parameters = inspect.signature(self.loss).parameters
        names = [name for name in parameters if name in CONSTANTS or (name in CHOICES and name != "reduction")]
        return {name: self.bound.get(name, parameters[name].default) for name in names}

    def with_constants(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The method's constants with the user's own in place.

        Raises:
            InputError: if the method has no such constant or the value is out of its domain.
        """
        constants = self.constants
        names = {shown(name): name for name in constants}
        for name in given:
            if shown(name) not in names:
                fix = f"Its constants: {', '.join(names)}"
                raise InputError(f"method {self.name!r} has no constant {shown(name)!r}", fix=fix)
        chosen = {names[shown(name)]: value for name, value in given.items()}
        check_constants(chosen, f"--method {self.name}")
        return constants | chosen


def shown(name: str) -> str:
    """A constant's name as users write it: ``lambda_`` is ``lambda``."""
    return name.rstrip("_")


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "dpo",
            dpo_loss,
            "the canonical form: logistic loss on the difference of log-ratios",
            "-log σ(β(a - b))",
            Paper("Rafailov et al.", "Direct Preference Optimization", 2023, "2305.18290"),
        ),
        Method(
            "ipo",
            ipo_loss,
            "squared loss to a finite margin 1/(2β): no Bradley-Terry assumption",
            "(a - b - 1/(2β))²",
            Paper(
                "Azar et al.",
                "A General Theoretical Paradigm to Understand Learning from Human Preferences",
                2023,
                "2310.12036",
            ),
        ),
        Method(
            "kto",
            kto_loss,
            "single answers with a thumbs-up or thumbs-down, against a KL baseline",
            "λ(1 - σ(±β(r - z_ref)))",
            Paper("Ethayarajh et al.", "KTO: Model Alignment as Prospect Theoretic Optimization", 2024, "2402.01306"),
            MappingProxyType({"value_function": "sigmoid"}),
        ),
        Method(
            "simpo",
            simpo_loss,
            "no reference; log-probs per token and a target margin γ",
            "-log σ(β(p̄_w - p̄_l) - γ)",
            Paper(
                "Meng, Xia, Chen",
                "SimPO: Simple Preference Optimization with a Reference-Free Reward",
                2024,
                "2405.14734",
            ),
        ),
        Method(
            "orpo",
            orpo_loss,
            "no reference; fine-tuning and an odds-ratio term in one loss",
            "-p̄_w + λ(-log σ(log odds_w - log odds_l))",
            Paper(
                "Hong, Lee, Thorne",
                "ORPO: Monolithic Preference Optimization without Reference Model",
                2024,
                "2403.07691",
            ),
        ),
    )
}


def get_method(name: str) -> Method:
    """Look a method up.

    Raises:
        InputError: with the nearest name, if there is none of this name.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(f"no method {name!r}", fix=suggest(str(name), METHODS))
    return METHODS[name]
