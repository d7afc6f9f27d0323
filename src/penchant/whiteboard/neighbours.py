"""What a method becomes when an input or a constant is at a limit: another method. A test computes both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from penchant.errors import InputError
from penchant.objectives.catalogue import METHODS, Method, get_method
from penchant.vocabulary import CONSTANTS, admits
from penchant.whiteboard import examples
from penchant.whiteboard.anatomy import evaluate
from penchant.whiteboard.inputs import CATALOGUE_ROLES
from penchant.whiteboard.walkthroughs import WALKTHROUGHS
from penchant.whiteboard.walkthroughs.blocks import SCALED

Changes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Limit:
    """One such case.

    Attributes:
        words: What is changed.
        other: The method it then is.
        changes: Symbol, or constant, to its expression over symbols and constants.
        constants: The other method's constants that are not its defaults, nor shared by name.
        factor: The method is then this many times the other one.
        steps: Steps that are replaced, where the change is no limit of an input.
        halves: Whether the other method takes single answers: it is then summed over the two of a pair.
    """

    words: str
    other: str
    changes: Changes = field(default_factory=lambda: MappingProxyType({}))
    constants: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    factor: float = 1.0
    steps: Changes = field(default_factory=lambda: MappingProxyType({}))
    halves: bool = False

    @property
    def text(self) -> str:
        given = " and ".join(f"{name} = {value}" for name, value in self.constants.items())
        times = f"{self.factor:.4g} times " if self.factor != 1 else ""
        summed = ", summed over the two answers" if self.halves else ""
        return f"{self.words} it is {times}{self.other}" + (f" with {given}" if given else "") + summed


_ONE_TOKEN = {"m": "1 + 0 * pw", "n": "1 + 0 * pl"}
_NO_REFERENCE = {"rw": "0 * pw", "rl": "0 * pl"}
_RISEN = {"pw": "rw + 1"}
_SAME_DRIFT = {"rejected_sequence_kl": "chosen_sequence_kl"}
_PAIR_ALONE = "with one pair in the batch"
_ALWAYS = "in all cases"
_TWO = "on lists of two answers"

LIMITS: dict[str, tuple[Limit, ...]] = {
    "soft_dpo": (
        Limit("with every probability 1", "dpo", {"preference_probs": "1 + 0 * pw"}),
        Limit("with every probability 1 - ε, here 0.9,", "cdpo", {"preference_probs": "0.9 + 0 * pw"}),
    ),
    "geometric_dpo": (Limit("with every probability 1", "dpo", {"preference_probs": "1 + 0 * pw"}),),
    "dr_dpo": (Limit(_PAIR_ALONE, "dpo"),),
    "odpo": (Limit("where all ratings are 1 apart", "dpo", {"chosen_scores": "rejected_scores + 1"}),),
    "modpo": (Limit("with a margin of 0", "dpo", {"margin": "0 * pw"}),),
    "rebel": (
        Limit("where all ratings are 5 apart, 1/(2β) for β = 0.1,", "ipo", {"chosen_scores": "rejected_scores + 5"}),
    ),
    "rao_kupper": (
        Limit("without ties, and with tie_margin nearly 0,", "dpo", {"is_tie": "pw > 0", "tie_margin": "1e-15"}),
    ),
    "davidson": (Limit("without ties, and with nu nearly 0,", "dpo", {"is_tie": "pw > 0", "nu": "1e-15"}),),
    "simpo": (
        Limit(
            "on answers of one token, at β = 0.1 and γ = 0,",
            "cpo",
            _ONE_TOKEN | {"beta": "0.1", "gamma": "0"},
            {"alpha": 0},
        ),
    ),
    "r_dpo": (Limit("where both answers are equally long", "dpo", {"n": "m"}),),
    "ln_dpo": (
        Limit("on answers of one token", "dpo", _ONE_TOKEN),
        Limit("with reference log-probs of 0", "simpo", _NO_REFERENCE, {"gamma": 0}),
    ),
    "dpop": (Limit("while the chosen answer is above the reference", "dpo", _RISEN),),
    "minor_dpo": (Limit("while the rejected answer is above the reference", "dpo", {"pl": "rl + 1"}),),
    "cpo": (Limit("with alpha = 0, and reference log-probs of 0,", "dpo", {"alpha": "0", **_NO_REFERENCE}),),
    "alphapo": (Limit("with alpha = 0", "simpo", {"alpha": "0"}, {"beta": 2.5, "gamma": 0.25}),),
    "simper": (
        Limit(
            "with -log σ(2(p̄_w - p̄_l)) in place of e^p̄_l - e^p̄_w",
            "simpo",
            {},
            {"gamma": 0},
            steps={"loss": "-log_sigmoid(2 * (cw - cl))"},
        ),
    ),
    "asft": (Limit("with lambda = 0", "orpo", {"lam": "0"}, {"lambda": 0}),),
    "repo": (
        Limit(
            "on answers of one token, with reference log-probs of 0,",
            "hinge",
            _ONE_TOKEN | _NO_REFERENCE,
            {"beta": 1 / 0.6},
            0.6,
        ),
    ),
    "slic": (
        Limit("with lambda = 0, and reference log-probs of 0,", "hinge", {"lam": "0", **_NO_REFERENCE}, {"beta": 1}),
    ),
    "tpo": (Limit("where the gold answer is the chosen one", "cpo", {"gold_logps": "pw", "gold_lengths": "m"}),),
    "tpo_l": (
        Limit("where the gold answer is the chosen one", "cpo_simpo", {"gold_logps": "pw", "gold_lengths": "m"}),
    ),
    "squared_hinge": (
        Limit(
            "while the scaled margin is below 1",
            "ipo",
            {"pl": "rl + pl / 30", "pw": "rw - pw / 12"},
            {"beta": 0.05},
            0.01,
        ),
    ),
    "npo": (Limit("beside a chosen answer that stays at its reference", "dpo", {"pw": "rw"}, factor=20),),
    "simnpo": (
        Limit(
            "on answers of one token, with reference log-probs of 0,",
            "npo",
            {"n": "1 + 0 * pl", "rl": "0 * pl"},
            {"beta": 2.5},
        ),
    ),
    "dpo_nll": (Limit(_ALWAYS, "dpo + nll"),),
    "cpo_simpo": (Limit(_ALWAYS, "simpo + 0.05*nll"),),
    "cal_dpo": (Limit(_ALWAYS, "dpo(beta=1) + sppo(beta=0.1)"),),
    "mpo": (Limit(_ALWAYS, "0.8*dpo + 0.2*bco + nll"),),
    "apo_zero": (Limit(_ALWAYS, "kto", {"z0": "0 * z0"}, {"z_ref": 0}, halves=True),),
    "apo_down": (Limit("while the chosen answer stays at its reference", "apo_zero", {"pw": "rw"}),),
    "bco": (
        Limit(
            _ALWAYS, "kto", {"z0": "log_ratio_baseline"}, {"z_ref": "r̄", "value_function": "log_sigmoid"}, halves=True
        ),
    ),
    "sppo": (
        Limit("while the rejected answer is at its target", "ipo", {"pl": "rl - 1 / (2 * beta)"}, {"beta": 0.0005}),
    ),
    "js_dpo": (Limit("with a and b in place of log σ(a) and log σ(b)", "dpo", steps={"hw": "a", "hl": "b"}),),
    "chi_po": (Limit("without e^r in the rewards", "dpo", steps={"hw": "a", "hl": "b"}),),
    "dro": (
        Limit(
            "beside an answer at its reference whose rating is the prompt's value",
            "rebel",
            {"pw": "p", "rw": "r", "pl": "rl", "chosen_scores": "score", "rejected_scores": "prompt_value"},
            factor=0.5,
        ),
    ),
    "tdpo": (Limit("where both answers drifted equally far", "dpo", _SAME_DRIFT),),
    "tdpo1": (Limit("where both answers drifted equally far", "dpo", _SAME_DRIFT),),
    "tis_dpo": (
        Limit(
            "with every token's weight 1, where both answers drifted equally far,",
            "dpo",
            {
                "weighted_log_ratio_w": "pw - rw",
                "weighted_log_ratio_l": "pl - rl",
                "rejected_weighted_kl": "chosen_weighted_kl",
            },
        ),
    ),
    "ld_dpo": (
        Limit(
            "where both answers are equally long",
            "dpo",
            {
                "policy_chosen_shared_logps": "pw",
                "policy_rejected_shared_logps": "pl",
                "ref_chosen_shared_logps": "rw",
                "ref_rejected_shared_logps": "rl",
            },
        ),
    ),
    "sampo": (
        Limit(
            "where both answers are equally long",
            "dpo",
            {"sampled_log_ratio_w": "pw - rw", "sampled_log_ratio_l": "pl - rl"},
        ),
    ),
    "wpo": (
        Limit(
            "where the policy would write both answers (weights of 1)",
            "dpo",
            {"chosen_mean_log_collision": "pw / m", "rejected_mean_log_collision": "pl / n"},
        ),
    ),
    "mallowspo": (
        Limit(
            "where φ = 1",
            "dpo",
            {
                "ref_chosen_mean_entropy": "exp(-1 / dispersion) + 0 * pw",
                "ref_rejected_mean_entropy": "exp(-1 / dispersion) + 0 * pw",
            },
        ),
    ),
    "beta_dpo": (Limit("where the batch is at the running mean", "dpo", {"gap_mean": "mean(pw - rw - pl + rl)"}),),
    "alpha_dpo": (
        Limit("where the pair is at the running mean", "simpo", {"gap_mean": "(pw - rw) / m - (pl - rl) / n"}),
    ),
    "aot": (Limit(_PAIR_ALONE, "dpo"),),
    "aot_unpaired": (Limit(_PAIR_ALONE, "dpo"),),
    "plackett_luce": (Limit(_TWO, "dpo"),),
    "exo_list": (
        Limit(
            f"{_TWO} whose ratings are log((1 - ε)/ε) apart",
            "exo",
            {"list_scores": "log((1 - 0.001) / 0.001) * temperature * (pick == 0)"},
        ),
    ),
    "info_nca": (
        Limit(f"{_TWO}, with a temperature near 0,", "dpo", {"list_scores": "1 - pick", "temperature": "1e-3"}),
    ),
    "nca_list": (
        Limit(f"{_TWO}, with a temperature near 0,", "nca", {"list_scores": "1 - pick", "temperature": "1e-3"}),
    ),
    "lipo": (Limit(f"{_TWO}, rated 1 and 0,", "dpo", {"list_scores": "1 - pick"}, factor=1 - np.log(2) / np.log(3)),),
    "pro": (
        Limit(
            f"{_TWO} whose ratings are 1 apart, with alpha = 0,",
            "simpo",
            {"list_scores": "1 - pick", "alpha": "0"},
            {"beta": 1, "gamma": 0},
        ),
    ),
    "rrhf": (Limit(f"{_TWO}, with alpha = 0,", "repo", {"list_scores": "1 - pick", "alpha": "0"}, {"gamma": 0}),),
    "d2o": (Limit(f"{_TWO}, with alpha = beta", "dpo"),),
}


def both(name: str, limit: Limit, count: int = 9) -> tuple[Any, Any]:
    """Losses of the method at its limit, and of the method that it is then."""
    method, other = get_method(name), get_method(limit.other)
    count = 1 if method.couples_rows else count
    rows = examples.random_rows(method, count)
    if method.data == "lists":
        rows = {key: value[..., :2] if examples.is_list(key) else value for key, value in rows.items()}
        rows["pick"] = np.arange(2) + 0 * rows["policy_list_logps"]
    known = examples.random_rows(other, count) | rows
    known |= {key: evaluate(expression, known) for key, expression in limit.changes.items()}
    mine = WALKTHROUGHS[name].loss(known, limit.steps) if limit.steps else examples.loss(method, known)
    if method.data == "lists":
        known |= _two(known)
    own = examples.constants_of(other)
    shared = {key: known[key] for key in examples.constants_of(method) if key in own}
    words = {key: value for key, value in limit.constants.items() if isinstance(value, str) and key in other.constants}
    theirs = known | own | shared | {key: value for key, value in limit.constants.items() if not isinstance(value, str)}
    if limit.halves:
        sides = ({"p": known["pw"], "r": known["rw"], "y": True}, {"p": known["pl"], "r": known["rl"], "y": False})
        labels = [side | {"y": np.full(count, side["y"])} for side in sides]
        return mine, sum(examples.loss(other, theirs | side, **words) for side in labels)
    return mine, limit.factor * examples.loss(other, theirs, **words)


def _two(known: Mapping[str, Any]) -> dict[str, Any]:
    """A list of two answers as a pair."""
    names = {"policy_list_logps": "p", "ref_list_logps": "r", "list_lengths": ""}
    pair = {}
    for side, place in (("w", 0), ("l", 1)):
        for name, letter in names.items():
            if name in known:
                symbol = f"{letter}{side}" if letter else {"w": "m", "l": "n"}[side]
                pair[symbol] = known[name][:, place]
    return pair


def told_to(name: str) -> list[str]:
    """Other methods that become this one, for its own page; DPO's would list most of the catalogue."""
    return [
        f"{limit.words} {other} is this"
        for other, limits in LIMITS.items()
        for limit in limits
        if limit.other == name != "dpo" and limit.factor == 1 and not limit.constants and limit.words != _ALWAYS
    ]


def by_link(name: str) -> list[str]:
    """DPO, if the method differs from it only in what follows the scaled margin."""
    anatomy = WALKTHROUGHS[name]
    if (
        name == "dpo"
        or anatomy.steps[: len(SCALED)] != SCALED
        or any(one.other == "dpo" for one in LIMITS.get(name, ()))
    ):
        return []
    return ["with L = -log σ z in place of what follows z it is dpo"]


def by_constant(method: Method) -> list[str]:
    """Other methods that this one becomes when one constant is 0 or 1: found by computing both."""
    rows = examples.random_rows(method, 9)
    found = []
    for name, default in method.constants.items():
        role = CATALOGUE_ROLES.get(name, name)
        for value in (0.0, 1.0):
            if isinstance(default, str) or value == default or not admits(CONSTANTS[name], value):
                continue
            bent = rows | {role: value}
            found += [f"with {name.rstrip('_')} = {value:g} it is {other}" for other in _equal_to(method, bent, role)]
    return found


def _equal_to(method: Method, rows: Mapping[str, Any], bent: str) -> list[str]:
    """Methods with the same loss on these rows; the bent constant is the method's alone."""
    mine, kept = examples.loss(method, rows), set(examples.constants_of(method)) - {bent}
    equal = []
    for other in METHODS.values():
        if (
            other is method
            or (other.couples_rows and not method.couples_rows)
            or other.data != method.data
            or not set(examples.symbols_of(other)) <= set(rows)
        ):
            continue
        own = {role: value for role, value in examples.constants_of(other).items() if role not in kept}
        try:
            theirs = examples.loss(other, {**rows, **own})
        except InputError:  # a constant out of the other method's domain
            continue
        whole = np.mean(theirs) if method.couples_rows else theirs
        equal += [other.name] if np.allclose(whole, mine, rtol=1e-9, atol=1e-12) else []
    return equal


def neighbours(method: Method) -> list[str]:
    """What the method becomes when something is changed, each a clause that a computation holds to."""
    own = [limit.text for limit in LIMITS.get(method.name, ())]
    return [*by_constant(method), *own, *by_link(method.name), *told_to(method.name)]
