"""Hold your own trainer's losses to the catalogue, in a test.

>>> from penchant.testing import assert_matches
>>> import numpy as np
>>> def my_loss(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
...     return np.logaddexp(0, -beta * ((chosen - ref_chosen) - (rejected - ref_rejected))).mean()
>>> assert_matches("dpo", my_loss)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from penchant.whiteboard.calling import Target
from penchant.whiteboard.grade import grade
from penchant.whiteboard.shapes import plain
from penchant.whiteboard.subjects import get_subject


def assert_matches(
    method: str,
    function: Callable[..., Any],
    *,
    library: str | None = None,
    inputs: Sequence[str] | None = None,
    strict: bool = False,
) -> None:
    """Fail with a diagnosis unless a function is a method's loss, in value, gradient and at the extremes.

    The function runs in this process, without limits.

    Args:
        method: A method on pairs or answers, or ``"log_sigmoid"``.
        function: Your loss: a function, an object that can be called, or a class of such objects.
        library: ``"numpy"``, ``"torch"``, ``"jax"`` or ``"python"``; told from the modules it uses when left out.
        inputs: What each parameter is, in order, where the names do not say it.
        strict: Whether remarks count as faults, a gradient that may reach the reference for instance.

    Raises:
        AssertionError: with what is wrong, if it is not right.
        InputError: if the method cannot be checked or the parameters' meaning cannot be told.
    """
    loss = plain(function)
    path = getattr(getattr(loss.text, "__code__", None), "co_filename", "")
    target = Target(loss.call, library or _library_of(loss.text), path)
    name = getattr(function, "__name__", "the function")
    verdict = grade(target, get_subject(method), loss.parameters, name, inputs)
    if verdict.exit_code or (strict and verdict.notes):
        raise AssertionError(verdict.as_text(reveal=True))


def _library_of(function: Callable[..., Any]) -> str:
    """The array library that a function's code mentions, else math's plain numbers, else what its file has."""
    used = list(_modules_used(function, set()))
    if "math" not in used:
        used += [_module(value) for value in getattr(function, "__globals__", {}).values()]
    return next((name for name in used if name in ("torch", "jax", "numpy")), "numpy")


def _modules_used(function: Callable[..., Any], seen: set[str]) -> Iterator[str]:
    """The modules that a function mentions, itself or in the functions of its file that it mentions."""
    scope: dict[str, Any] = getattr(function, "__globals__", {})
    for name in getattr(getattr(function, "__code__", None), "co_names", ()):
        if name in scope and name not in seen:
            seen.add(name)
            yield _module(scope[name])
            if getattr(scope[name], "__globals__", None) is scope:
                yield from _modules_used(scope[name], seen)


def _module(value: Any) -> str:
    """The library of a module, or of what was taken from one (``from math import exp``)."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return str(name or "").split(".")[0]
