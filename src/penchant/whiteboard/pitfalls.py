"""What people get wrong, and what they see of it; what a method shares with its kind is read off its steps."""

from __future__ import annotations

import numpy as np

from penchant.objectives.catalogue import Method
from penchant.whiteboard import examples
from penchant.whiteboard.advice import ADVICE
from penchant.whiteboard.prose import PROSE
from penchant.whiteboard.pushes import at_start
from penchant.whiteboard.walkthroughs import WALKTHROUGHS


def pitfalls(method: Method) -> list[str]:
    """Each a sentence without its last full stop: mistake, then symptom."""
    if method.name in PROSE:
        return [f"{what}: {symptom}" for what, symptom in PROSE[method.name].pitfalls]
    own = ADVICE.get(method.name, ("", ""))[1]
    return [*([own] if own else []), *(f"{what}: {symptom}" for what, symptom in _shared(method))]


def _shared(method: Method) -> list[tuple[str, str]]:
    steps = WALKTHROUGHS[method.name].steps
    text = " ".join(step.expression for step in steps)
    names = set(method.inputs)
    found = []
    if method.data == "pairs" and any("chosen" in name or name.endswith("_w") for name in names):
        found.append(("Chosen and rejected swapped", "accuracy falls below one half from the first step"))
    if "list_scores" in names or method.data == "lists":
        found.append(("Answers and ratings in different orders", "the loss falls and held-out rankings get no better"))
    if method.needs_reference:
        found.append(("Reference not frozen, or the policy itself", f"log-ratios of 0, and {_without_ratios(method)}"))
    found += [
        (
            f"A gradient through {step.text.split(' = ')[0]}, which is a constant",
            "the policy lowers the loss by moving it",
        )
        for step in steps
        if step.held and "kl" not in step.expression
    ]
    if method.ranks_per_token:
        found.append(("Sums over tokens in place of means", "long answers lose, whatever they say"))
    elif "pw" in text or "list_logps" in text or "pl" in text:
        found.append(("Means over tokens in place of sums", _tiny(method)))
    if "log_sigmoid" in text:
        found.append(("The sigmoid first, its logarithm second", "inf or NaN once a margin is very wrong"))
    if method.couples_rows:
        found.append(("The loss taken over micro-batches", "it changes with how a step is cut"))
    return found


def _without_ratios(method: Method) -> str:
    """What one sees of a loss while policy and reference agree, on any rows."""
    rows, others = (examples.random_rows(method, 20, seed) for seed in (0, 1))
    if method.data == "lists":
        others |= {name: others[name][:, :2] for name in examples.symbols_of(method)}  # a loss may be log K
    drawn = [at_start(method, rows), at_start(method, others)]
    losses, lower = (np.ravel([examples.loss(method, each) for each in way]) for way in (drawn, map(_lower, drawn)))
    if not np.allclose(losses, lower):
        return "only what the loss makes of other terms moves"
    if not np.allclose(losses, losses[0]):
        return "a loss that stays where it began"
    return f"a loss that stays at {losses[0]:.4g}"


def _lower(rows: examples.Rows) -> examples.Rows:
    """The rows with policy and reference a nat lower, and as far from each other as before."""
    logps = {name for name in rows if name in ("pw", "pl", "p", "rw", "rl", "r") or name.endswith("list_logps")}
    return rows | {name: rows[name] - 1 for name in logps}


def _tiny(method: Method) -> str:
    what = "log-ratios look tiny" if method.needs_reference else "the difference of log-probs looks tiny"
    scale = next((name for name in ("beta", "eta", "delta") if name in method.constants), None)
    return f"{what}, and {scale} means something else" if scale else what
