"""Prompts from any file that has them: a "prompt" column, or preference data in a known layout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penchant.data.files import path_text, rows_of_file
from penchant.data.formats import recognise
from penchant.errors import InputError, shorten
from penchant.records import Message, Prompt

_NAMES = ("prompt", "instruction", "question")


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Distinct prompts in the file's order, each with the place where it first stands, and how many were repeats."""

    prompts: list[Prompt]
    sources: list[str]
    repeats: int


def read_prompts(path: str | Path) -> PromptSet:
    """The distinct prompts of a file.

    Args:
        path: JSONL, JSON or Parquet with ``prompt`` (or ``instruction``, ``question``), a string or messages, or any
            layout of preference data; or a ``.txt`` file with one prompt on each line.

    Raises:
        InputError: at the first row without a prompt, or if there is none at all.
    """
    path = Path(path)
    found: dict[str, tuple[Prompt, str]] = {}
    rows = 0
    for source, row in _text_lines(path) if path.suffix.lower() == ".txt" else rows_of_file(path):
        rows += 1
        prompt = prompt_of(row, source)
        found.setdefault(prompt_key(prompt), (prompt, source))
    if not found:
        raise InputError("the file holds no prompts", where=path_text(path))
    prompts, sources = zip(*found.values(), strict=True)
    return PromptSet(list(prompts), list(sources), rows - len(found))


def prompt_of(row: object, source: str) -> Prompt:
    """A row's prompt.

    Raises:
        InputError: if it has none, or an empty one.
    """
    if not isinstance(row, Mapping):
        raise InputError("the row is not an object with named columns", where=source, got=shorten(row))
    name = next((name for name in _NAMES if name in row), None)
    prompt: Any = (
        row[name] if name is not None else getattr(recognise(row, source).convert(row, source), "prompt", None)
    )
    if isinstance(prompt, list | tuple):
        return tuple(_message(turn, source) for turn in _nonempty(prompt, source))
    if not isinstance(prompt, str):
        raise InputError("the prompt is neither text nor a list of messages", where=source, got=shorten(prompt))
    return str(_nonempty(prompt, source))


def _nonempty(prompt: Any, source: str) -> Any:
    if not prompt or (isinstance(prompt, str) and not prompt.strip()):
        raise InputError("the prompt is empty", where=source, got=shorten(prompt))
    return prompt


def _message(turn: object, source: str) -> Message:
    ok = isinstance(turn, Mapping) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
    if not ok:
        raise InputError('a message needs "role" and "content" as text', where=source, got=shorten(turn))
    assert isinstance(turn, Mapping)
    return {"role": turn["role"], "content": turn["content"]}


def prompt_key(prompt: Prompt) -> str:
    """A name for a prompt that its content alone decides."""
    return digest(prompt)


def digest(*values: Any) -> str:
    """Twenty hexadecimal digits that the values alone decide."""
    text = json.dumps(values, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def plain(prompt: Prompt) -> str | Sequence[Message]:
    """A prompt as JSON holds it."""
    return prompt if isinstance(prompt, str) else list(prompt)


def _text_lines(path: Path) -> Iterator[tuple[str, object]]:
    where = path_text(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError("no such file", where=where, fix="Check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as UTF-8 text: {error}", where=where) from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{where}:{number}", {"prompt": line.strip()}
