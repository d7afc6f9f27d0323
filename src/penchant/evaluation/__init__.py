"""What a model answers, which of two answers is preferred, and how sure that is.

Names load when they are used: log-prob tables, statistics and the length-controlled win rate need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penchant.evaluation.answer import Answer
    from penchant.evaluation.rule import is_complete, preference, words
    from penchant.evaluation.sample import sample_answers
    from penchant.evaluation.statistics import Share, wilson

__all__ = ["Answer", "Share", "is_complete", "preference", "sample_answers", "wilson", "words"]

_HOMES = {
    "Answer": "answer",
    "Share": "statistics",
    "is_complete": "rule",
    "preference": "rule",
    "sample_answers": "sample",
    "wilson": "statistics",
    "words": "rule",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"penchant.evaluation.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'penchant.evaluation' has no attribute {name!r}")
