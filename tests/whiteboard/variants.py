"""Wrong variants made from the templates, alone and in pairs, and how a verdict on one is judged."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from pathlib import Path

from whiteboard.templates import Edit, Template

from penchant.whiteboard import Verdict, check
from penchant.whiteboard.sandbox import Sandbox


@dataclass(frozen=True)
class Variant:
    """A wrong function: its source, and for each mistake the names that are right for it."""

    name: str
    method: str
    source: str
    expected: tuple[frozenset[str], ...]


_DIFFERENCE = {
    *(
        "sign-flipped",
        "log-probs-mixed-up",
        "difference-wrong",
        "desirable-sign",
        "undesirable-sign",
        "labels-inverted",
    ),
    *("reference-missing", "policy-missing", "chosen-missing", "rejected-missing"),
}


def applied(source: str, edit: Edit) -> str | None:
    """The source with the edit made, or ``None`` if it has no place there."""
    for old, new in edit[1]:
        if old not in source:
            return None
        source = source.replace(old, new)
    return source


def singles(templates: tuple[Template, ...]) -> list[Variant]:
    """Every template with every one of its edits."""
    found = []
    for template in templates:
        for number, edit in enumerate(template.edits):
            source = applied(template.source, edit)
            assert source is not None and source != template.source, (template.name, edit)
            found.append(Variant(f"{template.name}/{number}", template.method, source, (_codes(edit),)))
    return found


def pairs(templates: tuple[Template, ...], count: int, seed: int = 7) -> list[Variant]:
    """Some of the pairs of edits that touch different text, evenly over the templates."""
    found: list[Variant] = []
    rng = random.Random(seed)
    for template in templates:
        possible = [
            variant
            for (i, one), (j, other) in itertools.combinations(enumerate(template.edits), 2)
            if (variant := _pair(template, one, other, f"{template.name}/{i}+{j}")) is not None
        ]
        found += rng.sample(possible, min(len(possible), count // len(templates) + 1))
    return found


def _pair(template: Template, one: Edit, other: Edit, name: str) -> Variant | None:
    """Both edits, if they commute and concern different mistakes: two wrong signs in one difference are one mistake."""
    if _codes(one) & _codes(other) or all(_codes(edit) & _DIFFERENCE for edit in (one, other)):
        return None
    forward, backward = applied(template.source, one), applied(template.source, other)
    source = applied(forward, other) if forward else None
    if source is None or backward is None or source != applied(backward, one):
        return None
    return Variant(name, template.method, source, (_codes(one), _codes(other)))


def _codes(edit: Edit) -> frozenset[str]:
    return frozenset(edit[0].split("|"))


def graded(method: str, source: str, folder: Path, sandboxes: dict[str, Sandbox]) -> Verdict:
    """The verdict on a source."""
    path = folder / "code.py"
    path.write_text(source)
    return check(path, method=method, sandboxes=sandboxes, seconds=120)


def is_right(verdict: Verdict, expected: tuple[frozenset[str], ...]) -> bool:
    """Every mistake is named and nothing else is called wrong."""
    named = {finding.code: {finding.code, *finding.also} for finding in verdict.findings}
    every = set().union(*named.values())
    surplus = [f.code for f in verdict.findings if f.wrong and not any(named[f.code] & codes for codes in expected)]
    return verdict.kind != "failed" and all(codes & every for codes in expected) and not surplus
