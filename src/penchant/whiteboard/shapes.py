"""The shapes that people give a loss, each as one function of named numbers.

A class is a function of its constructor's parameters and its method's. A function that takes a whole batch is a
function of what it takes out of that batch: the keys, attributes and parts that its own text names.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import linecache
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from penchant.whiteboard.binding import Parameter, parameters_of
from penchant.whiteboard.inputs import role_of


@dataclass(frozen=True)
class Plain:
    """A function of named numbers, with its parameters; ``text`` is the function that somebody wrote."""

    call: Callable[..., Any]
    parameters: list[Parameter]
    text: Any


def find(module: Any, name: str) -> Plain:
    """What a name in a module stands for: ``loss``, ``Loss``, or ``Trainer.loss``.

    Raises:
        AttributeError: if there is nothing of that name.
        TypeError: if it cannot be called.
    """
    owner, _, method = name.partition(".")
    return plain(getattr(module, owner), method)


def plain(target: Any, method: str = "") -> Plain:
    """A function, an object that can be called or a class, as a function of named numbers.

    Args:
        target: The function, object or class.
        method: The object's or class's method; ``forward``, else ``__call__``, where left out.

    Raises:
        TypeError: if it cannot be called.
    """
    if inspect.isclass(target):
        method = method or _called(target)
        if not isinstance(inspect.getattr_static(target, method), staticmethod | classmethod):
            return _of_class(target, method)
    if method:
        target = getattr(target, method)
    written = target
    if not inspect.isroutine(target) and not isinstance(target, functools.partial):
        written = getattr(target, _called(type(target)), target)
    return _with_batches(target, written, parameters_of(written))


def _called(owner: type) -> str:
    found = [name for name in ("forward", "__call__") if name in dir(owner)]
    if not found:
        raise TypeError(f"{owner.__name__} has neither forward nor __call__")
    return found[0]


def _of_class(owner: type, method: str) -> Plain:
    """A class; what its constructor asks for and no loss needs (``model``) is ``None``."""
    made, written = parameters_of(owner), getattr(owner, method)
    used = _with_batches(written, written, parameters_of(written)[1:])
    own = {parameter.name for parameter in used.parameters}

    def call(*given: Any, **values: Any) -> Any:
        constants = {p.name: values.get(p.name) for p in made if p.required or p.name in values}
        rest = {name: value for name, value in values.items() if name not in constants or name in own}
        return used.call(owner(**constants), *given, **rest)

    constructor = [
        Parameter(p.name, "keyword", p.required and role_of(p.name, True) is not None)
        for p in made
        if p.name not in own
    ]
    return Plain(call, [*used.parameters, *constructor], written)


def _with_batches(function: Callable[..., Any], written: Any, parameters: list[Parameter]) -> Plain:
    """The function with each parameter that holds a batch replaced by what the text takes out of it."""
    taken = _taken_from(written, [p.name for p in parameters if p.required])
    if not taken:
        return Plain(function, parameters, written)
    annotations = {name: parameter.annotation for name, parameter in inspect.signature(written).parameters.items()}
    builders = {name: _builder(annotations[name], written, keys) for name, keys in taken.items()}
    names = {
        batch: {key: key if len(taken) == 1 else f"{batch}_{key}" for key in keys} for batch, keys in taken.items()
    }

    def call(*given: Any, **values: Any) -> Any:
        for batch, build in builders.items():
            found = {key: values.pop(name) for key, name in names[batch].items() if name in values}
            values[batch] = build(found)
        return function(*given, **values)

    keys = [Parameter(name, "key", True) for named in names.values() for name in named.values()]
    return Plain(call, [*keys, *(p for p in parameters if p.name not in taken)], written)


def _taken_from(written: Any, names: list[str]) -> dict[str, dict[str, str]]:
    """By parameter that holds a batch: what is taken out of it, and whether as a key, an attribute or an item."""
    found: dict[str, dict[str, str]] = {}
    nodes = list(ast.walk(_tree(written)))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    for node in nodes:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))):
                how, keys = "key", [key]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=str(key))]):
                how, keys = "key", [key]
            case ast.Attribute(value=ast.Name(id=name), attr=key) if node not in called and _means_something(key):
                how, keys = "attribute", [key]
            case ast.Assign(targets=[ast.Tuple(elts=parts)], value=ast.Name(id=name)):
                how, keys = "item", [part.id for part in parts if isinstance(part, ast.Name)]
            case _:
                continue
        if name in names:
            found.setdefault(name, {}).update(dict.fromkeys(keys, how))
    return found


def _means_something(name: str) -> bool:
    return role_of(name, True) is not None or role_of(name, False) is not None


def _tree(written: Any) -> ast.AST:
    """The syntax tree of a function's own text; an empty one where there is no text."""
    function = inspect.unwrap(written.func if isinstance(written, functools.partial) else written)
    linecache.checkcache()
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # built in, or a lambda in the middle of a line
        return ast.Module([], [])


def _builder(annotation: Any, written: Any, taken: Mapping[str, str]) -> Callable[[dict[str, Any]], Any]:
    """Makes what the function expects: its own dataclass, a tuple, a dictionary or an object with attributes."""
    if isinstance(annotation, str):
        annotation = getattr(inspect.unwrap(written), "__globals__", {}).get(annotation)
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return lambda values: annotation(**dict.fromkeys(f.name for f in dataclasses.fields(annotation)) | values)
    if "item" in taken.values():
        return lambda values: tuple(values.values())
    return dict if "key" in taken.values() else lambda values: SimpleNamespace(**values)
