"""Files that tests write, under names without a folder, so that an error's place reads as in the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penchant.data import Preferences, read_preferences
from penchant.errors import InputError

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file into an empty working folder: bytes as they are, rows as JSON Lines."""
    monkeypatch.chdir(tmp_path)

    def write_file(content: bytes | list[Any], name: str = "data.jsonl") -> str:
        if not isinstance(content, bytes):
            content = "".join(json.dumps(row) + "\n" for row in content).encode()
        (tmp_path / name).write_bytes(content)
        return name

    return write_file


@pytest.fixture
def read(write: Write) -> Callable[..., Preferences[Any]]:
    """Reads rows from a JSON Lines file."""

    def read_rows(*rows: Any, unpaired: bool = False, format: str | None = None) -> Preferences[Any]:
        return read_preferences(write(list(rows)), unpaired=unpaired, format=format)

    return read_rows


@pytest.fixture
def fault() -> Callable[..., InputError]:
    """The error that reading gives, known to be one line."""

    def read_and_fail(paths: Any, *, unpaired: bool = False, format: str | None = None) -> InputError:
        with pytest.raises(InputError) as caught:
            read_preferences(paths, unpaired=unpaired, format=format)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600
        return caught.value

    return read_and_fail
