"""A method's derivative, step by step from its loss back to its inputs: the chain rule over the steps.

What one step does to the next is derived from its expression; what runs over lists or batches is left to numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penchant.whiteboard.anatomy import Anatomy, evaluate

_RULES = {
    "log_sigmoid": "sigmoid(-u)",
    "sigmoid": "sigmoid(u) * sigmoid(-u)",
    "exp": "exp(u)",
    "log": "1 / u",
    "log1mexp": "-exp(u) / (1 - exp(u))",
}
"""Function -> its derivative at u."""


class NoRule(Exception):
    """The expression has a part that is not derived here."""


def chain(anatomy: Anatomy) -> list[tuple[str, str]]:
    """Each symbol that the loss depends on, from the last step back, with its derivative.

    Returns:
        Symbol and expression; ``d_z`` in an expression is the derivative by z, found before. The expression is empty
        where a part is not derived.
    """
    reach: dict[str, list[tuple[str, str]]] = {}
    order: list[str] = []
    for step in reversed(anatomy.steps):
        unused = bool(order) and step.name not in reach
        order.append(step.name)
        if step.held or unused:
            continue
        tree = ast.parse(step.expression, mode="eval").body
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
        for name in sorted(set(names), key=names.index):
            reach.setdefault(name, []).append((step.name, _by(tree, name)))
    inputs = [name for name in reach if name not in order]
    loss = order[0]
    return [(name, _summed(reach[name], loss)) for name in (*order[1:], *inputs) if name in reach]


def _summed(parts: Sequence[tuple[str, str]], loss: str) -> str:
    if any(not local for _, local in parts):
        return ""
    terms = [local if user == loss else _text(_times(_name(f"d_{user}"), _parse(local))) for user, local in parts]
    total: ast.expr = ast.Constant(0)
    for term in terms:
        total = _plus(total, _parse(term))
    return _text(total)


def run(anatomy: Anatomy, values: Mapping[str, Any]) -> dict[str, Any]:
    """The derivatives' values, as far as they are derived, on one or more rows."""
    known: dict[str, Any] = dict(anatomy.run(values))
    found = {}
    for name, expression in chain(anatomy):
        used = {node.id for node in ast.walk(_parse(expression or "0")) if isinstance(node, ast.Name)}
        if not expression or any(n.startswith("d_") and n not in known for n in used):
            continue
        with np.errstate(all="ignore"):
            found[name] = known[f"d_{name}"] = evaluate(expression, known)
    return found


def depending(anatomy: Anatomy, symbols: Sequence[str]) -> set[str]:
    """Those symbols, and all steps that move with them."""
    found = set(symbols)
    for step in anatomy.steps:
        names = {node.id for node in ast.walk(_parse(step.expression)) if isinstance(node, ast.Name)}
        if names & found and not step.held:
            found.add(step.name)
    return found


def _by(tree: ast.expr, name: str) -> str:
    try:
        return _text(_derived(tree, name))
    except NoRule:
        return ""


def _derived(tree: ast.expr, name: str) -> ast.expr:
    match tree:
        case ast.Constant():
            return ast.Constant(0)
        case ast.Name(found):
            return ast.Constant(int(found == name))
        case ast.UnaryOp(ast.USub(), inner):
            return _minus(_derived(inner, name))
        case ast.BinOp(left, op, right):
            return _of_operation(left, op, right, name)
        case ast.Call(ast.Name(function), arguments):
            return _of_call(function, arguments, name)
    raise NoRule


def _of_operation(left: ast.expr, op: ast.operator, right: ast.expr, name: str) -> ast.expr:
    first, second = _derived(left, name), _derived(right, name)
    match op:
        case ast.Add():
            return _plus(first, second)
        case ast.Sub():
            return _plus(first, _minus(second))
        case ast.Mult():
            return _plus(_times(first, right), _times(left, second))
        case ast.Div() if _is(second, 0):
            return _over(first, right)
        case ast.Pow() if _is(second, 0):
            lower = left if _is(right, 2) else ast.BinOp(left, ast.Pow(), ast.BinOp(right, ast.Sub(), ast.Constant(1)))
            return _times(_times(right, lower), first)
    raise NoRule


def _of_call(function: str, arguments: list[ast.expr], name: str) -> ast.expr:
    if function in _RULES:
        return _times(_put(_RULES[function], arguments[0]), _derived(arguments[0], name))
    slopes = [_derived(argument, name) for argument in arguments]
    if function in ("total", "mean"):  # by each of the numbers that are added
        return slopes[0] if function == "total" else _times(_parse(f"share({_text(arguments[0])})"), slopes[0])
    if function == "where":
        return _case(arguments[0], slopes[1], slopes[2])
    if function in ("maximum", "minimum"):
        sign: ast.cmpop = ast.Gt() if function == "maximum" else ast.Lt()
        return _case(ast.Compare(arguments[0], [sign], [arguments[1]]), slopes[0], slopes[1])
    if all(_is(slope, 0) for slope in slopes):
        return ast.Constant(0)
    raise NoRule


class _Put(ast.NodeTransformer):
    def __init__(self, value: ast.expr) -> None:
        self.value = value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.value if node.id == "u" else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        return _minus(self.visit(node.operand))


def _put(rule: str, value: ast.expr) -> ast.expr:
    """A rule with an expression in the place of u."""
    tree: ast.expr = _Put(value).visit(_parse(rule))
    return tree


def _case(test: ast.expr, yes: ast.expr, no: ast.expr) -> ast.expr:
    if _text(yes) == _text(no):
        return yes
    return ast.Call(_name("where"), [test, yes, no], [])


def _plus(left: ast.expr, right: ast.expr) -> ast.expr:
    if _is(left, 0):
        return right
    if _is(right, 0):
        return left
    if isinstance(right, ast.UnaryOp):
        return ast.BinOp(left, ast.Sub(), right.operand)
    return ast.BinOp(left, ast.Add(), right)


def _minus(inner: ast.expr) -> ast.expr:
    if _is(inner, 0):
        return inner
    return inner.operand if isinstance(inner, ast.UnaryOp) else ast.UnaryOp(ast.USub(), inner)


def _times(left: ast.expr, right: ast.expr) -> ast.expr:
    for one, other in ((left, right), (right, left)):
        if _is(one, 0):
            return one
        if _is(one, 1):
            return other
        if isinstance(one, ast.UnaryOp):
            return _minus(_times(one.operand, right) if one is left else _times(left, one.operand))
    return ast.BinOp(left, ast.Mult(), right)


def _over(left: ast.expr, right: ast.expr) -> ast.expr:
    if _is(left, 0):
        return left
    if isinstance(left, ast.UnaryOp):
        return _minus(_over(left.operand, right))
    return ast.BinOp(left, ast.Div(), right)


def _is(tree: ast.expr, number: int) -> bool:
    return isinstance(tree, ast.Constant) and tree.value == number


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _text(tree: ast.expr) -> str:
    return ast.unparse(tree)


def _parse(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
