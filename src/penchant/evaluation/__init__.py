"""What a model answers, which of two answers a rule prefers, and how sure that is."""

from penchant.evaluation.judge import is_complete, preference, words
from penchant.evaluation.sample import Answer, sample_answers
from penchant.evaluation.statistics import Share, wilson

__all__ = ["Answer", "Share", "is_complete", "preference", "sample_answers", "wilson", "words"]
