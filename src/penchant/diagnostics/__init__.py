"""Named numbers about a batch of log-probs. Arrays in, numbers out; no torch is imported here."""

from penchant.diagnostics.metrics import (
    Measures,
    answer_measures,
    answer_rewards,
    by_answer,
    implicit_rewards,
    list_measures,
    measures_of,
    pair_measures,
)
from penchant.diagnostics.watch import watched

__all__ = [
    "Measures",
    "answer_measures",
    "answer_rewards",
    "by_answer",
    "implicit_rewards",
    "list_measures",
    "measures_of",
    "pair_measures",
    "watched",
]
