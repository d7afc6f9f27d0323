"""Break every objective in the usual ways and see that the proof notices: ``python scripts/mutants.py [--write FILE]``.

A mutant is a loss with one place of its body changed: the answers swapped, a sum for a mean, the reference left out or
attached, a constant ignored or doubled, a sign, a comparison. Each is held against golden rows, closed-form slopes at
200 points, reductions and what carries no gradient: the functions that the tests call, run in one process.
"""

from __future__ import annotations

import argparse
import ast
import copy
import inspect
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

import numpy as np
import torch
from objectives.cases import EDGES, OBJECTIVES, Objective, cloud, variants
from objectives.golden import complaints
from objectives.libraries import NUMPY, TORCH
from objectives.rows import ROWS

from penchant.objectives import door, label_noise, scores, surrogates
from penchant.vocabulary import CONSTANTS, TERMS

_OUT_AND_IN = "what is taken out of the logarithm is added again: its slope cancels"
_BRANCH = "the two branches agree to the last digits on both sides of where they meet"
EQUIVALENT = {
    ("lipo", "stop_gradient(s) attached"): "ranks are counts of comparisons and have no slope to stop",
    ("dr_dpo", "stop_gradient(xp.min(losses)) attached"): _OUT_AND_IN,
    (
        "scores.odds_ratio_loss",
        "stop_gradient(xp.maximum(difference, xp.zeros_like(difference))) attached",
    ): _OUT_AND_IN,
    (
        "scores.odds_ratio_loss",
        "-xp.ones_like(rejected_mean_logps) without its sign",
    ): "a branch that is not taken, of which NumPy alone would warn",
    ("rebel", "the pair swapped"): "a square: answers and ratings swapped together change two signs",
    ("reward_aware", "the pair swapped"): "a divergence of two preferences is that of their opposites",
    ("wpo", "chosen_mean_log_collision and rejected_mean_log_collision swapped"): "only their sum counts",
    ("mallowspo", "ref_chosen_mean_entropy and ref_rejected_mean_entropy swapped"): "only their sum counts",
    ("surrogates.bernoulli_kl", "1 plus 1"): _BRANCH,
    ("scores.one_minus_exp", "1 plus 1"): _BRANCH,
    ("scores.log_one_minus_exp", "1 plus 1"): _BRANCH,
    ("scores.log1p_sum_exp", "0 plus 1"): "a largest term between 0 and 1 may be taken out or left in",
}
"""Mutants that compute the same function, and why."""

HEAD = """# Mutants

`python scripts/mutants.py --write docs/mutants.md` breaks every loss, and everything the losses share, in the usual
ways and holds each mutant against the checks that the tests run: {total} mutants, of which {noticed} are noticed. A
mutant counts as noticed by the first check that fails; the later checks of a line saw what the earlier ones could not.
"""


OTHER_SIDE = {"chosen": "rejected", "rejected": "chosen", "w": "l", "l": "w"}


# --- ways to break a function ----------------------------------------------------------------------------------------


def mutants(tree: ast.FunctionDef) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every mutant of a function's body, with what was done to it."""
    names = {node.arg for node in [*tree.args.args, *tree.args.kwonlyargs]}
    yield from _whole_body(tree, names)
    for index, site in enumerate(_sites(tree)):
        for what, new in _changes(site):
            changed = copy.deepcopy(tree)
            target = _sites(changed)[index]
            _put(changed, target, new(target))
            yield f"{ast.unparse(site)} {what}", changed


def _whole_body(tree: ast.FunctionDef, names: set[str]) -> Iterator[tuple[str, ast.FunctionDef]]:
    swapped = {name: other for name in names if (other := _other_side(name)) in names - {name}}
    if swapped:
        yield "the pair swapped", _renamed(tree, swapped)
    for name, other in sorted(swapped.items()) if len(swapped) > 2 else ():
        if name < other:
            yield f"{name} and {other} swapped", _renamed(tree, {name: other, other: name})
    for name in sorted(names):
        if name.startswith("ref_") and not name.endswith("entropy"):
            yield f"{name} dropped", _replaced(tree, name, f"(0.0 * {name})")
        if name == "list_scores":
            yield "the order reversed", _replaced(tree, name, f"-{name}")
        if name in CONSTANTS:
            if default := _default(tree, name):
                yield f"{name} ignored", _replaced(tree, name, f"(0.0 * {name} + {default})")
            yield f"{name} doubled", _replaced(tree, name, f"(2.0 * {name})")
        if name.endswith("_lengths"):
            yield f"{name} ignored: a sum for a mean", _replaced(tree, name, f"(0.0 * {name} + 1.0)")


def _changes(site: ast.expr) -> Iterator[tuple[str, Callable[[Any], ast.expr]]]:
    if isinstance(site, ast.BinOp) and "zeros_like" in ast.unparse(site.right):
        return  # what brings a number to an array's shape
    match site:
        case ast.BinOp(op=ast.Add()):
            yield "with -", lambda node: ast.BinOp(node.left, ast.Sub(), node.right)
        case ast.BinOp(op=ast.Sub()):
            yield "with +", lambda node: ast.BinOp(node.left, ast.Add(), node.right)
        case ast.BinOp(op=ast.Mult()):
            yield "with /", lambda node: ast.BinOp(node.left, ast.Div(), node.right)
        case ast.BinOp(op=ast.Div()):
            yield "with *", lambda node: ast.BinOp(node.left, ast.Mult(), node.right)
        case ast.UnaryOp(op=ast.USub()):
            yield "without its sign", lambda node: node.operand
        case ast.Compare(ops=[ast.Gt() | ast.Lt()]):
            yield "turned round", _turned
        case ast.Constant(value=int() | float()) if not isinstance(site.value, bool):
            yield "plus 1", lambda node: ast.Constant(node.value + 1)
        case ast.Call(func=ast.Name(id="stop_gradient")):
            yield "attached", lambda node: node.args[0]
        case ast.Call(
            func=ast.Name(id="logistic" | "squared" | "hinge" | "sigmoid"), args=[ast.BinOp(op=ast.Mult()), *_]
        ):
            yield "with its factor outside", _factor_outside
        case ast.Call(func=ast.Name(id="reduce")):
            yield "as a sum", lambda node: ast.parse(f"reduce({ast.unparse(node.args[0])}, 'sum')", mode="eval").body
        case ast.Call(func=ast.Attribute(attr="mean" | "sum")):
            yield "as the other of sum and mean", _sum_or_mean


def _turned(node: ast.Compare) -> ast.expr:
    return ast.Compare(node.left, [ast.Lt() if isinstance(node.ops[0], ast.Gt) else ast.Gt()], node.comparators)


def _factor_outside(node: ast.Call) -> ast.expr:
    product = node.args[0]
    return ast.BinOp(product.left, ast.Mult(), ast.Call(node.func, [product.right, *node.args[1:]], node.keywords))


def _sum_or_mean(node: ast.Call) -> ast.expr:
    other = "sum" if node.func.attr == "mean" else "mean"
    return ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args, node.keywords)


def _sites(tree: ast.FunctionDef) -> list[ast.expr]:
    """Expressions of the body in a fixed order, indices and the docstring left out."""
    skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)}
    skipped |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.keyword) for part in ast.walk(node.value)}
    body = [node for statement in _body(tree) for node in ast.walk(statement)]
    return [node for node in body if isinstance(node, ast.expr) and id(node) not in skipped]


def _body(tree: ast.FunctionDef) -> list[ast.stmt]:
    return tree.body[1:] if ast.get_docstring(tree) else tree.body


def _put(tree: ast.FunctionDef, old: ast.expr, new: ast.expr) -> None:
    class Put(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            return new if node is old else super().generic_visit(node)

    tree.body = [Put().visit(statement) for statement in tree.body]


def _renamed(tree: ast.FunctionDef, names: dict[str, str]) -> ast.FunctionDef:
    changed = copy.deepcopy(tree)
    for statement in _body(changed):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
                node.id = names[node.id]
    return changed


def _replaced(tree: ast.FunctionDef, name: str, text: str) -> ast.FunctionDef:
    changed = copy.deepcopy(tree)
    for node in [n for s in _body(changed) for n in ast.walk(s) if isinstance(n, ast.Name) and n.id == name]:
        _put(changed, node, ast.parse(text, mode="eval").body)
    return changed


def _default(tree: ast.FunctionDef, name: str) -> str | None:
    positional = dict(zip([arg.arg for arg in tree.args.args][::-1], tree.args.defaults[::-1], strict=False))
    keyword = dict(zip([arg.arg for arg in tree.args.kwonlyargs], tree.args.kw_defaults, strict=True))
    found = (positional | keyword).get(name)
    return None if found is None else ast.unparse(found)


def _other_side(name: str) -> str:
    parts = name.split("_")
    return "_".join(OTHER_SIDE.get(part, part) for part in parts)


# --- what notices ----------------------------------------------------------------------------------------------------


def noticed(objective: Objective, loss: Callable[..., Any]) -> str | None:
    """The first check that a loss in the objective's place does not pass."""
    rows = [row for row in ROWS if row.function == f"{objective.name}_loss"]
    for name, check in CHECKS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                if not check(objective, loss, rows):
                    return name
        except Exception as error:  # noqa: BLE001 a mutant may fail in any way
            return f"{name} ({type(error).__name__})"
    return None


def _golden(library: Any, dtype: str) -> Callable[..., bool]:
    return lambda objective, loss, rows: not any(complaints(rows, loss, library, dtype))


def _closed_form(objective: Objective, loss: Callable[..., Any], rows: Any) -> bool:
    columns = cloud(objective)
    for name, constants in variants():
        if name == objective.name:
            expected = objective.true_slopes(*columns, **constants)
            options = constants | objective.unreduced
            found = TORCH.slopes(lambda *x, o=options: loss(*x, **o), TORCH.arrays(columns), objective.steep)
            for slope, true in zip(found, expected, strict=True):
                if not np.allclose(slope, true, rtol=1e-12, atol=max(objective.slope_floor, 1e-300)):
                    return False
    return True


def _edges(objective: Objective, loss: Callable[..., Any], rows: Any) -> bool:
    if objective.name not in EDGES:
        return True
    columns, constants = EDGES[objective.name]
    arrays, options = TORCH.arrays(columns), constants | {"reduction": "none"}
    found = [loss(*arrays, **options), *TORCH.slopes(lambda *x: loss(*x, **options), arrays, objective.steep)]
    expected = [objective.true_loss(*columns, **options), *objective.true_slopes(*columns, **constants)]
    return all(np.allclose(one, true, rtol=1e-12, atol=0) for one, true in zip(found, expected, strict=True))


def _reductions(objective: Objective, loss: Callable[..., Any], rows: Any) -> bool:
    if objective.couples_rows:
        return True
    columns = cloud(objective, 5)
    each = loss(*columns, reduction="none")
    found = loss(*columns), loss(*columns, reduction="mean"), loss(*columns, reduction="sum")
    return bool(np.allclose(found, (each.mean(), each.mean(), each.sum()), rtol=1e-13))


def _constants_of_the_optimisation(objective: Objective, loss: Callable[..., Any], rows: Any) -> bool:
    columns = TORCH.arrays(cloud(objective, 5))
    others = [i for i in range(len(columns)) if i not in objective.steep and columns[i].dtype != torch.bool]
    slopes = TORCH.slopes(lambda *x: loss(*x).reshape(1), columns, [*objective.steep, *others])
    return not any(np.any(slope) for slope in slopes[len(objective.steep) :])


CHECKS = {
    "golden rows": _golden(NUMPY, "float64"),
    "golden slopes": _golden(TORCH, "float64"),
    "golden rows in float32": _golden(TORCH, "float32"),
    "closed forms at 200 points": _closed_form,
    "edges": _edges,
    "reductions": _reductions,
    "what carries no gradient": _constants_of_the_optimisation,
}


# --- the run ---------------------------------------------------------------------------------------------------------


def of_losses(*names: str) -> Iterator[tuple[str, str, str | None]]:
    """Name, mutant, and what noticed it, for these published losses, or for all."""
    for objective in [objective for objective in OBJECTIVES if objective.name in names or not names]:
        original = inspect.unwrap(objective.loss)
        module = sys.modules[original.__module__]
        assert noticed(objective, objective.loss) is None, f"{objective.name} fails unbroken"
        for what, tree in mutants(_tree(original)):
            yield objective.name, what, noticed(objective, door.objective(_compiled(tree, module)))
        yield objective.name, "references and labels attached", _attached(objective)


def _attached(objective: Objective) -> str | None:
    """What notices a door that lets gradients through; losses without such inputs need none."""
    if all(TERMS[name].gradient or TERMS[name].binary for name in objective.terms):
        return "nothing to attach"
    kept, door.stop_gradient = door.stop_gradient, lambda x: x
    try:
        return noticed(objective, objective.loss)
    finally:
        door.stop_gradient = kept


def of_primitives() -> Iterator[tuple[str, str, str | None]]:
    """The same for what the losses share: each mutant is put in its place in every page."""
    pages = [module for name, module in sys.modules.items() if name.startswith("penchant.objectives.")]
    for module in (surrogates, scores, label_noise):
        for name, original in vars(module).copy().items():
            if inspect.isfunction(original) and original.__module__ == module.__name__:
                for what, tree in mutants(_tree(original)):
                    yield (
                        f"{module.__name__.rpartition('.')[2]}.{name}",
                        what,
                        _shared(original, _compiled(tree, module), pages),
                    )


def _shared(original: Any, mutant: Any, pages: list[ModuleType]) -> str | None:
    places = [(page, name) for page in pages for name, value in vars(page).items() if value is original]
    for page, name in places:
        setattr(page, name, mutant)
    try:
        users = {page.__name__ for page, _ in places}
        for objective in sorted(OBJECTIVES, key=lambda objective: objective.loss.__module__ not in users):
            if found := noticed(objective, objective.loss):
                return f"{objective.name}: {found}"
        return None
    finally:
        for page, name in places:
            setattr(page, name, original)


def _tree(function: Callable[..., Any]) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.decorator_list = []
    return tree


def _compiled(tree: ast.FunctionDef, module: ModuleType) -> Callable[..., Any]:
    space = dict(vars(module))
    code = ast.fix_missing_locations(ast.Module([ast.parse("from __future__ import annotations").body[0], tree], []))
    exec(compile(code, f"<mutant of {tree.name}>", "exec"), space)
    return space[tree.name]


def table(found: list[tuple[str, str, str | None]]) -> str:
    """One line per function: how many mutants, what noticed them, which were not noticed and why."""
    lines = ["| function | mutants | noticed | by |", "| --- | --- | --- | --- |"]
    for name in dict.fromkeys(name for name, _, _ in found):
        mine = [(what, by) for function, what, by in found if function == name]
        counts: dict[str, int] = {}
        for _, by in mine:
            check = (by or "").rpartition(": ")[2].partition(" (")[0]
            counts[check] = counts.get(check, 0) + (by is not None)
        by = ", ".join(f"{check} {count}" for check, count in counts.items() if count)
        lines.append(f"| {name} | {len(mine)} | {sum(by is not None for _, by in mine)} | {by} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the page to write the table to")
    options = parser.parse_args()
    found = [*of_losses(), *of_primitives()]
    missed = [(name, what) for name, what, by in found if by is None]
    for name, what in missed:
        print(f"not noticed: {name}: {what}: {EQUIVALENT.get((name, what), 'NO REASON GIVEN')}")
    print(f"{len(found)} mutants, {len(found) - len(missed)} noticed, {len(missed)} not")
    if options.write:
        reasons = [f"- `{name}`: {what}: {EQUIVALENT.get((name, what), 'a gap')}" for name, what in missed]
        head = HEAD.format(total=len(found), noticed=len(found) - len(missed))
        options.write.write_text(f"{head}\n{table(found)}\n\nNot noticed:\n\n" + "\n".join(reasons) + "\n")
    return any((name, what) not in EQUIVALENT for name, what in missed)


if __name__ == "__main__":
    sys.exit(main())
