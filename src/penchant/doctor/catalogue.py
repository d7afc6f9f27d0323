"""The table of rules, by number."""

from __future__ import annotations

from penchant.doctor import across, refused, swaps, text, tokens, whole
from penchant.doctor.rule import Rule

TEXT_RULES: tuple[Rule, ...] = tuple(
    sorted((*refused.RULES, *text.RULES, *across.RULES, *whole.RULES), key=lambda one: one.id)
)
"""Those that need no model."""

RULES: tuple[Rule, ...] = (*TEXT_RULES, *tokens.RULES, *swaps.RULES)


def as_markdown() -> str:
    """A section per rule, for docs/doctor.md."""
    return "\n\n".join(_section(one) for one in RULES)


def _section(one: Rule) -> str:
    what = " ".join((one.check.__doc__ or "").split())
    fixed = "\n\n`--fix` leaves such rows out." if one.drops else ""
    return (
        f"### {one.id}: {one.title}\n\n*{one.severity.word.capitalize()}.* {what}\n\n"
        f"**Why it matters.** {one.why}\n\n**What to do.** {one.remedy}{fixed}"
    )
