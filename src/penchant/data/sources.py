"""What data is named by: files, folders, Hugging Face datasets, rows from Python, each with a weight."""

from __future__ import annotations

import importlib
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from penchant.data.files import Located, is_data_file, located_rows, path_text
from penchant.data.formats.fields import describe
from penchant.errors import InputError, shorten

Paths: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Iterable[Mapping[str, object]]

_WEIGHT = re.compile(r"(.+)@(\d+(?:\.\d*)?|\.\d+)", re.DOTALL)
_HUB = re.compile(r"(?:hf:)?(?P<name>[\w.-]+/[\w.-]+|(?<=hf:).+?)(?::(?P<split>[\w.\[\]%+-]+))?")
_NOT_ROWS = ("dataset_info.json", "state.json", "dataset_dict.json")
"""What datasets writes beside the rows of a folder that it saves."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or what is read like one.

    Attributes:
        name: What messages call it.
        rows: Opens it and gives its rows.
        weight: How often each row is taken; of 2.5, every second row a third time.
        path: The file, where it is one.
    """

    name: str
    rows: Callable[[], Located]
    weight: float = 1.0
    path: Path | None = None


def sources_of(paths: Paths) -> list[Source]:
    """What to read, in order.

    Args:
        paths: One name, several, or the rows themselves. A name is a file; a folder, whose data files are meant; or
            ``org/name`` or ``hf:name``, a dataset that ``datasets.load_dataset`` finds, its split behind a colon
            (``train`` if there is none). ``NAME@2`` takes each row twice, ``NAME@0.1`` a tenth of the rows.

    Raises:
        InputError: if a name leads nowhere, or what is given is neither names nor rows.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if isinstance(paths, bytes | Mapping) or not isinstance(paths, Iterable):
        raise InputError("files, or a list of rows, are wanted", where="read_preferences", got=describe(paths))
    given = iter(paths)
    first = next(given, None)
    if first is None:
        raise InputError("no files and no rows were given", where="read_preferences")
    if not isinstance(first, str | os.PathLike):
        rows = chain([first], given)
        return [Source("rows", lambda: ((f"row {number}", row) for number, row in enumerate(rows, 1)))]
    return [source for name in (first, *given) for source in _named(name)]


def _named(name: object) -> Iterator[Source]:
    if not isinstance(name, str | os.PathLike):
        raise InputError("a row stands among names of files", where="read_preferences", got=describe(name))
    text, weight = _weighed(os.fspath(name))
    path = Path(text)
    if not _exists(path) and isinstance(name, str):
        hub = _HUB.fullmatch(text)
        if hub is not None and not is_data_file(path):
            yield Source(text, lambda: _hub_rows(hub["name"], hub["split"] or "train", text), weight)
            return
    for file in _files_of(path):
        located_rows(file)  # what is wrong with the name is said before the first file is read
        yield Source(path_text(file), lambda file=file: located_rows(file), weight, file)  # type: ignore[misc]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _weighed(name: str) -> tuple[str, float]:
    """The name without its weight; a file that has such a name is meant itself."""
    found = _WEIGHT.fullmatch(name)
    if found is None or _exists(Path(name)):
        return name, 1.0
    weight = float(found[2])
    if not weight > 0:
        raise InputError("a weight must be a number above 0", where=found[1], got=found[2])
    return found[1], weight


def _files_of(path: Path) -> list[Path]:
    """The file itself, or the data files of a folder by name."""
    try:
        if not path.is_dir():
            return [path]
        inside = sorted(path.iterdir())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path_text(path)) from error
    except ValueError:
        return [path]
    shown = [item for item in inside if not item.name.startswith((".", "_"))]
    files = [item for item in shown if item.is_file() and item.name not in _NOT_ROWS and is_data_file(item)]
    if files:
        return files
    folders = [item for item in shown if item.is_dir() and any(is_data_file(file) for file in item.iterdir())]
    fix = f"Name one: {', '.join(path_text(folder) for folder in folders[:5])}" if folders else "Name a file"
    raise InputError("the folder holds no data files", where=path_text(path), fix=fix)


def _hub_rows(name: str, split: str, where: str) -> Located:
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        fix = 'Run `pip install "penchant[train]"`'
        raise InputError("reading a Hugging Face dataset needs datasets", where=where, fix=fix) from error
    try:
        loaded: Any = datasets.load_dataset(name, split=split)
    except Exception as error:
        fix = "Check the name (a file has an ending such as .jsonl), the split, and the network"
        what = f"no such file, and datasets cannot load it: {type(error).__name__}"
        raise InputError(what, where=where, got=shorten(str(error), 120), fix=fix) from error
    for number, row in enumerate(loaded, 1):
        yield f"{where}:row {number}", row


def unweighed(paths: Paths) -> Iterator[Source]:
    """The sources, each of whose rows is looked at once.

    Raises:
        InputError: as :func:`sources_of`, or if a weight is given.
    """
    for source in sources_of(paths):
        if source.weight != 1:
            what = "a weight says how often training takes a row, and here each row is read once"
            raise InputError(what, where=source.name, got=f"@{source.weight:g}", fix="Leave it out")
        yield source


def copies(weight: float, number: int) -> int:
    """How often the row of this number, from 0, is taken, so that the total over any rows is within one of its share.

    >>> [copies(2.5, number) for number in range(4)]
    [2, 3, 2, 3]
    """
    return math.floor((number + 1) * weight + 1e-9) - math.floor(number * weight + 1e-9)
