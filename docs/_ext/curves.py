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

Arrays = Mapping[str, np.ndarray]
START = {"chosen": -12.0, "rejected": -30.0}
"""Log-probs where the policy begins, and those of the reference; the answers of `penchant explain`."""
LENGTHS = {"chosen": 8.0, "rejected": 15.0}
TYPICAL = {"chosen_scores": 4.0, "rejected_scores": 2.0, "preference_probs": 0.8, "score": 4.0, "gold_logps": -10.0}
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

    def loss(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
        return _loss(method, _pair_inputs(method, chosen, rejected), len(moves))

    loss_axis.plot(moves, loss(moves / 2, -moves / 2))
    push_axis.plot(moves, -_slope(lambda d: loss(moves / 2 + d, -moves / 2)), label="chosen")
    push_axis.plot(moves, -_slope(lambda d: loss(moves / 2, -moves / 2 + d)), label="rejected")
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

        def loss(ratio: np.ndarray, desirable: bool = desirable) -> np.ndarray:
            given = {"log_ratio": ratio, "is_desirable": np.full(len(moves), desirable)}
            return _loss(method, given, len(moves))

        loss_axis.plot(moves, loss(moves), label=label)
        push_axis.plot(moves, -_slope(lambda d, loss=loss: loss(moves + d)), label=label)
    _name(loss_axis, push_axis, "log-ratio of the answer, nats")
    return (
        "One answer at a time, good or bad, with the baseline at 0. Right: minus the derivative by the answer's log-prob; "
        "above 0 it is pushed up, below 0 down."
    )


def _lists(method: Method, loss_axis: Any, push_axis: Any) -> str:
    moves = np.linspace(-SPAN, SPAN, 361)
    reference = np.tile([-12.0, -20.0, -30.0], (len(moves), 1))

    def loss(shift: np.ndarray) -> np.ndarray:
        given = {
            "policy_list_logps": reference + shift,
            "ref_list_logps": reference,
            "list_lengths": np.full_like(reference, 10.0),
            "list_scores": np.tile([3.0, 2.0, 1.0], (len(moves), 1)),
        }
        return _loss(method, given, len(moves))

    spread = moves[:, None] * np.array([0.5, 0.0, -0.5])
    loss_axis.plot(moves, loss(spread))
    for place, label in enumerate(("best", "middle", "worst")):
        unit = np.eye(3)[place]
        push_axis.plot(moves, -_slope(lambda d, unit=unit: loss(spread + d * unit)), label=label)
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


def _loss(method: Method, given: Arrays, count: int) -> np.ndarray:
    """One loss per place on the axis; what the picture does not vary has a typical value."""
    inputs = {}
    for name in method.inputs:
        value = given.get(name)
        inputs[name] = np.asarray(_typical(name) if value is None else value)
    inputs = {
        name: value if value.ndim and value.shape[0] == count else np.broadcast_to(value, count).copy()
        for name, value in inputs.items()
    }
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


def _slope(loss: Callable[[float], np.ndarray]) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # infinite on both sides of a place is a gap in the curve
        return (loss(STEP) - loss(-STEP)) / (2 * STEP)


def _name(loss_axis: Any, push_axis: Any, moved: str) -> None:
    loss_axis.set(xlabel=moved, title="loss")
    push_axis.set(xlabel=moved, title="push on each answer")
    push_axis.axhline(0, color="#888888", linewidth=0.8)
    push_axis.legend()
    if loss_axis.get_legend_handles_labels()[0]:
        loss_axis.legend()
