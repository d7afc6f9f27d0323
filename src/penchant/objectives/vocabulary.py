"""The vocabulary of loss parameters: what each name means, its domain, and whether a gradient may flow into it.

A loss's signature is its contract. Whoever calls a loss (a user, the trainer, the catalogue) reads the parameter
names, and this page is the dictionary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowTerm:
    """One number per row (or one for all): shape ``(rows,)`` or ``()``."""

    meaning: str
    gradient: bool = True
    positive: bool = False
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Constant:
    """One number that the user chooses."""

    meaning: str
    domain: str
    admits: Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Choice:
    """One word out of a few."""

    meaning: str
    words: tuple[str, ...]


_SUM = "nats, summed over the answer's tokens"

ROW_TERMS = {
    "policy_chosen_logps": RowTerm(f"log-prob of the chosen answer under the policy; {_SUM}"),
    "policy_rejected_logps": RowTerm(f"log-prob of the rejected answer under the policy; {_SUM}"),
    "ref_chosen_logps": RowTerm(f"log-prob of the chosen answer under the reference; {_SUM}", gradient=False),
    "ref_rejected_logps": RowTerm(f"log-prob of the rejected answer under the reference; {_SUM}", gradient=False),
    "chosen_logps": RowTerm(f"log-prob of the chosen answer under the policy; {_SUM}"),
    "rejected_logps": RowTerm(f"log-prob of the rejected answer under the policy; {_SUM}"),
    "log_ratio_w": RowTerm("policy minus reference log-prob of the chosen answer; nats"),
    "log_ratio_l": RowTerm("policy minus reference log-prob of the rejected answer; nats"),
    "log_ratio": RowTerm("policy minus reference log-prob of the answer; nats"),
    "chosen_lengths": RowTerm("tokens of the chosen answer, exactly those summed", gradient=False, positive=True),
    "rejected_lengths": RowTerm("tokens of the rejected answer, exactly those summed", gradient=False, positive=True),
    "is_desirable": RowTerm("true for a desirable answer", gradient=False, binary=True),
    "z_ref": RowTerm("baseline of the log-ratio, an estimate of KL(policy, reference); nats", gradient=False),
}

CONSTANTS = {
    "beta": Constant("scale of the log-ratios or rewards", "a number > 0", lambda v: v > 0),
    "gamma": Constant("target reward margin", "a number", lambda v: True),
    "lambda_": Constant("weight of the odds-ratio term", "a number >= 0", lambda v: v >= 0),
    "label_smoothing": Constant("share of labels taken to be flipped", "a number in [0, 0.5)", lambda v: 0 <= v < 0.5),
    "desirable_weight": Constant("weight of desirable answers", "a number >= 0", lambda v: v >= 0),
    "undesirable_weight": Constant("weight of undesirable answers", "a number >= 0", lambda v: v >= 0),
}

CHOICES = {
    "reduction": Choice("how the rows' losses are brought together", ("none", "mean", "sum")),
    "value_function": Choice("KTO's value function", ("log_sigmoid", "sigmoid")),
}


def admits(constant: Constant, value: float) -> bool:
    """Whether a finite value lies in the constant's domain."""
    return math.isfinite(value) and constant.admits(value)
