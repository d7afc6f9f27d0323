"""A method of one's own: any function whose parameters are in the vocabulary."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penchant.arrays import reduce
from penchant.errors import InputError, suggest
from penchant.objectives.catalogue.method import Method
from penchant.objectives.door import objective
from penchant.objectives.vocabulary import CHOICES, CONSTANTS, TERMS
from penchant.records import Array


def own_method(loss: Callable[..., Array], where: str | None = None) -> Method:
    """A method made of a function; its signature says what the trainer computes for it.

    Args:
        loss: Takes terms of the vocabulary as arrays of shape ``(rows,)``, and constants with defaults. Returns one
            loss per row, or one number for all rows.
        where: The file it came from, for messages.

    Raises:
        InputError: if a parameter is not in the vocabulary, a constant has no default, or no term is asked for.
    """
    name = getattr(loss, "__name__", type(loss).__name__)
    where = f"{where or 'the method'}:{name}" if where else name
    for parameter in inspect.signature(loss).parameters.values():
        _check_parameter(parameter, where)
    checked = loss if hasattr(loss, "__wrapped__") else objective(loss)
    try:
        return Method(name, checked, "a loss of one's own", f"{name}({', '.join(inspect.signature(loss).parameters)})")
    except TypeError as error:
        raise InputError(f"the loss cannot be trained with: {error}", where=where) from error


def method_from_file(text: str) -> Method:
    """The method that ``FILE.py:FUNCTION`` names; the file is run.

    Raises:
        InputError: if there is no such file or function, or the file fails.
    """
    path_text, _, function = text.rpartition(":")
    path = Path(path_text)
    if not path.is_file():
        raise InputError("there is no such file", where=path_text, fix="Write --method FILE.py:FUNCTION")
    module = _run(path.resolve(), path.stat().st_mtime_ns)
    found = getattr(module, function, None)
    if not inspect.isfunction(found):
        names = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        raise InputError(f"there is no function {function!r}", where=path_text, fix=suggest(function, names))
    return own_method(found, path_text)


def per_row(method: Method) -> Method:
    """The method with its vector of losses reduced as the catalogue's are; for a function without ``reduction`` that
    was seen to give each row a loss of its own.
    """
    inner = method.loss

    def loss(*, reduction: str = "mean", **given: Any) -> Array:
        return reduce(inner(**given), reduction)

    signature = inspect.signature(inner)
    last = inspect.Parameter("reduction", inspect.Parameter.KEYWORD_ONLY, default="mean")
    loss.__signature__ = signature.replace(parameters=[*signature.parameters.values(), last])  # type: ignore[attr-defined]
    loss.__name__ = method.name
    return dataclasses.replace(method, loss=loss)


@functools.lru_cache(maxsize=8)
def _run(path: Path, _changed: int) -> Any:
    spec = importlib.util.spec_from_file_location(f"penchant_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError("the file is no Python module", where=str(path), fix="Write --method FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"the file cannot be run: {cause}", where=str(path)) from error
    return module


def _check_parameter(parameter: inspect.Parameter, where: str) -> None:
    known = {*TERMS, *CONSTANTS, *CHOICES}
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise InputError(f"the loss takes *{parameter.name}", where=where, fix="Name each parameter")
    if parameter.name not in known:
        near = suggest(parameter.name, known)
        listed = ", ".join([*TERMS, *CONSTANTS])
        raise InputError(f"no input {parameter.name!r}", where=where, fix=f"{near} The vocabulary: {listed}")
    if parameter.name not in TERMS and parameter.default is inspect.Parameter.empty:
        raise InputError(f"constant {parameter.name!r} has no default", where=where, fix=f"Write {parameter.name}=...")
