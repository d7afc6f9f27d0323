"""Rules on log-probs under the reference model: pairs, and whole files, whose sides may be swapped."""

from __future__ import annotations

from penchant.doctor.rule import Finding, Rule, Severity, Verdict, rule
from penchant.evaluation.statistics import wilson_of_sum

STRONG = 0.5
"""Nats per token by which one side is more likely than the other for the model to "strongly prefer" it."""
_SWAPPED = 0.4
"""A share of pairs with the chosen side more likely whose whole interval is below this is suspicious."""


@rule(
    "D301",
    "the reference strongly prefers the rejected side",
    Severity.NOTE,
    why="Such pairs have the largest gradients at the start. Most are the very lessons to be taught; among them are "
    "the pairs whose labels were swapped.",
    remedy="Read the rows that are shown, the strongest first. If most are swapped, correct them, or allow for wrong "
    "labels: --label-smoothing, or --method dr_dpo.",
)
def strongly_rejected(gap: float) -> Finding | None:
    """The rejected answer's mean log-prob per token is at least 0.5 nats above the chosen one's."""
    return Finding(f"the rejected side is more likely by {gap:.2f} nats per token", gap) if gap >= STRONG else None


@rule(
    "D302",
    "which side the reference prefers",
    Severity.WARNING,
    why="A model trained on swapped labels learns the opposite of what was meant, with a falling loss and rising "
    "accuracy all the way.",
    remedy="Read ten rows. A model may also find answers of a far stronger model unlikely: this is a suspicion, not a "
    "proof. Nor is its absence one: where a small reference is near one half, a swap would not show.",
)
def swapped(preferred: float, pairs: int, strongly: int) -> Verdict | None:
    """How often the chosen answer is the more likely one per token, with Wilson's interval; suspicious under 40 %."""
    if not pairs:
        return None
    share = wilson_of_sum(preferred, pairs)
    detail = (
        f"the reference finds the chosen side more likely, per token, in {share} of {pairs:,} pairs, and the rejected "
        f"side by {STRONG} nats or more in {wilson_of_sum(strongly, pairs)}"
    )
    return Verdict(detail, Severity.WARNING if share.high < _SWAPPED else Severity.NOTE)


RULES: tuple[Rule, ...] = (strongly_rejected, swapped)
