"""Token rows kept from run to run, found again by what they were made of and by nothing else.

The key is a hash of every text, template argument and setting that the tokens depend on, of the tokenizer with its
template, and of the code that made them. An entry is one Arrow file that appears whole or not at all, with a hash of
its bytes in its name, so a run may be killed at any moment, and several may write the same entry at once. Rows pass
through in batches, in both directions.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import msgspec

from penchant.caches import user_cache
from penchant.errors import InputError
from penchant.records import Prompt, TemplateArgs
from penchant.tokens import template, tokenise, words
from penchant.tokens.template import PromptStyle
from penchant.tokens.tokenise import Tokenised

WORTH_KEEPING = 1000
"""Fewer rows are tokenised sooner than a file is worth."""
MOST_BYTES = 4 << 30
"""What all entries together may take; the ones that were not used for longest go first."""

_BATCH = 1000

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
        return cls(user_cache() / "tokens")

    def read(self, key: str) -> Iterator[Tokenised] | None:
        """An entry's rows, drawn a few at a time; nothing where there is none or it is damaged."""
        import pyarrow as pa

        for path in self.folder.glob(f"{key}-*.arrow"):
            try:
                if path.stem == f"{key}-{_digest(path)}":
                    os.utime(path)
                    file = pa.OSFile(str(path))
                    return (row for batch in pa.ipc.open_stream(file) for row in _rows(batch))
                path.unlink(missing_ok=True)  # damaged; it is made again
            except OSError:
                continue  # another run let it go
        return None

    def kept(self, key: str, rows: Iterable[Tokenised]) -> Iterator[Tokenised]:
        """The rows, which make an entry as they pass; it is there when the last has passed.

        Raises:
            InputError: if the folder cannot be written to.
        """
        import pyarrow as pa

        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        draft, options = Path(name), pa.ipc.IpcWriteOptions(compression="lz4")
        try:
            with os.fdopen(descriptor, "wb") as file:
                writer = pa.ipc.new_stream(file, _schema(), options=options)
                for part in _in_parts(rows, _BATCH):
                    with self._writing():
                        writer.write_batch(_batch(part))
                    yield from part
                with self._writing():
                    writer.close()
                    file.flush()
            with self._writing():
                draft.replace(self.folder / f"{key}-{_digest(draft)}.arrow")
                self._prune()
        finally:
            draft.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            fix = "Name another folder with --token-cache, or none"
            raise InputError(f"tokens cannot be kept: {error.strerror}", where=str(self.folder), fix=fix) from error

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
    facts += [style.chat, style.end_of_turn, style.lead, style.tail, style.specials, style.opened]
    facts += [version(name) for name in ("transformers", "tokenizers")]
    facts += [Path(module.__file__).read_text() for module in (template, tokenise, words) if module.__file__]
    if "strftime_now" in chat_template:
        facts.append(datetime.date.today().isoformat())  # the template writes today's date
    made: bytes = backend.to_str().encode()
    return made + msgspec.json.encode(facts)


def _digest(path: Path) -> str:
    """A hash of a file's bytes, by which damage is seen before the first row is taken."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _schema() -> Any:
    import pyarrow as pa

    ids = pa.list_(pa.int32())
    return pa.schema([("prompt", ids), ("answers", pa.list_(ids)), ("merged", pa.list_(pa.bool_()))])


def _batch(rows: Sequence[Tokenised]) -> Any:
    import pyarrow as pa

    columns = [[row.prompt for row in rows], [row.answers for row in rows], [row.merged for row in rows]]
    return pa.record_batch(columns, schema=_schema())


def _rows(batch: Any) -> Iterator[Tokenised]:
    prompts, answers = batch["prompt"], batch["answers"]
    counts = pairwise(answers.offsets.to_numpy().tolist())
    every = list(_lists(answers.values))
    for prompt, (start, end), merged in zip(_lists(prompts), counts, batch["merged"].to_pylist(), strict=True):
        yield Tokenised(prompt, tuple(every[start:end]), tuple(merged))


def _lists(column: Any) -> Iterator[list[int]]:
    """The lists of a column without a null."""
    flat: list[int] = column.values.to_numpy().tolist()
    return (flat[start:end] for start, end in pairwise(column.offsets.to_numpy().tolist()))


def _in_parts(rows: Iterable[Tokenised], size: int) -> Iterator[list[Tokenised]]:
    """The rows, so many at a time."""
    drawn = iter(rows)
    while part := list(islice(drawn, size)):
        yield part
