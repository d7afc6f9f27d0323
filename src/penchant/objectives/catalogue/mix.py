"""A weighted sum of methods, as written on the command line: ``0.8*dpo(beta=0.2) + 0.2*ipo + nll``."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from penchant.arrays import reduce
from penchant.errors import InputError, shorten
from penchant.objectives import scores
from penchant.objectives.catalogue.method import Method, Part
from penchant.objectives.door import objective
from penchant.records import Array
from penchant.vocabulary import TERMS

_HOW = "Write sums like '0.8*dpo(beta=0.2) + 0.2*ipo + nll'"


@objective
def nll_loss(chosen_logps: Array, chosen_lengths: Array, *, reduction: str = "mean") -> Array:
    """Negative log-likelihood per token of the chosen answer: supervised fine-tuning, as a part of a sum."""
    return reduce(scores.nll(chosen_logps, chosen_lengths), reduction)


NLL = Method("nll", nll_loss, "supervised fine-tuning on the chosen answer", "-p̄_w")


def mix(text: str, lookup: Callable[[str], Method]) -> Method:
    """The method that a sum describes. Constants of its parts stand in parentheses; it has none of its own.

    Raises:
        InputError: if the text is no such sum, or its parts do not go together.
    """
    try:
        summands = list(_summands(ast.parse(text, mode="eval").body))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError("the sum of methods cannot be read", where="--method", got=shorten(text), fix=_HOW) from error
    parts = [_part(node, text, lookup) for node in summands]
    kinds = {part.method.data for part in parts}
    if len(kinds) > 1:
        listed = ", ".join(f"{part.method.name}: {part.method.data}" for part in parts)
        raise InputError("the methods of a sum take different rows", where="--method", got=listed)
    return Method(text, _loss(parts), "a weighted sum of methods", text, parts=tuple(parts))


def _summands(tree: ast.expr) -> Iterator[ast.expr]:
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
        yield from _summands(tree.left)
        yield from _summands(tree.right)
    else:
        yield tree


def _part(node: ast.expr, text: str, lookup: Callable[[str], Method]) -> Part:
    weight: Any = 1.0
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.left, ast.Constant):
        weight, node = node.left.value, node.right
    keywords = node.keywords if isinstance(node, ast.Call) and not node.args else []
    name = node.func if isinstance(node, ast.Call) and not node.args else node
    if not isinstance(name, ast.Name) or isinstance(weight, bool | str) or not isinstance(weight, int | float):
        raise InputError("the sum of methods cannot be read", where="--method", got=shorten(text), fix=_HOW)
    if not 0 < weight < float("inf"):
        raise InputError(f"the weight of {name.id} must be above 0", where="--method", got=str(weight))
    method = NLL if name.id == "nll" else lookup(name.id)
    if method.couples_rows:
        raise InputError(f"{method.name!r} has one loss for all rows, and cannot be a part of a sum", where="--method")
    return Part(float(weight), method, method.with_constants(dict(_constants(keywords, text))))


def _constants(keywords: list[ast.keyword], text: str) -> Iterator[tuple[str, Any]]:
    for keyword in keywords:
        try:
            value = ast.literal_eval(keyword.value)
        except ValueError as error:
            raise InputError("a constant must be a number or a word", where="--method", got=shorten(text)) from error
        if keyword.arg is None:
            raise InputError("the sum of methods cannot be read", where="--method", got=shorten(text), fix=_HOW)
        yield keyword.arg, value


def _loss(parts: list[Part]) -> Callable[..., Array]:
    def loss(*, reduction: str = "mean", **terms: Array) -> Array:
        total: Any = 0.0
        for part in parts:
            given = {name: terms[name] for name in part.method.inputs}
            total = total + part.weight * part.method.loss(**given, **part.constants, reduction=reduction)
        return total

    asked = dict.fromkeys(name for name in TERMS for part in parts if name in part.method.inputs)
    named = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in asked]
    last = inspect.Parameter("reduction", inspect.Parameter.KEYWORD_ONLY, default="mean")
    loss.__signature__ = inspect.Signature([*named, last])  # type: ignore[attr-defined]
    return loss
