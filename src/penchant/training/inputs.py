"""Where a method's inputs come from: the log-prob records, columns of the data, or the training loop."""

from __future__ import annotations

from penchant.errors import InputError
from penchant.objectives import Method
from penchant.records import AnswerLogps, PairLogps
from penchant.vocabulary import TERMS

KEPT_BY_THE_LOOP = ("log_ratio_baseline",)
_RECORDS = {"pairs": PairLogps, "answers": AnswerLogps}


def missing_inputs(method: Method) -> list[str]:
    """What the method's loss asks for and the trainer does not compute; empty for a method that can be trained with."""
    record = _RECORDS.get(method.data)
    if record is None:
        return list(method.inputs)
    given = {name for name, term in TERMS.items() if term.columns} | set(KEPT_BY_THE_LOOP)
    return [name for name in method.inputs if name not in given and not hasattr(record, name)]


def terms_of_data(method: Method, *, weighted: bool) -> list[str]:
    """What every row of the data must state as a number, for the method and for weights."""
    asked = [name for name in method.inputs if TERMS[name].columns]
    return [*asked, "weight"] if weighted else asked


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
