"""What people get wrong, and what they see of it; what a method shares with its kind is read off its steps."""

from __future__ import annotations

from penchant.objectives.catalogue import Method
from penchant.whiteboard.advice import ADVICE
from penchant.whiteboard.prose import PROSE
from penchant.whiteboard.pushes import pushes
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
        start = pushes(method)[1].loss
        found.append(
            ("Reference not frozen, or the policy itself", f"log-ratios of 0, and a loss that stays at {start:.4g}")
        )
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
        found.append(("Means over tokens in place of sums", "log-ratios look tiny, and beta means something else"))
    if "log_sigmoid" in text:
        found.append(("The sigmoid first, its logarithm second", "inf or NaN once a margin is very wrong"))
    if method.couples_rows:
        found.append(("The loss taken over micro-batches", "it changes with how a step is cut"))
    return found
