"""Which of a method's inputs the trainer can compute: those that the log-prob records hold."""

from __future__ import annotations

from penchant.errors import InputError
from penchant.objectives import Method
from penchant.records import AnswerLogps, PairLogps

_RECORDS = {"pairs": PairLogps, "answers": AnswerLogps}


def missing_inputs(method: Method) -> list[str]:
    """What the method's loss asks for and the trainer does not compute; empty for a method that can be trained with."""
    record = _RECORDS.get(method.data)
    return [name for name in method.inputs if not hasattr(record, name)]


def check_trainable(method: Method) -> None:
    """See that the trainer can compute what the method's loss asks for.

    Raises:
        InputError: naming what is missing.
    """
    missing = missing_inputs(method)
    if missing:
        raise InputError(
            f"method {method.name!r} cannot be trained with yet: the trainer does not compute {', '.join(missing)}",
            fix=f"Use it as a function: penchant.{method.loss.__name__}" if method.paper else "",
        )
