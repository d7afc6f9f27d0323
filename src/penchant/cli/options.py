"""Options of ``penchant train``: a YAML file, overridden by the command line, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penchant.errors import InputError, shorten


def read_config(path: Path) -> dict[str, Any]:
    """Options from a YAML file, by option name with dashes or underscores.

    Raises:
        InputError: if the file is missing, is not safe YAML, or is not a mapping.
    """
    import yaml

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_strict_loader())  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise InputError(f"cannot read the config file: {error.strerror}", where=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"the config file is not plain YAML: {problem}", where=where) from error
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise InputError("the config file must map option names to values", where=str(path), got=shorten(content))
    options = {name.replace("-", "_"): _number(value) for name, value in content.items()}
    if len(options) < len(content):
        raise InputError("the config file gives an option twice, with dashes and with underscores", where=str(path))
    return options


def _strict_loader() -> Any:
    """YAML's safe loader, which also refuses a name that stands twice in one mapping."""
    import yaml

    class StrictLoader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [key.value for key, _ in node.value]
            for name in names:
                if names.count(name) > 1:
                    raise yaml.constructor.ConstructorError(None, None, f"{name!r} stands twice", node.start_mark)
            return super().construct_mapping(node, deep)

    return StrictLoader


def parse_value(text: str) -> Any:
    """A command-line value as the YAML scalar it spells: number, true/false, word, or [list]."""
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return _number(value)


def parse_constant(text: str) -> Any:
    """A method's constant as typed: a number if it is one, else the word itself; needs no YAML."""
    return _number(text)


def _number(value: Any) -> Any:
    """YAML 1.1 reads 2e-5 as a string; people mean the number."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value
