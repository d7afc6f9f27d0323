"""The vocabulary of loss parameters: what each name means, its shape and domain, what it takes to know it, and
whether a gradient may flow into it.

A loss's signature is its contract. Whoever calls a loss (a user, the trainer, the catalogue) reads the parameter
names, and this page is the dictionary. What a method needs is gathered from its terms' ``needs``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """What a term has one number for; the value says which shapes that allows."""

    ROW = "one number per row: shape (rows,), or a scalar for all"
    LIST = "one number per answer of a list: shape (rows, answers), or (answers,) for one list"


DATA = ("pairs", "answers", "lists")
"""The kinds of rows. A loss's terms belong to exactly one of them."""

NEEDS = {
    "reference": "log-probs under a reference model",
    "labels": "a thumbs-up or thumbs-down on each answer",
    "mismatched answers": "log-probs of answers set under other prompts",
    "lengths": "token counts",
    "scores": "ratings of the answers, or of the preference",
    "margins": "a number per row from the data or the loop",
    "weights": "a number per row from the data or the loop",
    "ties": "a mark on pairs that state no preference",
    "gold answers": "a third answer to imitate",
    "running mean": "a statistic kept from step to step",
    "values": "a value of each prompt, learned beside the policy",
    "token statistics": "log-probs of parts of an answer, or of its tokens weighted",
    "vocabulary statistics": "sums over the whole vocabulary at each token",
    "the whole batch": "all rows at once: the loss couples them and is not a sum over rows",
}
"""What a method may need beyond the policy's log-probs of its rows."""


@dataclass(frozen=True, slots=True)
class Term:
    """An input that comes from data, model or loop, not from the user's choice of constants.

    ``columns`` are the names under which data may give it, or the text that it is computed from; ``holds`` says what
    stands there: a ``"number"``, a ``"text"``, or ``"numbers"``, one for each token of an answer.
    """

    meaning: str
    needs: tuple[str, ...] = ()
    shape: Shape = Shape.ROW
    gradient: bool = True
    positive: bool = False
    binary: bool = False
    columns: tuple[str, ...] = ()
    holds: str = "number"
    least: float = -math.inf
    most: float = math.inf


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


def _both(
    pattern: str,
    meaning: str,
    *needs: str,
    gradient: bool = True,
    positive: bool = False,
    columns: tuple[str, ...] = (),
    holds: str = "number",
) -> dict[str, Term]:
    """A term of pairs for either answer; ``*`` stands for chosen or rejected, ``+`` for w or l."""
    short = {"chosen": "w", "rejected": "l"}
    return {
        pattern.replace("*", side).replace("+", short[side]): Term(
            meaning.replace("*", side),
            ("pairs", *needs),
            gradient=gradient,
            positive=positive,
            columns=tuple(column.replace("*", side) for column in columns),
            holds=holds,
        )
        for side in ("chosen", "rejected")
    }


PAIR_TERMS = {
    **_both("policy_*_logps", f"log-prob of the * answer under the policy; {_SUM}"),
    **_both("ref_*_logps", f"log-prob of the * answer under the reference; {_SUM}", "reference", gradient=False),
    **_both("*_logps", f"log-prob of the * answer under the policy; {_SUM}"),
    **_both("log_ratio_+", "policy minus reference log-prob of the * answer; nats", "reference"),
    **_both("*_lengths", "tokens of the * answer, exactly those summed", "lengths", gradient=False, positive=True),
    **_both(
        "*_scores",
        "rating of the * answer; higher is better",
        "scores",
        gradient=False,
        columns=("*_score", "score_*", "*_rating"),
    ),
    "preference_probs": Term(
        "probability that the chosen answer is the better",
        ("pairs", "scores"),
        gradient=False,
        columns=("preference_prob",),
        least=0,
        most=1,
    ),
    "is_tie": Term(
        "true where neither answer is preferred",
        ("pairs", "ties"),
        gradient=False,
        binary=True,
        columns=("is_tie", "tie"),
    ),
    **_both("policy_*_shared_logps", "policy's log-prob of the * answer's first min(m, n) tokens", "token statistics"),
    **_both(
        "ref_*_shared_logps",
        "reference's log-prob of the * answer's first min(m, n) tokens",
        "reference",
        "token statistics",
        gradient=False,
    ),
    **_both(
        "sampled_log_ratio_+", "log-ratio of min(m, n) random tokens of the * answer", "reference", "token statistics"
    ),
    **_both(
        "weighted_log_ratio_+",
        "the * answer's log-ratios per token, weighted and summed",
        "reference",
        "token statistics",
        columns=("*_token_weights",),
        holds="numbers",
    ),
    **_both(
        "*_sequence_kl",
        "KL(reference, policy) at each token of the * answer, summed; nats",
        "reference",
        "vocabulary statistics",
    ),
    **_both(
        "*_mean_log_collision",
        "mean over the * answer's tokens of log Σ_v π(v)²; nats",
        "vocabulary statistics",
        gradient=False,
    ),
    **_both(
        "ref_*_mean_entropy",
        "mean over the * answer's tokens of the reference's entropy / log vocabulary size",
        "reference",
        "vocabulary statistics",
        gradient=False,
    ),
    **_both(
        "*_weighted_kl",
        "KL(policy, reference) at each token of the * answer, weighted like its log-ratios and summed; nats",
        "reference",
        "token statistics",
        "vocabulary statistics",
        columns=("*_token_weights",),
        holds="numbers",
    ),
    "gap_mean": Term(
        "running mean of the differences of the log-ratios, as the method takes them; nats",
        ("pairs", "reference", "running mean"),
        gradient=False,
    ),
    "gap_std": Term(
        "running standard deviation of those differences, above 0; nats",
        ("pairs", "reference", "running mean"),
        gradient=False,
    ),
    "gold_logps": Term(
        f"log-prob of a third answer, to be imitated; {_SUM}",
        ("pairs", "gold answers"),
        columns=("gold", "gold_answer", "gold_response"),
        holds="text",
    ),
    "gold_lengths": Term("tokens of that answer", ("pairs", "gold answers", "lengths"), gradient=False, positive=True),
}

ANSWER_TERMS = {
    "log_ratio": Term("policy minus reference log-prob of the answer; nats", ("answers", "reference")),
    "is_desirable": Term("true for a desirable answer", ("answers", "labels"), gradient=False, binary=True),
    "score": Term(
        "rating of the answer; higher is better", ("answers", "scores"), gradient=False, columns=("score", "rating")
    ),
    "prompt_value": Term(
        "value of the prompt, in the rating's unit; training takes it from the data",
        ("answers", "values"),
        columns=("prompt_value",),
    ),
    "z_ref": Term(
        "baseline of the log-ratio, an estimate of KL(policy, reference); nats",
        ("answers", "mismatched answers"),
        gradient=False,
    ),
}

LIST_TERMS = {
    "policy_list_logps": Term(f"log-probs of the answers under the policy; {_SUM}", ("lists",), Shape.LIST),
    "ref_list_logps": Term(
        f"log-probs of the answers under the reference; {_SUM}", ("lists", "reference"), Shape.LIST, gradient=False
    ),
    "list_lengths": Term("tokens of the answers", ("lists", "lengths"), Shape.LIST, gradient=False, positive=True),
    "list_scores": Term("ratings; higher is better", ("lists", "scores"), Shape.LIST, gradient=False),
}

TERMS = {
    **PAIR_TERMS,
    **ANSWER_TERMS,
    **LIST_TERMS,
    "margin": Term("what the chosen answer's score must lead by", ("margins",), gradient=False, columns=("margin",)),
    "weight": Term("factor of the row's loss", ("weights",), gradient=False, columns=("weight",), least=0),
    "log_ratio_baseline": Term(
        "running mean of the log-ratios of all answers; nats", ("reference", "running mean"), gradient=False
    ),
}

CONSTANTS = {
    "beta": Constant("scale of the log-ratios or rewards", "a number > 0", lambda v: v > 0),
    "gamma": Constant("target reward margin", "a number", lambda v: True),
    "alpha": Constant("the method's own second weight; its docstring says of what", "a number", lambda v: True),
    "beta_prime": Constant("temperature of the weights over a batch", "a number > 0", lambda v: v > 0),
    "tau": Constant("width of the blend of two losses", "a number > 0", lambda v: v > 0),
    "eta": Constant("scale between ratings and log-ratios", "a number > 0", lambda v: v > 0),
    "nu": Constant("weight of ties", "a number > 0", lambda v: v > 0),
    "tie_margin": Constant("reward difference within which answers may tie", "a number > 0", lambda v: v > 0),
    "temperature": Constant("temperature of the ratings", "a number > 0", lambda v: v > 0),
    "dispersion": Constant("scale of the prompts' dispersion", "a number > 0", lambda v: v > 0),
    "clip": Constant("bound of the scaled difference on either side", "a number > 0", lambda v: v > 0),
    "delta": Constant("margin of summed log-probs; nats", "a number", lambda v: True),
    "focus": Constant("exponent of the probability of the right order", "a number >= 0", lambda v: v >= 0),
    "rejected_weight": Constant(
        "weight of the rejected answer's log-ratio", "a number in (0, 1]", lambda v: 0 < v <= 1
    ),
    "objective_weight": Constant("this objective's share among all", "a number in (0, 1]", lambda v: 0 < v <= 1),
    "lambda_": Constant("weight of the penalty or odds term", "a number >= 0", lambda v: v >= 0),
    "label_smoothing": Constant("share of labels taken to be flipped", "a number in [0, 0.5)", lambda v: 0 <= v < 0.5),
    "epsilon": Constant("share of labels taken to be flipped", "a number in (0, 0.5)", lambda v: 0 < v < 0.5),
    "desirable_weight": Constant("weight of desirable answers", "a number >= 0", lambda v: v >= 0),
    "undesirable_weight": Constant("weight of undesirable answers", "a number >= 0", lambda v: v >= 0),
}

CHOICES = {
    "reduction": Choice("how the rows' losses are brought together", ("none", "mean", "sum")),
    "distance": Choice("how two reward gaps are compared", ("backward_kl", "forward_kl", "squared")),
    "value_function": Choice("KTO's value function", ("log_sigmoid", "sigmoid")),
}


def admits(constant: Constant, value: float) -> bool:
    """Whether a finite value lies in the constant's domain."""
    return math.isfinite(value) and constant.admits(value)
