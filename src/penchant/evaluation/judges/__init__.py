"""Who rates or compares answers: a Python function, a shell command, a reward model, an implicit reward."""

from penchant.evaluation.judges.named import judge_named
from penchant.evaluation.judges.question import Judge, Question, Reply

__all__ = ["Judge", "Question", "Reply", "judge_named"]
