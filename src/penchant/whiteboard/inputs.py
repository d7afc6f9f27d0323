"""What a hand-written function's parameters are, and the numbers it is tried on.

Every parameter is a *view* of the symbols of :mod:`anatomy`: ``log_ratio_w`` is ``pw - rw``. So a method that the
catalogue states on log-ratios can be written on four log-probs, or on log-probs per token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from penchant.whiteboard.anatomy import evaluate

VIEWS = {
    **{symbol: symbol for symbol in ("pw", "pl", "rw", "rl", "m", "n", "p", "r", "y", "z0", "x")},
    "a": "pw - rw",
    "b": "pl - rl",
    "cw": "pw / m",
    "cl": "pl / n",
    "q": "p - r",
    "kl": "z_rows",
    **{name: name for name in ("beta", "gamma", "lam", "eps", "wd", "wu")},
    "gamma_ratio": "gamma / beta",
    "reward_baseline": "beta * log_ratio_baseline",
}
"""How each role is computed from the symbols; ``z_rows`` are the mismatched log-ratios whose mean is the baseline."""

CATALOGUE_ROLES = {
    "policy_chosen_logps": "pw",
    "policy_rejected_logps": "pl",
    "ref_chosen_logps": "rw",
    "ref_rejected_logps": "rl",
    "chosen_logps": "pw",
    "rejected_logps": "pl",
    "log_ratio_w": "a",
    "log_ratio_l": "b",
    "log_ratio": "q",
    "chosen_lengths": "m",
    "rejected_lengths": "n",
    "is_desirable": "y",
    "z_ref": "z0",
    "lambda_": "lam",
    "label_smoothing": "eps",
    "desirable_weight": "wd",
    "undesirable_weight": "wu",
}
"""The catalogue's names as roles; a name that is not here stands for itself."""

ROLE_NAMES = {role: name for name, role in reversed(CATALOGUE_ROLES.items())} | {
    "cw": "chosen_mean_logps",
    "cl": "rejected_mean_logps",
    "p": "policy_logps",
    "r": "ref_logps",
    "kl": "mismatched_log_ratios",
    "lam": "lambda",
    "gamma_ratio": "gamma_beta_ratio",
}
CONSTANT_ROLES = ("beta", "gamma", "lam", "eps", "wd", "wu", "gamma_ratio")
POLICY_ROLES = ("pw", "pl", "a", "b", "cw", "cl", "p", "q", "x")
CONSTANT_INPUTS = ("rw", "rl", "r", "z0", "kl")
"""Inputs that a gradient must not flow into."""
BASELINE = "log_ratio_baseline"
"""The baseline of BCO and what is built on it; a function that takes none has one of 0."""
OTHER_LETTERS = {"beta": "lam", "gamma": "delta", "lam": "alpha", "eps": "epsilon"}
"""What a constant of a usual name may be where the method has none of that name."""

_CHOSEN = {
    "chosen",
    "w",
    "win",
    "winner",
    "winning",
    "pos",
    "positive",
    "preferred",
    "accepted",
    "good",
    "yw",
    "better",
}
_REJECTED = {"rejected", "l", "lose", "loser", "losing", "neg", "negative", "dispreferred", "bad", "yl", "worse"}
REFERENCE_WORDS = {"ref", "reference", "base", "sft", "frozen", "old", "init"}
_LENGTH = {"len", "lens", "length", "lengths", "tokens", "size", "sizes", "count", "counts", "num"}
_RATIO = {"ratio", "ratios", "logratio", "logratios", "lr", "rho"}
_MEAN = {"mean", "avg", "average", "averaged", "pbar"}
_LABEL = {"y", "label", "labels", "desirable", "target", "targets", "thumbs", "d", "labeled", "good"}
_EXACT = {
    "beta": ("beta", "tau", "temperature", "temp", "b_", "kl_coef"),
    "gamma": ("gamma", "margin", "target_margin", "gamma_margin", "simpo_gamma", "g"),
    "gamma_ratio": ("gamma_beta_ratio", "gamma_over_beta", "margin_ratio"),
    "lam": ("lambda", "lambda_", "lam", "lmbda", "lambd", "or_weight", "alpha", "orpo_lambda", "orpo_alpha"),
    "eps": ("eps", "epsilon", "label_smoothing", "smoothing", "smooth", "ls", "noise"),
    "wd": ("desirable_weight", "w_desirable", "weight_desirable", "lambda_d", "w_d", "lam_d", "wd", "desirable_w"),
    "wu": (
        "undesirable_weight",
        "w_undesirable",
        "weight_undesirable",
        "lambda_u",
        "w_u",
        "lam_u",
        "wu",
        "undesirable_w",
    ),
    "z0": ("z_ref", "z", "z0", "zref", "baseline", "kl_ref", "kl_baseline", "kl_estimate", "z_0", "anchor"),
    "kl": (
        "mismatched_log_ratios",
        "mismatched_log_ratio",
        "kl_log_ratios",
        "kl_log_ratio",
        "kl_logratios",
        "kl_ratios",
    ),
    "reward_baseline": ("reward_baseline", "delta"),
    "a": ("a", "log_ratio_chosen", "rho_w", "h_w"),
    "b": ("b", "log_ratio_rejected", "rho_l", "h_l"),
    "m": ("m", "len_w", "lw", "n_w", "nw", "n_chosen", "t_w"),
    "n": ("n", "len_l", "ll", "n_l", "nl", "n_rejected", "t_l"),
    "pw": ("pw", "pc", "piw", "w", "theta_w"),
    "pl": ("pl", "pr", "pil", "l", "theta_l"),
    "rw": ("rw", "rc", "refw"),
    "rl": ("rl", "rr", "refl"),
}
COMMON_NAMES = {name: role for role, names in _EXACT.items() for name in names}


def _plain(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def words_of(name: str) -> set[str]:
    """The words of a parameter's name."""
    return set(re.split(r"[_\d]+", _plain(name).replace("log_ratio", "logratio")))


def role_of(name: str, paired: bool) -> str | None:
    """The role that a parameter's name spells, or ``None``."""
    plain = _plain(name)
    if plain in CATALOGUE_ROLES:
        return CATALOGUE_ROLES[plain]
    if not paired and plain in ("r", "log_r", "x"):
        return "x" if plain == "x" else "q"
    if plain in COMMON_NAMES:
        return COMMON_NAMES[plain]
    return _paired_role(words_of(name)) if paired else _single_role(words_of(name))


def _paired_role(words: set[str]) -> str | None:
    if bool(words & _CHOSEN) == bool(words & _REJECTED):
        return None
    chosen = bool(words & _CHOSEN)
    if words & _LENGTH:
        return "m" if chosen else "n"
    if words & _RATIO:
        return "a" if chosen else "b"
    if words & REFERENCE_WORDS:
        return None if words & _MEAN else ("rw" if chosen else "rl")
    if words & _MEAN:
        return "cw" if chosen else "cl"
    return "pw" if chosen else "pl"


def _single_role(words: set[str]) -> str | None:
    if words & _RATIO or (words & {"logits", "log"} and "ratio" in words):
        return "q"
    if words & _LABEL:
        return "y"
    if words & REFERENCE_WORDS:
        return "r"
    return "p" if words & {"policy", "pi", "logp", "logps", "theta", "model", "p"} else None


Rows = dict[str, Any]


def sample_rows(count: int, extras: Sequence[str] = (), seed: int = 20231) -> Rows:
    """Symbols for a number of rows: both signs of every difference, constants that vary.

    The log-probs are small, so that a wrong sign does not drive the margin into a tail where all losses look alike.
    """
    rng = np.random.default_rng(seed)
    base = rng.uniform(-6, -3, (2, count))
    shift = rng.uniform(0.4, 2.6, (3, count)) * rng.choice((-1, 1), (3, count))
    turn = np.arange(count) % 3
    rows: Rows = {
        "pw": base[0] + shift[0],
        "rw": base[0],
        "pl": base[1] + shift[1],
        "rl": base[1],
        "m": rng.integers(3, 16, count).astype(float),
        "n": rng.integers(3, 16, count).astype(float) + 1,
        "p": base[0] + shift[2],
        "r": base[0],
        "y": np.arange(count) % 2 == 0,
        "x": rng.uniform(-5, 5, count),
        "z0": rng.uniform(0.3, 1.6, count),
        "beta": np.array([0.1, 0.35, 0.8])[turn],
        "gamma": np.array([0.5, 1.3, 0.9])[turn],
        "lam": np.array([0.1, 0.4, 0.7])[turn],
        "eps": np.array([0.1, 0.3, 0.2])[turn],
        "wd": np.array([1.0, 1.4, 0.7])[turn],
        "wu": np.array([1.2, 0.6, 1.5])[turn],
        BASELINE: np.zeros(count),
    }
    rows |= {name: rng.uniform(0.55, 0.95, count) for name in extras if name not in VIEWS}
    return with_baseline(rows)


def with_baseline(rows: Rows) -> Rows:
    """Mismatched log-ratios for each row, whose mean is its ``z_raw`` and, clamped at 0, its ``z0``."""
    rows["z_raw"] = rows["z0"]
    rows["z_rows"] = np.stack([rows["z_raw"] - 0.4, rows["z_raw"] + 0.9, rows["z_raw"] - 0.5], axis=-1)
    return rows


def view(role: str, rows: Rows) -> Any:
    """A role's values over the rows."""
    return evaluate(VIEWS.get(role, role), rows)


def take(rows: Rows, index: int | slice | Sequence[int]) -> Rows:
    """Some of the rows; one row's symbols are numbers."""
    return {name: np.asarray(values)[index] for name, values in rows.items()}
