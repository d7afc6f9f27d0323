"""How hard a method pushes each side: far on the wrong side, where it began, and far on the right side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant import numpy as oracle
from penchant.objectives.catalogue import Method
from penchant.vocabulary import TERMS
from penchant.whiteboard import examples

FAR = 20.0
"""Nats that the answers have moved apart."""
_START = {"pw": -14.0, "pl": -29.0, "p": -14.0}
_CHOSEN = ("pw", "log_ratio_w", "policy_chosen_shared_logps", "sampled_log_ratio_w", "weighted_log_ratio_w")


@dataclass(frozen=True, slots=True)
class Push:
    """One place.

    Attributes:
        place: What it is.
        loss: The loss there.
        sides: Minus its derivative by each side's log-prob.
        fallen: Of a pair, the loss after both sides have become less likely together.
    """

    place: str
    loss: float
    sides: dict[str, float]
    fallen: float | None = None


def pushes(method: Method) -> list[Push]:
    """The three places of a method."""
    if method.data == "answers":
        return _of_answers(method)
    places = {f"{FAR:g} nats in the wrong order": -FAR, "where it began": 0.0, f"{FAR:g} nats in the right order": FAR}
    return [_of_places(method, place, moved) for place, moved in places.items()]


def at_start(method: Method, rows: examples.Rows) -> examples.Rows:
    """The rows where policy and reference agree."""
    rows = dict(rows)
    for name in examples.steep_symbols(method):
        if name == "policy_list_logps":
            rows[name] = rows.get("ref_list_logps", np.array([examples.LIST["ref_list_logps"]])) + 0.0
        elif name in _START:
            rows[name] = rows.get(f"r{name[1:]}", np.full_like(rows[name], _START[name])) + 0.0
        elif "shared" in name:
            rows[name] = rows[name.replace("policy", "ref")] + 0.0
        elif "log_ratio" in name:
            rows[name] = np.zeros_like(rows[name])
    return rows | {name: 0.0 for name in ("log_ratio_baseline", "z0", "gap_mean") if name in rows}


def _moved_by(name: str) -> Any:
    """The share of the move that a symbol takes: half up for chosen, half down for rejected."""
    if name == "policy_list_logps":
        return np.array([[0.5, 0.0, -0.5]])
    if "shared" in name:
        return 0.25 if "chosen" in name else -0.25
    if name in ("pw", "pl") or "log_ratio" in name:
        return 0.5 if name in _CHOSEN else -0.5
    return 0.0


def _of_places(method: Method, place: str, moved: float) -> Push:
    rows = _moved(method, at_start(method, examples.example(method)), moved, apart=True)
    value = float(np.mean(examples.loss(method, rows)))
    found = _slopes(method, rows)
    if method.data == "lists":
        best, middle, worst = -found["policy_list_logps"][0]
        return Push(place, value, {"best": best, "middle": middle, "worst": worst})
    sides: dict[str, float] = {}
    for name, slope in found.items():
        symbol = examples.policy_symbol(name)
        if np.any(_moved_by(symbol)):
            side = "chosen" if symbol in _CHOSEN else "rejected"
            sides[side] = sides.get(side, 0.0) - float(np.sum(slope))
    fallen = float(np.mean(examples.loss(method, _moved(method, rows, -FAR, apart=False))))
    return Push(place, value, sides, fallen)


def _moved(method: Method, rows: dict[str, Any], nats: float, *, apart: bool) -> dict[str, Any]:
    """The rows with both sides moved apart by so many nats, or each by so many in the same direction."""
    shares = {name: _moved_by(name) for name in examples.steep_symbols(method)}
    return rows | {
        name: rows[name] + nats * (share if apart else 2 * np.abs(share))
        for name, share in shares.items()
        if np.any(share)
    }


def _slopes(method: Method, rows: dict[str, Any]) -> dict[str, Any]:
    """The loss's derivatives by its inputs, in closed form: at a kink those that the library has."""
    grad = getattr(oracle, method.loss.__name__.replace("_loss", "_grad"))
    steep = [name for name in method.inputs if TERMS[name].gradient]
    return dict(zip(steep, grad(*examples.inputs_of(method, rows).values(), **method.constants), strict=True))


def _of_answers(method: Method) -> list[Push]:
    places = []
    for place, moved in {
        f"{FAR:g} nats below the reference": -FAR,
        "at the reference": 0.0,
        f"{FAR:g} nats above": FAR,
    }.items():
        rows = at_start(method, examples.example(method))
        rows["p"] = rows["r"] + moved
        sides, losses = {}, []
        for side, label in (("desirable", True), ("undesirable", False)) if "y" in rows else (("answer", True),):
            given = rows | {"y": np.array([label])}
            sides[side] = -float(_slopes(method, given)["log_ratio"][0])
            losses.append(float(examples.loss(method, given)[0]))
        places.append(Push(place, losses[0], sides))
    return places


def table(found: list[Push]) -> str:
    """The places as a table in text."""
    names = list(found[0].sides)
    first = max(len(push.place) for push in found)
    lines = [" " * first + "".join(f"  {name:>11}" for name in ("loss", *names))]
    for push in found:
        numbers = (push.loss, *push.sides.values())
        lines.append(f"{push.place:<{first}}" + "".join(f"  {_short(number):>11}" for number in numbers))
    return "\n".join(lines)


def _short(number: float) -> str:
    return f"{0.0 if abs(number) < 1e-9 else number:.4g}"


def told(found: list[Push]) -> str:
    """The table in words."""
    wrong, start, right = found
    names = list(start.sides)
    sentences = []
    if set(names) == {"chosen", "rejected"}:
        sentences.append(_balance(found))
    lead = names[0]
    sentences.append(_course(lead, wrong.sides[lead], start.sides[lead], right.sides[lead]))
    return " ".join(filter(None, sentences))


def _balance(found: list[Push]) -> str:
    pairs = [(push.sides["chosen"], push.sides["rejected"]) for push in found]
    scale = max(abs(x) for pair in pairs for x in pair)
    if all(abs(up + down) < 1e-6 * scale for up, down in pairs):
        equally = "Both sides are pushed equally hard, in opposite directions"
        if all(push.fallen is not None and np.isclose(push.fallen, push.loss, rtol=1e-9) for push in found):
            return f"{equally}: only the difference counts, and both may fall."
        return f"{equally}, while they move apart evenly; the loss changes as well where both rise or fall together."
    if all(abs(down) < 1e-9 for _, down in pairs):
        return "The rejected answer is never pushed."
    up, down = pairs[1]
    if abs(down) < 1e-9:
        return "At the start only the chosen answer is pushed."
    if abs(up) < 1e-9:
        return "At the start only the rejected answer is pushed."
    times = abs(up) / abs(down)
    if abs(times - 1) < 1e-6:
        return "Equally hard at the start, not elsewhere."
    which, other = ("chosen", "rejected") if times > 1 else ("rejected", "chosen")
    return f"At the start the {which} answer is pushed {max(times, 1 / times):.3g} times as hard as the {other} one."


def _course(side: str, wrong: float, start: float, right: float) -> str:
    """How the push on the first side goes, from the wrong side to the right one."""
    what = "The push" if side == "answer" else f"The push on the {side} one"
    least = 1e-3 * max(abs(wrong), abs(start), abs(right))
    if abs(wrong - start) <= least and abs(start - right) <= least:
        return f"{what} is the same everywhere."
    far, near = _change(wrong, start, least, "weakens"), _change(right, start, least, "fades")
    return f"{what} {far} on the wrong side and {near} on the right side."


def _change(there: float, start: float, least: float, less: str) -> str:
    """What becomes of a push on the way from ``start``; ``less`` is the word for less of it."""
    if abs(there) <= least:
        return "is gone"
    if there * start < 0:
        return "turns round"
    if abs(there) > 1.05 * abs(start):
        return "grows"
    return "keeps its strength" if abs(there) > 0.8 * abs(start) else less
