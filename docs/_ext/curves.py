"""The curve of a method: its loss and how hard it pushes each answer, as the answers move away from where they began."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import drawing
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from penchant.objectives import Method
from penchant.vocabulary import TERMS
from penchant.whiteboard.examples import constants_of
from penchant.whiteboard.inputs import CATALOGUE_ROLES
from penchant.whiteboard.walkthroughs import WALKTHROUGHS

Arrays = Mapping[str, np.ndarray]
START = {"chosen": -12.0, "rejected": -30.0}
"""Log-probs where the policy begins, and those of the reference; the answers of `penchant explain`."""
LENGTHS = {"chosen": 8.0, "rejected": 15.0}
TYPICAL = {
    "chosen_scores": 4.0,
    "rejected_scores": 2.0,
    "preference_probs": 0.8,
    "score": 4.0,
    "gold_logps": -10.0,
    "gap_std": 0.2,
    "chosen_mean_log_collision": -1.5,
    "rejected_mean_log_collision": -2.0,
    "ref_chosen_mean_entropy": 0.4,
    "ref_rejected_mean_entropy": 0.4,
}
SPAN, STEP = 30.0, 1e-4


def draw(method: Method) -> tuple[str, str]:
    """The picture, and the sentence that says what is on it."""
    kind = {"pairs": _pairs, "answers": _answers, "lists": _lists}[method.data]
    with matplotlib.rc_context(drawing.STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(8, 2.9), layout="constrained")
        caption = kind(method, *axes)
        picture = drawing.as_html(figure, f"Loss and gradient of {method.name}")
        plt.close(figure)
    return picture, caption


def _pairs(method: Method, loss_axis: Any, push_axis: Any) -> str:
    moves = np.linspace(-SPAN, SPAN, 361)

    def inputs(chosen: np.ndarray, rejected: np.ndarray) -> Arrays:
        return _filled(method, _pair_inputs(method, chosen, rejected), len(moves))

    loss_axis.plot(moves, _loss(method, inputs(moves / 2, -moves / 2), len(moves)))
    push_axis.plot(moves, -_slope(method, lambda d: inputs(moves / 2 + d, -moves / 2)), label="chosen")
    push_axis.plot(moves, -_slope(method, lambda d: inputs(moves / 2, -moves / 2 + d)), label="rejected")
    _name(loss_axis, push_axis, "nats by which chosen gains on rejected")
    return (
        "The chosen answer gains t/2 nats of log-prob and the rejected one loses t/2, from where the policy starts: "
        f"log-probs {START['chosen']:g} and {START['rejected']:g}, {LENGTHS['chosen']:g} and {LENGTHS['rejected']:g} "
        "tokens, the reference the same. Right: minus the derivative by each answer's log-prob; above 0 the answer is "
        "pushed up, below 0 down."
    )


def _answers(method: Method, loss_axis: Any, push_axis: Any) -> str:
    moves = np.linspace(-2 * SPAN, 2 * SPAN, 361)
    for label, desirable in (("desirable", True), ("undesirable", False)):

        def inputs(ratio: np.ndarray, desirable: bool = desirable) -> Arrays:
            given = {"log_ratio": ratio, "is_desirable": np.full(len(moves), desirable)}
            return _filled(method, given, len(moves))

        loss_axis.plot(moves, _loss(method, inputs(moves), len(moves)), label=label)
        push_axis.plot(moves, -_slope(method, lambda d, inputs=inputs: inputs(moves + d)), label=label)
    _name(loss_axis, push_axis, "log-ratio of the answer, nats")
    return (
        "One answer at a time, good or bad, with the baseline at 0. Right: minus the derivative by the answer's log-prob; "
        "above 0 it is pushed up, below 0 down."
    )


def _lists(method: Method, loss_axis: Any, push_axis: Any) -> str:
    moves = np.linspace(-SPAN, SPAN, 361)
    reference = np.tile([-12.0, -20.0, -30.0], (len(moves), 1))

    def inputs(shift: np.ndarray) -> Arrays:
        given = {
            "policy_list_logps": reference + shift,
            "ref_list_logps": reference,
            "list_lengths": np.full_like(reference, 10.0),
            "list_scores": np.tile([3.0, 2.0, 1.0], (len(moves), 1)),
        }
        return _filled(method, given, len(moves))

    spread = moves[:, None] * np.array([0.5, 0.0, -0.5])
    loss_axis.plot(moves, _loss(method, inputs(spread), len(moves)))
    for place, label in enumerate(("best", "middle", "worst")):
        unit = np.eye(3)[place]
        push_axis.plot(moves, -_slope(method, lambda d, unit=unit: inputs(spread + d * unit)), label=label)
    _name(loss_axis, push_axis, "nats by which the best gains on the worst")
    return (
        "Three answers in order: the best gains t/2 nats, the worst loses t/2, the middle one stays where the reference is. "
        "Right: minus the derivative by each answer's log-prob."
    )


def _pair_inputs(method: Method, chosen: np.ndarray, rejected: np.ndarray) -> dict[str, np.ndarray]:
    """The method's inputs by name, when each answer has moved by so many nats."""
    moved = {"chosen": chosen, "w": chosen, "rejected": rejected, "l": rejected}
    given = {}
    for name in method.inputs:
        side = next((side for side in moved if side in name.split("_")), None)
        full = {"w": "chosen", "l": "rejected"}.get(side or "", side)
        if side and name.endswith("_logps") and full in START:
            given[name] = START[full] + (0.0 if name.startswith("ref_") else moved[side])
        elif side and "log_ratio" in name:
            given[name] = moved[side]
        elif side and name.endswith("_lengths"):
            given[name] = np.array(LENGTHS[str(full)])
    return given


def _filled(method: Method, given: Arrays, count: int) -> dict[str, np.ndarray]:
    """Every input, one value per place on the axis; what the picture does not vary has a typical value."""
    inputs = {}
    for name in method.inputs:
        value = given.get(name)
        value = np.asarray(_typical(name) if value is None else value)
        inputs[name] = value if value.ndim and value.shape[0] == count else np.broadcast_to(value, count).copy()
    return inputs


def _loss(method: Method, given: Arrays, count: int) -> np.ndarray:
    """One loss per place on the axis."""
    inputs = _filled(method, given, count)
    with np.errstate(all="ignore"):
        if method.couples_rows:
            rows = ({name: value[i : i + 1] for name, value in inputs.items()} for i in range(count))
            return np.array([float(method.loss(**row, **method.constants)) for row in rows])
        return np.asarray(method.loss(**inputs, **method.constants, reduction="none"))


def _typical(name: str) -> Any:
    term = TERMS[name]
    if name in TYPICAL:
        return TYPICAL[name]
    if term.binary:
        return False
    return 10.0 if term.positive else max(0.0, term.least)


def _slope(method: Method, inputs: Callable[[float], Arrays]) -> np.ndarray:
    """The derivative at each place; what is a constant for the gradient stays where it is."""
    anatomy = WALKTHROUGHS[method.name]
    base = anatomy.run(_symbols(method, inputs(0.0)))
    held = {step.name: f"held_{step.name}" for step in anatomy.steps if step.held}
    fixed = {place: base[name] for name, place in held.items()}
    ends = []
    with np.errstate(all="ignore"):
        for sign in (1, -1):
            given = inputs(sign * STEP)
            moved = anatomy.loss(_symbols(method, given) | fixed, held) if held else None
            ends.append(_loss(method, given, len(next(iter(given.values())))) if moved is None else moved)
        return (ends[0] - ends[1]) / (2 * STEP)


def _symbols(method: Method, given: Arrays) -> dict[str, Any]:
    """A loss's inputs as the symbols of its steps; a batch of its own at each place where rows are coupled."""
    shape = (-1, 1) if method.couples_rows else None
    values = {name: value.reshape(shape) if shape else value for name, value in given.items()}
    roles = {CATALOGUE_ROLES.get(name, name): value for name, value in values.items()}
    ratios = {"a": ("pw", "rw"), "b": ("pl", "rl"), "q": ("p", "r")}
    for role in ratios.keys() & roles.keys():
        policy, reference = ratios[role]
        roles |= {policy: roles[role], reference: np.zeros_like(roles[role])}
    return roles | constants_of(method)


def _name(loss_axis: Any, push_axis: Any, moved: str) -> None:
    loss_axis.set(xlabel=moved, title="loss")
    push_axis.set(xlabel=moved, title="push on each answer")
    push_axis.axhline(0, color="#888888", linewidth=0.8)
    push_axis.margins(y=0.25)  # room for the legend, which must not lie on a line
    push_axis.legend(loc="upper right", ncols=3)
    if loss_axis.get_legend_handles_labels()[0]:
        loss_axis.legend()
