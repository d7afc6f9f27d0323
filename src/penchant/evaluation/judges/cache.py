"""Verdicts by the content of judge and question: one SQLite file, so that a kill loses at most the one under way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from penchant.errors import InputError
from penchant.evaluation.judges.question import Reply

FILE = "verdicts.sqlite"
_COLUMNS = "key TEXT PRIMARY KEY, judge TEXT, value REAL, raw TEXT, fault TEXT"
_WAIT_SECONDS = 30
_MOST_AT_ONCE = 500


class VerdictCache:
    """What judges said, kept for good; several processes may use one.

    Args:
        folder: Where the file is; made if it is not there.

    Raises:
        InputError: if the file cannot be made or is none of ours.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.execute(f"CREATE TABLE IF NOT EXISTS verdicts ({_COLUMNS})")
        except (sqlite3.Error, OSError) as error:
            fix = "Give another folder with --cache"
            raise InputError(
                f"cannot be used as a cache of verdicts: {error}", where=str(self.path), fix=fix
            ) from error

    def find(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The replies that are known."""
        wanted, found = list(keys), {}
        for start in range(0, len(wanted), _MOST_AT_ONCE):
            part = wanted[start : start + _MOST_AT_ONCE]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, value, raw, fault FROM verdicts WHERE key IN ({marks})"  # noqa: S608 - marks alone
            for key, value, raw, fault in self._file.execute(query, part):
                found[key] = Reply(value, raw, fault)
        return found

    def add(self, key: str, judge: str, reply: Reply) -> None:
        """Keep a reply; it is in the file when this returns."""
        # half a character (a lone surrogate) in what a judge wrote is no text for SQLite
        raw, fault = (None if text is None else _text(text) for text in (reply.raw, reply.fault))
        row = (key, _text(judge), reply.value, raw, fault)
        self._file.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        self._file.close()


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
