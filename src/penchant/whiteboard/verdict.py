"""What ``penchant check`` has to say: findings, the sentence on top, and the same for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """The smallest inputs found that show a finding; ``expected`` and ``got`` are losses unless ``what`` says else."""

    inputs: Mapping[str, Any]
    expected: Any
    got: Any
    what: str = "loss"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or (``wrong=False``) right but worth knowing."""

    code: str
    sentence: str
    wrong: bool = True
    line: str | None = None
    hint: str | None = None
    answer: str | None = None
    example: Example | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The grade of a function.

    Attributes:
        method: What it was held against.
        kind: ``"right"``, ``"scaled"`` (right up to a constant), ``"other"`` (another known method), ``"wrong"``, or
            ``"failed"`` (it cannot be run).
        sentence: What it is, in one sentence.
        findings: What is wrong and what is worth knowing, in that order.
        library: The array library it was called with.
    """

    method: str
    kind: str
    sentence: str
    findings: tuple[Finding, ...] = ()
    library: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 when right, 2 when it cannot be run, 1 otherwise."""
        return {"right": 0, "failed": 2}.get(self.kind, 1)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of what is wrong."""
        return tuple(finding.code for finding in self.findings if finding.wrong)

    @property
    def notes(self) -> tuple[str, ...]:
        """The codes of what is worth knowing."""
        return tuple(finding.code for finding in self.findings if not finding.wrong)

    def as_json(self) -> dict[str, Any]:
        """For programs: everything, the answers included."""
        return {
            "method": self.method,
            "verdict": self.kind,
            "sentence": self.sentence,
            "library": self.library,
            "findings": [_finding_json(finding) for finding in self.findings],
            **self.facts,
        }

    def as_text(self, reveal: bool = False) -> str:
        """For people: the sentence, then each finding with its line, its example and a hint."""
        parts = [self.sentence]
        for finding in self.findings:
            parts.append(_finding_text(finding, reveal))
        if not reveal and any(finding.wrong and finding.answer for finding in self.findings):
            parts.append("Add --reveal for the answer.")
        return "\n\n".join(parts)


def _finding_json(finding: Finding) -> dict[str, Any]:
    example = finding.example
    return {
        "code": finding.code,
        "wrong": finding.wrong,
        "sentence": finding.sentence,
        "line": finding.line,
        "hint": finding.hint,
        "answer": finding.answer,
        "also": list(finding.also),
        "example": example
        and {"inputs": dict(example.inputs), "what": example.what, "expected": example.expected, "got": example.got},
    }


def _finding_text(finding: Finding, reveal: bool) -> str:
    lines = [("✗ " if finding.wrong else "· ") + finding.sentence]
    if finding.line:
        lines.append(f"  line:      {finding.line}")
    if finding.example:
        lines.append(
            "  inputs:    " + ", ".join(f"{name}={show(value)}" for name, value in finding.example.inputs.items())
        )
        lines.append(f"  expected:  {finding.example.what} {show(finding.example.expected)}")
        lines.append(f"  got:       {finding.example.what} {show(finding.example.got)}")
    if finding.hint and finding.wrong and not reveal:
        lines.append(f"  hint:      {finding.hint}")
    if finding.answer and (reveal or not finding.wrong):
        lines.append(f"  answer:    {finding.answer}")
    return "\n".join(lines)


def show(value: Any) -> str:
    """A number in at most seven digits."""
    if isinstance(value, bool) or not isinstance(value, float):
        return "[" + ", ".join(show(v) for v in value) + "]" if isinstance(value, list) else str(value)
    return f"{value:.7g}"
