"""The numbers of the worked examples, and a method's loss on such numbers.

A row is kept as symbols (log-probs, lengths, ratings); what the loss asks for, log-ratios for instance, is a view of
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from penchant.objectives.catalogue import Method
from penchant.vocabulary import TERMS, Shape
from penchant.whiteboard.anatomy import Anatomy, evaluate
from penchant.whiteboard.inputs import CATALOGUE_ROLES, VIEWS

Rows = dict[str, Any]

PAIR = {
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
    "chosen_scores": 4.0,
    "rejected_scores": 2.0,
    "preference_probs": 0.8,
    "is_tie": False,
    "margin": 0.5,
    "policy_chosen_shared_logps": -12.0,
    "policy_rejected_shared_logps": -17.0,
    "ref_chosen_shared_logps": -14.0,
    "ref_rejected_shared_logps": -16.5,
    "sampled_log_ratio_w": 2.0,
    "sampled_log_ratio_l": -0.5,
    "weighted_log_ratio_w": 1.5,
    "weighted_log_ratio_l": -1.25,
    "chosen_weighted_kl": 0.5,
    "rejected_weighted_kl": 0.25,
    "chosen_sequence_kl": 0.5,
    "rejected_sequence_kl": 0.75,
    "chosen_mean_log_collision": -1.25,
    "rejected_mean_log_collision": -1.5,
    "ref_chosen_mean_entropy": 0.3,
    "ref_rejected_mean_entropy": 0.5,
    "gap_mean": 0.25,
    "gap_std": 0.2,
    "log_ratio_baseline": 0.5,
    "gold_logps": -10.0,
    "gold_lengths": 10.0,
    "score": 4.0,
    "prompt_value": 3.0,
}
"""One row: sums in nats, lengths in tokens."""
BATCH = {
    "pw": (-12.0, -16.0, -20.0),
    "rw": (-14.0, -15.0, -20.5),
    "pl": (-30.0, -22.0, -25.0),
    "rl": (-29.0, -21.0, -26.0),
}
"""Three pairs, for losses that couple them; the first is the one above."""
LIST = {
    "policy_list_logps": (-12.0, -20.0, -30.0),
    "ref_list_logps": (-14.0, -19.5, -29.0),
    "list_lengths": (8.0, 10.0, 15.0),
    "list_scores": (3.0, 2.0, 1.0),
}
"""Three answers to one prompt, best first."""
_POLICY = {"pw", "pl", "p"}


def symbols_of(method: Method) -> list[str]:
    """The symbols that a method's inputs are made of."""
    found: list[str] = []
    for name in method.inputs:
        found += [symbol for symbol in view_of(name).replace("/", "-").split(" - ") if symbol not in found]
    order = ["pw", "rw", "pl", "rl", "p", "r"]
    return sorted(found, key=lambda symbol: order.index(symbol) if symbol in order else len(order))


def steep_symbols(method: Method) -> list[str]:
    """Those of them that a gradient flows into."""
    return [name for name in symbols_of(method) if name in _POLICY or (name in TERMS and TERMS[name].gradient)]


def constants_of(method: Method) -> dict[str, Any]:
    """The method's numbers by role."""
    given = method.constants.items()
    return {CATALOGUE_ROLES.get(name, name): value for name, value in given if not isinstance(value, str)}


def example(method: Method) -> Rows:
    """The worked example: symbols and constants, one entry on the first axis unless rows are coupled."""
    if method.data == "lists":
        values: Rows = {name: np.array([value]) for name, value in LIST.items()}
    else:
        values = {name: np.array([value]) for name, value in PAIR.items()}
    if method.couples_rows:
        values |= {name: np.array(value) for name, value in BATCH.items()}
    return {name: values[name] for name in symbols_of(method)} | constants_of(method)


def random_rows(method: Method, count: int, seed: int = 0) -> Rows:
    """The example's rows, many times, each number somewhere near; what is binary takes both values."""
    rng = np.random.default_rng(seed)
    rows = example(method)
    for name in symbols_of(method):
        base = rows[name][:1]
        shape = (count, *base.shape[1:])
        if base.dtype == bool:
            rows[name] = rng.random(shape) < 0.5
        elif name == "preference_probs":
            rows[name] = rng.random(shape)
        else:
            rows[name] = base * rng.uniform(0.8, 1.2, shape)
    return rows


def inputs_of(method: Method, rows: Mapping[str, Any]) -> dict[str, Any]:
    """What the method's loss asks for, of these rows, in its order."""
    return {name: evaluate(view_of(name), rows) for name in method.inputs}


def view_of(name: str) -> str:
    """A loss's input as an expression of symbols."""
    role = CATALOGUE_ROLES.get(name, name)
    return VIEWS.get(role, role)


def policy_symbol(name: str) -> str:
    """The symbol of the policy in a loss's input: ``pw`` for ``log_ratio_w``, which is ``pw - rw``."""
    return view_of(name).split(" - ")[0]


def loss(method: Method, rows: Mapping[str, Any], **changed: Any) -> Any:
    """The catalogue's loss of these rows: one for each, or one number where rows are coupled."""
    inputs = inputs_of(method, rows)
    constants = {
        name: rows.get(CATALOGUE_ROLES.get(name, name), value) if not isinstance(value, str) else value
        for name, value in (method.constants | changed).items()
    }
    reduction = {} if method.couples_rows else {"reduction": "none"}
    return method.loss(**inputs, **constants, **reduction)


def slopes(anatomy: Anatomy, rows: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Derivatives of the (summed) loss by some symbols, by central differences; held steps stay where they are."""
    base = anatomy.run(rows)
    held = {step.name: f"held_{step.name}" for step in anatomy.steps if step.held}
    fixed = dict(rows) | {place: base[name] for name, place in held.items()}
    return {name: _slope(anatomy, fixed, held, name) for name in names}


def _slope(anatomy: Anatomy, fixed: Rows, held: Mapping[str, str], name: str, step: float = 1e-5) -> Any:
    values = np.asarray(fixed[name], dtype=np.float64)
    found = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        ends = []
        for sign in (1, -1):
            moved = values.copy()
            moved[place] += sign * step
            ends.append(np.sum(anatomy.loss(fixed | {name: moved}, held)))
        found[place] = (ends[0] - ends[1]) / (2 * step)
    return found


def is_list(name: str) -> bool:
    return name in TERMS and TERMS[name].shape is Shape.LIST
