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
from penchant.objectives.door import is_objective, objective
from penchant.records import Array
from penchant.vocabulary import CHOICES, CONSTANTS, TERMS


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
    where = f"{where}:{name}" if where else name
    for parameter in inspect.signature(loss).parameters.values():
        _check_parameter(parameter, where)
    checked = loss if is_objective(loss) else objective(loss)
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


def settled(method: Method, array: Callable[[list[float]], Array]) -> Method:
    """The method, tried on three rows if it is one's own; as a sum over rows if its function, though without
    ``reduction``, gives every row a loss that is the same without the others.

    Args:
        method: Any method; those of the catalogue are what they are.
        array: Makes arrays of the kind that the function will be called with.

    Raises:
        InputError: if the function fails, returns neither one loss per row nor one number, or lets no gradient through.
    """
    if method.paper is not None:
        return method
    rows = {name: array(_example(name)) for name in method.inputs}
    options = method.constants | ({} if method.couples_rows else {"reduction": "none"})
    kind = type(array([0.0])).__module__.partition(".")[0]
    try:
        whole = method.loss(**rows, **options)
        alone = method.loss(**{name: value[:1] for name, value in rows.items()}, **options)
        shape = tuple(getattr(whole, "shape", ()))
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        raise InputError(f"the loss fails on three rows of {kind} arrays: {cause}", where=method.name) from error
    if shape not in (((), (3,)) if method.couples_rows else ((3,),)):
        wanted = "(rows,) or one number" if method.couples_rows else "(rows,) for reduction='none'"
        raise InputError(f"the loss must return shape {wanted}", where=method.name, got=f"shape {shape}")
    if getattr(whole, "requires_grad", True) is False:
        raise InputError("no gradient flows through the loss", where=method.name, fix="Detach the reference only")
    separate = shape and bool(abs(whole[0] - alone[0]) <= 1e-9 * (1 + abs(alone[0])))
    return _per_row(method) if method.couples_rows and separate else method


def _example(name: str) -> list[float]:
    """Three rows for a term, each within its domain."""
    if TERMS[name].binary:
        return [1.0, 0.0, 1.0]
    if TERMS[name].positive:
        return [3.0, 5.0, 2.0]
    return [-1.0 - len(name) % 7 / 4, -2.5, -0.5]


def _per_row(method: Method) -> Method:
    """The method with its vector of losses reduced as the catalogue's are."""
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
