"""What an examination found, as plain values for a table, for JSON and for an exit code."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from penchant.doctor.rule import Finding, Rule, Severity, Verdict

SHOWN_ROWS = 5


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule found.

    Attributes:
        rule: The rule.
        severity: What it counts as here.
        count: Rows at fault; ``None`` for a rule on the whole file.
        share: Of the rows that the rule looked at.
        detail: The sentence of a rule on the whole file.
        worst: At most five rows at fault, the worst first, as ``(file:line, what was found)``.
    """

    rule: Rule
    severity: Severity
    count: int | None
    share: float | None
    detail: str | None
    worst: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.rule.id,
            "title": self.rule.title,
            "severity": self.severity.word,
            "count": self.count,
            "share": self.share,
            "detail": self.detail,
            "worst": [{"source": source, "detail": detail} for source, detail in self.worst],
            "why": self.rule.why,
            "remedy": self.rule.remedy,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The whole examination; ``results`` has the gravest first, and only rules that have something to say."""

    layouts: tuple[str, ...]
    rows: int
    refused: int
    results: tuple[RuleResult, ...]

    @property
    def worst(self) -> Severity | None:
        """The gravest severity, ``None`` for a report without results."""
        return max((result.severity for result in self.results), default=None)

    def count(self, severity: Severity) -> int:
        """How many rules found something of this severity."""
        return sum(result.severity == severity for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "layouts": list(self.layouts),
            "rows": self.rows,
            "refused": self.refused,
            "results": [result.as_dict() for result in self.results],
        }


@dataclass(slots=True)
class Tally:
    """Findings as they come in: a count and the worst few per rule, and the reasons of rows that a fix drops."""

    counts: Counter[Rule] = field(default_factory=Counter)
    verdicts: dict[Rule, Verdict] = field(default_factory=dict)
    looked_at: dict[Rule, int] = field(default_factory=dict)
    reasons: dict[int, list[tuple[Rule, str]]] = field(default_factory=dict)
    _worst: dict[Rule, list[tuple[float, int, str, str]]] = field(default_factory=dict)

    def add(self, rule: Rule, row: int, source: str, finding: Finding) -> None:
        """One finding in row number ``row`` of the input; among equals the first rows are kept as the worst."""
        self.counts[rule] += 1
        entry = (finding.weight, -row, source, finding.detail)
        worst = self._worst.setdefault(rule, [])
        (heapq.heappush if len(worst) < SHOWN_ROWS else heapq.heappushpop)(worst, entry)
        if rule.drops:
            self.reasons.setdefault(row, []).append((rule, finding.detail))

    def results(self, rows: int) -> tuple[RuleResult, ...]:
        """What is worth saying, the gravest first."""
        found = [
            RuleResult(
                rule=rule,
                severity=rule.severity,
                count=count,
                share=count / self.looked_at.get(rule, rows),
                detail=None,
                worst=tuple((source, detail) for _, _, source, detail in sorted(self._worst[rule], reverse=True)),
            )
            for rule, count in self.counts.items()
        ]
        found += [
            RuleResult(rule, verdict.severity, None, None, verdict.detail, ())
            for rule, verdict in self.verdicts.items()
        ]
        return tuple(sorted(found, key=lambda result: (-result.severity, result.rule.id)))
