"""Where a method's inputs come from: the log-prob records, columns of the data, or the training loop."""

from __future__ import annotations

from penchant.errors import InputError
from penchant.objectives import Method
from penchant.records import AnswerLogps, ListLogps, PairLogps
from penchant.training.statistics import KNOWN
from penchant.vocabulary import TERMS

KEPT_BY_THE_LOOP = ("log_ratio_baseline", "gap_mean", "gap_std")
_RECORDS = {"pairs": PairLogps, "answers": AnswerLogps, "lists": ListLogps}


def missing_inputs(method: Method) -> list[str]:
    """What the method's loss asks for and the trainer does not compute; empty for a method that can be trained with."""
    return [name for name in method.inputs if not known(name, method.data)]


def known(name: str, data: str) -> bool:
    """Whether the trainer has a term for rows of a kind."""
    return bool(TERMS[name].columns) or name in (*KEPT_BY_THE_LOOP, *KNOWN) or hasattr(_RECORDS[data], name)


def terms_of_data(method: Method, *, weighted: bool, margins: bool = False) -> list[str]:
    """What every row of the data must state as a number, for the method, for weights and for margins."""
    asked = [name for name in method.inputs if TERMS[name].columns]
    return [*asked, *(["weight"] if weighted else []), *(["margin"] if margins else [])]


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
