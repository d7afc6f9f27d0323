"""An append-only JSON Lines file that survives a kill: whole lines count, a torn last line is cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penchant.errors import InputError


class Ledger:
    """Rows by key, kept in a file in the order in which they were added.

    Args:
        path: The file; made with its folder if it is not there.
        key: What names a row.

    Raises:
        InputError: if a line in the middle is not a JSON object with its key, or the file cannot be written.
    """

    def __init__(self, path: Path, key: Callable[[dict[str, Any]], str]) -> None:
        self.path, self._key = path, key
        self.rows: dict[str, dict[str, Any]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._load()
        except OSError as error:
            raise InputError(f"cannot be used as output: {error.strerror}", where=str(path)) from error

    def _load(self) -> None:
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].splitlines(), 1):
            try:
                row = json.loads(line)
                self.rows[self._key(row)] = row
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                fix = "Give another --output: this file was not written by the command"
                raise InputError(
                    "the output file holds another kind of row", where=f"{self.path}:{number}", fix=fix
                ) from error
        if whole < len(data):
            os.truncate(self.path, whole)

    def add(self, *rows: dict[str, Any]) -> None:
        """Write rows, and hand them to the operating system before returning."""
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with self.path.open("ab") as file:
            file.write(text.encode("utf-8", "surrogatepass"))
        for row in rows:
            self.rows[self._key(row)] = row
