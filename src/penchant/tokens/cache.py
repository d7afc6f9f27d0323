"""Token rows kept from run to run, found again by what they were made of and by nothing else.

The key is a hash of every text, template argument and setting that the tokens depend on, of the tokenizer with its
template, and of the code that made them. An entry is one file that appears whole or not at all, so a run may be killed
at any moment, and several may write the same entry at once.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from penchant.errors import InputError
from penchant.records import Prompt, TemplateArgs
from penchant.tokens import template, tokenise, words
from penchant.tokens.template import PromptStyle
from penchant.tokens.tokenise import Tokenised

WORTH_KEEPING = 1000
"""Fewer rows are tokenised sooner than a file is worth."""
MOST_BYTES = 4 << 30
"""What all entries together may take; the ones that were not used for longest go first."""

Text = tuple[Prompt, Sequence[str], TemplateArgs]


class TokenCache:
    """A folder of token rows.

    Args:
        folder: Where they are kept; made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def named(cls, name: str) -> TokenCache | None:
        """The cache for ``--token-cache``: ``auto`` (the user's cache folder), ``none``, or a folder."""
        if name == "none":
            return None
        if name != "auto":
            return cls(Path(name))
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(home) / "penchant" / "tokens")

    def read(self, key: str) -> list[Tokenised] | None:
        """An entry, or nothing where there is none or it is damaged."""
        path = self._path(key)
        try:
            with np.load(path, allow_pickle=False) as file:
                parts = {name: file[name] for name in ("ids", "prompts", "counts", "answers", "merged")}
        except OSError:
            return None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
            path.unlink(missing_ok=True)  # it is made again
            return None
        os.utime(path)
        return _unpacked(**parts)

    def write(self, key: str, rows: Sequence[Tokenised]) -> None:
        """Keep an entry.

        Raises:
            InputError: if the folder cannot be written to.
        """
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    np.savez(file, **_packed(rows))  # type: ignore[arg-type]
                Path(draft).replace(path)
            finally:
                Path(draft).unlink(missing_ok=True)
            self._prune()
        except OSError as error:
            fix = "Name another folder with --token-cache, or none"
            raise InputError(f"tokens cannot be kept: {error.strerror}", where=str(self.folder), fix=fix) from error

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _prune(self) -> None:
        """Let the entries go that were not used for longest, and drafts of runs that were killed a day ago."""
        found = []
        for path in self.folder.iterdir():
            try:
                found.append((path.stat().st_mtime, path.stat().st_size, path))
            except FileNotFoundError:
                continue  # another run let it go
        newest, held = max(time for time, _, _ in found), 0
        for time, size, path in sorted(found, reverse=True):
            held += size
            if held > MOST_BYTES or (path.suffix == ".part" and newest - time > 86_400):
                path.unlink(missing_ok=True)


def key_of(texts: Iterable[Text], style: PromptStyle) -> str | None:
    """What names an entry; nothing for a tokenizer that does not say what it is made of."""
    made = _fingerprint(style)
    if made is None:
        return None
    digest = hashlib.blake2b(made, digest_size=20)
    encode = msgspec.json.Encoder(order="sorted").encode
    try:
        for text in texts:
            digest.update(encode(text))
            digest.update(b"\n")
    except TypeError:  # rows from Python whose template arguments are no plain values
        return None
    return digest.hexdigest()


def _fingerprint(style: PromptStyle) -> bytes | None:
    tokenizer = style.tokenizer
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    chat_template = str(tokenizer.chat_template)
    facts: list[Any] = [type(tokenizer).__name__, chat_template, tokenizer.bos_token_id, tokenizer.eos_token_id]
    facts += [style.chat, style.end_of_turn, style.lead, style.tail, style.specials]
    facts += [version(name) for name in ("transformers", "tokenizers")]
    facts += [Path(module.__file__).read_text() for module in (template, tokenise, words) if module.__file__]
    if "strftime_now" in chat_template:
        facts.append(datetime.date.today().isoformat())  # the template writes today's date
    made: bytes = backend.to_str().encode()
    return made + msgspec.json.encode(facts)


def _packed(rows: Sequence[Tokenised]) -> dict[str, np.ndarray[Any, Any]]:
    """Rows as flat arrays: all ids one after another, and how many belong to each part."""
    prompts = np.array([len(row.prompt) for row in rows], dtype=np.int32)
    counts = np.array([len(row.answers) for row in rows], dtype=np.int32)
    answers = np.array([len(ids) for row in rows for ids in row.answers], dtype=np.int32)
    merged = np.array([flag for row in rows for flag in row.merged], dtype=bool)
    ids = [one for row in rows for part in (row.prompt, *row.answers) for one in part]
    return {
        "ids": np.array(ids, dtype=np.int32),
        "prompts": prompts,
        "counts": counts,
        "answers": answers,
        "merged": merged,
    }


def _unpacked(ids: Any, prompts: Any, counts: Any, answers: Any, merged: Any) -> list[Tokenised]:
    rows, at, first, flat = [], 0, 0, ids.tolist()
    lengths, flags = answers.tolist(), merged.tolist()
    for prompt, count in zip(prompts.tolist(), counts.tolist(), strict=True):
        parts = []
        for length in (prompt, *lengths[first : first + count]):
            parts.append(flat[at : at + length])
            at += length
        rows.append(Tokenised(parts[0], tuple(parts[1:]), tuple(flags[first : first + count])))
        first += count
    assert at == len(flat), "every token belongs to a row"
    return rows
