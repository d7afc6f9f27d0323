"""The picture of a method, drawn from its steps: inputs on the left, the loss on the right."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from penchant.whiteboard.anatomy import Anatomy, Step
from penchant.whiteboard.walkthroughs.blocks import SIGNS, WORDS, width, written

_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "×", ast.Div: "÷"}
_SHORT = 20


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines of equal width, and the one that leaves to the right."""

    lines: tuple[str, ...]
    out: int


def draw(anatomy: Anatomy, constants: Sequence[str]) -> str:
    """The flow from a method's inputs to its loss, as text.

    Args:
        anatomy: Its steps.
        constants: The symbols that are numbers of the user's choice; they stand with the operation, not as inputs.
    """
    steps = {step.name: step for step in anatomy.steps}
    drawn: set[str] = set()
    block = _draw(anatomy.steps[-1].name, steps, set(constants), drawn)
    return "\n".join(line.rstrip() for line in block.lines)


def _draw(name: str, steps: dict[str, Step], constants: set[str], drawn: set[str]) -> _Block:
    """One symbol with all that leads to it; what was drawn before goes by its name alone."""
    sign = SIGNS.get(name, name)
    if name not in steps or name in drawn:
        return _Block((f"{sign} ",), 0)
    drawn.add(name)
    tree = ast.parse(steps[name].expression, mode="eval").body
    parts = [part for part in _symbols(tree) if part not in constants]
    blocks = [_draw(part, steps, constants, drawn) for part in parts]
    operation = _operation(tree, constants)
    label = f"({operation})─ {sign} " if operation else f" {sign} "
    return _joined(blocks, label) if blocks else _Block((f"{sign} ",), 0)


def _symbols(tree: ast.expr) -> list[str]:
    """The names in an expression, in order, without its functions."""
    names = sorted(
        (node for node in ast.walk(tree) if isinstance(node, ast.Name)), key=lambda node: (node.lineno, node.col_offset)
    )
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return list(dict.fromkeys(node.id for node in names if id(node) not in called))


def _operation(tree: ast.expr, constants: set[str]) -> str:
    """What a step does: a sign, or the expression if it is short, or the constants that it takes."""
    match tree:
        case ast.Name():
            return ""
        case ast.BinOp(ast.Name(first), ast.Mult(), ast.Name()) if first in constants:
            return f"×{SIGNS.get(first, first)}"
        case ast.BinOp(ast.Name(), op, ast.Name(second)) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)] + (SIGNS.get(second, second) if second in constants else "")
        case ast.BinOp(ast.Name(), ast.Pow(), ast.Constant(2)):
            return "²"
        case ast.UnaryOp(ast.USub(), ast.Name()):
            return "-"
        case ast.UnaryOp(ast.USub(), ast.Call(ast.Name(function), [ast.Name()])):
            return f"-{WORDS.get(function, function)}"
        case ast.Call(ast.Name(function), [ast.Name()]):
            return WORDS.get(function, function)
    text = written(ast.unparse(tree))
    if width(text) <= _SHORT:
        return text
    return ", ".join(SIGNS.get(name, name) for name in _symbols(tree) if name in constants)


def _joined(blocks: list[_Block], label: str) -> _Block:
    """Blocks above one another whose outputs meet and go on as ``label``."""
    if len(blocks) == 1:
        return _extended(blocks[0], "─" + label)
    wide = max(width(line) for block in blocks for line in block.lines)
    lines: list[str] = []
    outs: list[int] = []
    for number, block in enumerate(blocks):
        if number and number == len(blocks) // 2 and len(blocks) % 2 == 0:
            lines.append(" " * wide)
        outs.append(len(lines) + block.out)
        lines += [
            line + ("─" if place == block.out else " ") * (wide - width(line)) for place, line in enumerate(block.lines)
        ]
    middle = (outs[0] + outs[-1]) // 2
    drawn = []
    for place, line in enumerate(lines):
        drawn.append(line + _corner(place, outs, middle) + (label if place == middle else " " * width(label)))
    return _Block(tuple(drawn), middle)


def _corner(place: int, outs: list[int], middle: int) -> str:
    """The vertical line's character, with what comes from the left before it and what leaves to the right after it."""
    if not outs[0] <= place <= outs[-1]:
        return "   "
    joins, leaves = place in outs, place == middle
    if place in (outs[0], outs[-1]):
        return "─┐ " if place == outs[0] else "─┘ "
    return (
        ("─" if joins else " ")
        + ("┼" if joins and leaves else "┤" if joins else "├" if leaves else "│")
        + ("─" if leaves else " ")
    )


def _extended(block: _Block, text: str) -> _Block:
    lines = [line + (text if place == block.out else " " * width(text)) for place, line in enumerate(block.lines)]
    return _Block(tuple(lines), block.out)
