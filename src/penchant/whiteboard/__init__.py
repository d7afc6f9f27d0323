"""The whiteboard: learn a method, write it by hand, and be told exactly what is wrong with it."""

from penchant.whiteboard.check import check
from penchant.whiteboard.verdict import Finding, Verdict

__all__ = ["Finding", "Verdict", "check"]
