"""How hard a method pushes each side: far on the wrong side, where it began, and far on the right side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.objectives.catalogue import Method
from penchant.whiteboard import examples
from penchant.whiteboard.walkthroughs import WALKTHROUGHS

FAR = 20.0
"""Nats that the answers have moved apart."""
_START = {"pw": -14.0, "pl": -29.0, "p": -14.0}
_CHOSEN = ("pw", "log_ratio_w", "policy_chosen_shared_logps", "sampled_log_ratio_w", "weighted_log_ratio_w")


@dataclass(frozen=True, slots=True)
class Push:
    """One place: what it is, the loss there, and minus its derivative by each side's log-prob."""

    place: str
    loss: float
    sides: dict[str, float]


def pushes(method: Method) -> list[Push]:
    """The three places of a method."""
    if method.data == "answers":
        return _of_answers(method)
    places = {f"{FAR:g} nats in the wrong order": -FAR, "where it began": 0.0, f"{FAR:g} nats in the right order": FAR}
    return [_of_places(method, place, moved) for place, moved in places.items()]


def _at_start(method: Method) -> dict[str, Any]:
    """The example where policy and reference agree."""
    rows = examples.example(method)
    for name in examples.steep_symbols(method):
        if name == "policy_list_logps":
            rows[name] = np.array([examples.LIST["ref_list_logps"]])
        elif name in _START:
            rows[name] = (
                rows[f"r{name[1:]}"].copy() if f"r{name[1:]}" in rows else np.full_like(rows[name], _START[name])
            )
        elif "shared" in name:
            rows[name] = rows[name.replace("policy", "ref")].copy()
        elif "log_ratio" in name:
            rows[name] = np.zeros(1)
    for name in ("log_ratio_baseline", "z0", "gap_mean"):
        if name in rows:
            rows[name] = np.zeros(1)
    return rows


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
    rows, names = _at_start(method), examples.steep_symbols(method)
    rows |= {name: rows[name] + moved * _moved_by(name) for name in names if np.any(_moved_by(name))}
    anatomy = WALKTHROUGHS[method.name]
    found = examples.slopes(anatomy, rows, [name for name in names if np.any(_moved_by(name))])
    value = float(np.mean(anatomy.loss(rows)))
    if method.data == "lists":
        best, middle, worst = -found["policy_list_logps"][0]
        return Push(place, value, {"best": best, "middle": middle, "worst": worst})
    sides: dict[str, float] = {}
    for name, slope in found.items():
        side = "chosen" if name in _CHOSEN else "rejected"
        sides[side] = sides.get(side, 0.0) - float(np.sum(slope))
    return Push(place, value, sides)


def _of_answers(method: Method) -> list[Push]:
    places = []
    for place, moved in {
        f"{FAR:g} nats below the reference": -FAR,
        "at the reference": 0.0,
        f"{FAR:g} nats above": FAR,
    }.items():
        rows = _at_start(method)
        rows["p"] = rows["r"] + moved
        sides, losses = {}, []
        for side, label in (("desirable", True), ("undesirable", False)) if "y" in rows else (("answer", True),):
            given = rows | {"y": np.array([label])}
            sides[side] = -float(examples.slopes(WALKTHROUGHS[method.name], given, ["p"])["p"][0])
            losses.append(float(WALKTHROUGHS[method.name].loss(given)[0]))
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
        return (
            "Both sides are pushed equally hard, in opposite directions: only the difference counts, and both may fall."
        )
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
