"""Which of a method's inputs the trainer can compute: those that the log-prob records hold."""

from __future__ import annotations

import torch

from penchant.errors import InputError
from penchant.objectives import Method
from penchant.objectives.catalogue.own import per_row
from penchant.objectives.vocabulary import TERMS
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


def settled(method: Method) -> Method:
    """A loss without ``reduction`` that gives each row its own number is a sum over rows like any other; one that gives
    a single number, or whose rows depend on one another, is kept as one that couples them.
    """
    if not method.couples_rows or method.paper is not None:
        return method
    rows = {name: torch.tensor(_example(name), dtype=torch.float64) for name in method.inputs}
    try:
        whole = method.loss(**rows, **method.constants)
        alone = method.loss(**{name: value[:1] for name, value in rows.items()}, **method.constants)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"the loss fails on three rows of PyTorch tensors: {cause}", where=method.name) from error
    if not isinstance(whole, torch.Tensor) or whole.shape not in ((), (3,)):
        got = tuple(whole.shape) if isinstance(whole, torch.Tensor) else type(whole).__name__
        raise InputError("the loss must return a tensor of shape (rows,) or ()", where=method.name, got=str(got))
    each = whole.shape == (3,) and torch.allclose(whole[:1], alone, rtol=1e-9, atol=1e-12)
    return per_row(method) if each else method


def _example(name: str) -> list[float]:
    """Three rows for a term, each within its domain."""
    if TERMS[name].binary:
        return [1.0, 0.0, 1.0]
    if TERMS[name].positive:
        return [3.0, 5.0, 2.0]
    return [-1.0 - len(name) % 7 / 4, -2.5, -0.5]
