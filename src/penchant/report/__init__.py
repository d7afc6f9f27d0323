"""A run folder as one page that anyone can open. Reads files; imports neither training nor torch."""

from penchant.report.page import write_report

__all__ = ["write_report"]
