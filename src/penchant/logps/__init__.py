"""From tokens to log-probs: a few numbers per answer. No method's constants are known here."""

from penchant.logps.plain import AnswerBatch, answer_logps
from penchant.logps.reference import AdapterOff, FrozenCopy, Reference

__all__ = ["AdapterOff", "AnswerBatch", "FrozenCopy", "Reference", "answer_logps"]
