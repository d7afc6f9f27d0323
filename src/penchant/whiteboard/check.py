"""``penchant check``: from a file to a verdict."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from penchant.errors import InputError
from penchant.whiteboard.anatomy import ANATOMIES
from penchant.whiteboard.binding import Parameter
from penchant.whiteboard.grade import explanation, failed, grade
from penchant.whiteboard.sandbox import SECONDS, Sandbox, Stopped, libraries_in, parse
from penchant.whiteboard.subjects import Subject, checkable, get_subject
from penchant.whiteboard.verdict import Finding, Verdict

_LOSS_NAMES = ("loss", "loss_fn", "compute_loss")
_MAKERS = ("partial", "jit", "vmap", "compile")


def check(
    path: Path,
    function: str | None = None,
    method: str | None = None,
    *,
    inputs: Sequence[str] | None = None,
    seconds: float = SECONDS,
    sandboxes: dict[str, Sandbox] | None = None,
) -> Verdict:
    """Grade a function in a file, in a process of its own.

    Args:
        path: The file; it is run.
        function: The function; found by its name when left out.
        method: What it should be; told from the function's or the file's name when left out.
        inputs: What each parameter is, in order, where the names do not say it.
        seconds: The longest that one call may take.
        sandboxes: Child processes to use again, by library; they are kept open.

    Raises:
        InputError: if the file, the function or the method cannot be found, or the parameters' meaning be told.
    """
    tree = parse(path)
    function = function or _pick(tree, path, method)
    subject = get_subject(method) if method else None
    subject = subject or _guess(function, path)
    name, problem = f"{path.name}:{function}", None
    arrays = [library for library in libraries_in(path) if library != "python"]
    used = _modules_used(tree, function.partition(".")[0])
    for library in _ordered(arrays, used):
        try:
            sandbox = _open(library, seconds, sandboxes)
            try:
                parameters, error = sandbox.load(path, function)
                verdict = failed(_title(subject), name, error, library) if error else None
                verdict = verdict or _grade(sandbox, subject, parameters, name, inputs)
            finally:
                if sandboxes is None:
                    sandbox.close()
        except Stopped as stopped:
            if sandboxes is not None and library in sandboxes:
                sandboxes.pop(library).close()
            return Verdict(_title(subject), "failed", f"{name} cannot be graded: {stopped}.", library=library)
        if verdict.kind != "failed":
            return _of_plain_numbers(verdict, arrays, used)
        problem = problem or verdict
    assert problem is not None
    return problem


def _of_plain_numbers(verdict: Verdict, arrays: Sequence[str], used: set[str]) -> Verdict:
    """A remark on a function of Python's floats in a file that has tensors."""
    if not (_computes_with_math(used) and {"torch", "jax"} & set(arrays) and verdict.library in ("numpy", "python")):
        return verdict
    words = "it computes with plain numbers (math): given tensors, it has no gradient"
    answer = "Take exp and log from the tensors' library, not from math, before you train with it."
    return replace(verdict, findings=(*verdict.findings, Finding("plain-numbers", words, wrong=False, answer=answer)))


def _open(library: str, seconds: float, sandboxes: dict[str, Sandbox] | None) -> Sandbox:
    if sandboxes is None:
        return Sandbox(library, seconds)
    if library not in sandboxes:
        sandboxes[library] = Sandbox(library, seconds)
    return sandboxes[library]


def _title(subject: Subject | None) -> str:
    return subject.name if subject else ""


def _grade(
    sandbox: Sandbox, subject: Subject | None, parameters: list[Parameter], name: str, inputs: Sequence[str] | None
) -> Verdict:
    if subject is not None:
        return grade(sandbox, subject, parameters, name, inputs)
    nearest = _nearest(sandbox, parameters, name, inputs)
    if nearest is None:
        fix = "Say it with --method, as penchant methods names it"
        raise InputError("cannot tell which method this should be", where=name, fix=fix)
    verdict = grade(sandbox, get_subject(nearest), parameters, name, inputs)
    if verdict.kind in ("right", "failed"):
        return verdict
    return replace(
        verdict, sentence=f"{verdict.sentence} ({nearest} is the nearest method; say another with --method.)"
    )


def _nearest(sandbox: Sandbox, parameters: list[Parameter], name: str, inputs: Sequence[str] | None) -> str | None:
    """The method that explains a function with the fewest mistakes; those taken apart into steps are tried first."""
    best: tuple[tuple[int, bool], str] | None = None
    for candidate in sorted(checkable(), key=lambda one: one not in ANATOMIES):
        if best is not None and (best[0][0] == 0 or candidate not in ANATOMIES):
            break
        try:
            found = explanation(sandbox, get_subject(candidate), parameters, name, inputs)
        except InputError:  # the parameters do not fit this method
            continue
        if found is not None:
            scaled = found.factor != 1 or bool(found.offset) or bool(found.power)
            best = min(best or ((9, True), ""), ((len(found.faults), scaled), found.subject.name))
    return best[1] if best else None


def _pick(tree: ast.Module, path: Path, method: str | None) -> str:
    """The function to grade: the only one, or the one whose name says so."""
    names = _losses(tree)
    if not names:
        raise InputError("there is no function in the file", where=str(path))
    if len(names) == 1:
        return names[0]
    wanted = [name for name in names if method and method in name.lower()]
    wanted = wanted or [name for name in names if name in _LOSS_NAMES]
    wanted = wanted or [name for name in names if "loss" in name.lower()]
    if len(wanted) == 1:
        return wanted[0]
    fix = f"Name one: {path}:{(wanted or names)[0]}"
    raise InputError("the file has several functions", where=str(path), got=", ".join(wanted or names), fix=fix)


def _losses(tree: ast.Module) -> list[str]:
    """Whatever in a file may be a loss: functions, names bound to one, classes, and methods called a loss."""
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names = []
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
                names.append(name)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=made)):
                maker = made.attr if isinstance(made, ast.Attribute) else getattr(made, "id", "")
                if maker in _MAKERS or (maker in defined and _makes_one(defined[maker])):
                    names.append(name)
                    defined.pop(maker, None)
    for owner in defined.values():
        methods = [node.name for node in owner.body if isinstance(node, ast.FunctionDef)]
        if isinstance(owner, ast.FunctionDef) or {"forward", "__call__"} & set(methods):
            names.append(owner.name)
        else:
            names += [f"{owner.name}.{method}" for method in methods if "loss" in method]
    return [name for name in names if not name.startswith("_")]


def _makes_one(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether calling it gives something that can be called: a class, or a function that returns one of its own."""
    inner = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
    given = [one.value for one in node.body if isinstance(one, ast.Return)]
    own = any(isinstance(one, ast.Lambda) or (isinstance(one, ast.Name) and one.id in inner) for one in given)
    return isinstance(node, ast.ClassDef) or own


def _guess(function: str, path: Path) -> Subject | None:
    """The method in a function's name, else in the file's; the longest name that fits."""
    for text in (function.lower().replace("logsigmoid", "log_sigmoid"), path.stem.lower()):
        found = [name for name in checkable() if name in text]
        if found:
            return get_subject(max(found, key=len))
    return None


def _ordered(arrays: Sequence[str], used: set[str]) -> list[str]:
    """Libraries to try: what the function itself mentions comes first; plain numbers where that is math alone."""
    if _computes_with_math(used):
        return ["numpy", "python", *(library for library in arrays if library != "numpy")]
    return sorted(arrays, key=lambda library: library not in used) or ["numpy", "python"]


def _computes_with_math(used: set[str]) -> bool:
    return "math" in used and not used & {"numpy", "torch", "jax"}


def _modules_used(tree: ast.Module, function: str) -> set[str]:
    """The modules that a function mentions, itself or in what it uses of the file."""
    origin = {}
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
            plain = alias.name if isinstance(node, ast.ImportFrom) else alias.name.split(".")[0]
            origin[alias.asname or plain] = module.split(".")[0]
    parts: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            parts[node.name] = node
        elif isinstance(node, ast.Assign):
            parts |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    names: set[str] = set()
    open_ = [parts.get(function, tree)]
    while open_:
        new = {node.id for node in ast.walk(open_.pop()) if isinstance(node, ast.Name)} - names
        names |= new
        open_ += [parts[name] for name in new & set(parts)]
    return {origin[name] for name in names & set(origin)}
