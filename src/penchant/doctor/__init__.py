"""The doctor: what is wrong with preference data, where, and what it would do to training."""

from __future__ import annotations

from penchant.data import read_rows
from penchant.doctor.catalogue import RULES
from penchant.doctor.examine import Examination, examine, examine_files
from penchant.doctor.report import Report, RuleResult
from penchant.doctor.rule import Rule, Severity

__all__ = ["RULES", "Examination", "Report", "Rule", "RuleResult", "Severity", "examine", "examine_files", "read_rows"]
