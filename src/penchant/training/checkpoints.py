"""Checkpoints that are whole or not there: sealed when complete, examined before a run goes on from one."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from penchant.errors import InputError
from penchant.training.running import FILE
from penchant.whole import write_whole

SEAL = "checkpoint.json"
_BLOCK = 1 << 22


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders, the latest first, whole or not."""
    found = [path for path in folder.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    return sorted(found, key=lambda path: -int(path.name.rpartition("-")[2]))


def seal(checkpoint: Path) -> None:
    """Write down size and checksum of every file, last of all and at once: a checkpoint without a seal is not whole."""
    files = {}
    for path in sorted(checkpoint.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[str(path.relative_to(checkpoint))] = [path.stat().st_size, _checksum(path)]
    write_whole(checkpoint / SEAL, json.dumps({"files": files}, indent=1) + "\n")


def fault(checkpoint: Path) -> str | None:
    """Why a run cannot go on from a checkpoint; None if it can."""
    try:
        files = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return "it was not written to its end"
    except (ValueError, KeyError, OSError):
        return f"{SEAL} is damaged"
    for name, (size, checksum) in files.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size or _checksum(path) != checksum:
            return f"{name} is damaged"
    return None


def latest_whole(folder: Path, say: Callable[[str], None]) -> Path | None:
    """The newest checkpoint that is whole, with each that is passed over said; None if there is none."""
    for path in checkpoints(folder):
        why = fault(path)
        if why is None:
            return path
        say(f"resume     {path.name} is passed over: {why}")
    return None


def check_state(checkpoint: Path) -> None:
    """See that a checkpoint holds what a run goes on from beside the model.

    Raises:
        InputError: if it was saved with ``save_only_model``.
    """
    if not (checkpoint / FILE).is_file():
        what = "the checkpoint holds the model alone, no optimiser state (save_only_model): no run goes on from it"
        fix = f"Start a new run from it: --model {checkpoint} and another --output-dir"
        raise InputError(what, where=str(checkpoint), fix=fix)


def remove_after(folder: Path, kept: Path | None) -> None:
    """Take away what is newer than the checkpoint that a run goes on from: it is written again."""
    for path in checkpoints(folder):
        if path == kept:
            return
        shutil.rmtree(path)


@contextmanager
def written_whole(checkpoint: Path) -> Iterator[None]:
    """A block that writes a checkpoint: if the disk fails it, what it wrote is taken away and the error is one line.

    Raises:
        InputError: if the checkpoint cannot be written.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        cause = _disk_cause(error)
        if cause is None:
            raise
        shutil.rmtree(checkpoint, ignore_errors=True)
        before = checkpoints(checkpoint.parent)
        then = f"{before[0].name} is whole: make room, then --resume" if before else "Make room and start again"
        raise InputError(f"the checkpoint cannot be written: {cause}", where=str(checkpoint), fix=then) from error


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """A block that writes into a run folder: what the disk refuses is an error of one line.

    Raises:
        InputError: if a file cannot be written.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        cause = _disk_cause(error)
        if cause is None:
            raise
        fix = "What was saved before is kept: make room, then --resume"
        raise InputError(f"the run folder cannot be written: {cause}", where=str(folder), fix=fix) from error


def _disk_cause(error: BaseException) -> str | None:
    """What the disk said, if it was the disk; torch and safetensors wrap it in errors of their own."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    text = " ".join(str(error).split())
    signs = (
        "PytorchStreamWriter failed",
        "unexpected pos",
        "os error",
        "No space left",
        "I/O error",
        "file write failed",
    )
    return text[:120] if any(sign in text for sign in signs) else None


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total = zlib.crc32(block, total)
    return total
