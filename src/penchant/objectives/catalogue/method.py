"""A method: a loss with bound constants and a paper. What it needs is read off its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from penchant.errors import InputError
from penchant.objectives.door import check_constants
from penchant.records import Array
from penchant.vocabulary import CHOICES, CONSTANTS, DATA, NEEDS, TERMS


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a method was published; ``page`` is the address of what is not on arXiv."""

    authors: str
    title: str
    year: int
    arxiv: str = ""
    page: str = ""

    def __str__(self) -> str:
        return f"{self.authors} {self.year}, {self.place}"

    @property
    def place(self) -> str:
        """``arXiv:2305.18290``, or the address."""
        return f"arXiv:{self.arxiv}" if self.arxiv else self.page

    @property
    def link(self) -> str:
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else f"https://{self.page}"


@dataclass(frozen=True, slots=True)
class Part:
    """One method of a sum, with its weight and all of its constants."""

    weight: float
    method: Method
    constants: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Method:
    """A method: what ``--method`` names.

    Attributes:
        name: The name on the command line.
        loss: The loss function; its signature says what it needs.
        key_difference: One clause that sets it apart.
        formula: One line of plain text; a and b are the log-ratios of chosen and rejected, p̄ a log-prob per token.
        paper: Its source; ``None`` for a sum of methods or a loss of one's own.
        bound: Constants that differ from the function's own defaults.
        parts: What a sum is made of.
        per_token: Whether it ranks answers by means over tokens; left out, if it has no reference and counts the tokens
            of every answer that it scores.
    """

    name: str
    loss: Callable[..., Array]
    key_difference: str
    formula: str
    paper: Paper | None = None
    bound: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    per_token: bool | None = None
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        kinds = [kind for kind in DATA if any(kind in TERMS[name].needs for name in self.inputs)]
        if len(kinds) != 1:
            raise TypeError(f"{self.name}: its inputs belong to {' and '.join(kinds) or 'no'} rows, not to one kind")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The terms the loss asks for, by name."""
        return tuple(name for name in inspect.signature(self.loss).parameters if name in TERMS)

    @property
    def data(self) -> str:
        """What a row is: ``"pairs"``, ``"answers"`` or ``"lists"``."""
        return next(kind for kind in DATA if any(kind in TERMS[name].needs for name in self.inputs))

    @property
    def needs(self) -> tuple[str, ...]:
        """What it takes beyond the policy's log-probs of its rows: words of the vocabulary's ``NEEDS``, in order."""
        asked = {need for name in self.inputs for need in TERMS[name].needs}
        asked |= {"the whole batch"} if self.couples_rows else set()
        return tuple(need for need in NEEDS if need in asked)

    @property
    def couples_rows(self) -> bool:
        """Whether the loss of a batch is no sum over its rows; such a loss has no ``reduction``."""
        return "reduction" not in inspect.signature(self.loss).parameters

    @property
    def needs_reference(self) -> bool:
        return "reference" in self.needs

    @property
    def ranks_per_token(self) -> bool:
        """Whether a reward is a mean over tokens. CPO and TPO count tokens to imitate, but compare sums."""
        if self.per_token is not None:
            return self.per_token
        scored = [name.removeprefix("policy_") for name in self.inputs if name.endswith("logps")]
        counted = [name.replace("logps", "lengths") in self.inputs for name in scored]
        return not self.needs_reference and bool(counted) and all(counted)

    @property
    def needs_pairs(self) -> bool:
        return self.data == "pairs"

    @property
    def uses_lengths(self) -> bool:
        return "lengths" in self.needs

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
                fix = f"Its constants: {', '.join(names)}" if names else "Constants of a sum's parts: dpo(beta=0.2)"
                raise InputError(f"method {self.name!r} has no constant {shown(name)!r}", fix=fix)
        chosen = {names[shown(name)]: value for name, value in given.items()}
        check_constants(chosen, f"--method {self.name}")
        return constants | chosen


def shown(name: str) -> str:
    """A constant's name as users write it: ``lambda_`` is ``lambda``."""
    return name.rstrip("_")
