"""Read a run folder: finished, still being written, or damaged; each is told in one clear line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from penchant.errors import InputError
from penchant.report import record

LOG = "log.jsonl"
_Line = TypeVar("_Line")
_DAMAGED = "Train again, or take the file from a copy of the run; if you edited it, undo that"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run folder says.

    Attributes:
        folder: Where it is.
        facts: What was trained, on what, how.
        log: Every log line in order, ``step`` included.
        rows: Rows measured, and which they are (``held-out`` or ``training``).
        tokens: A few rows token by token.
        samples: Answers before and after, and how they were drawn.
        doctor: The doctor's findings, as it writes them; ``None`` where they were not kept.
        alarms: What went wrong while it was trained.
        notes: What is missing, in sentences.
    """

    folder: Path
    facts: record.RunFacts
    log: list[dict[str, float]]
    rows: list[record.Row] = field(default_factory=list)
    rows_of: str = ""
    tokens: list[record.TokenRow] = field(default_factory=list)
    tokens_note: str = ""
    samples: list[record.Sample] = field(default_factory=list)
    samples_note: str = ""
    doctor: dict[str, Any] | None = None
    alarms: list[record.Alarm] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def of_lists(self) -> bool:
        """Whether the rows measured are rated lists."""
        return bool(self.rows) and self.rows[0].scores is not None

    @property
    def steps(self) -> int:
        """The last step that was logged."""
        return int(max((line["step"] for line in self.log), default=0))


def read_run(folder: Path) -> Run:
    """Everything in a run folder that a report shows.

    Raises:
        InputError: if there is no run, a file is damaged, or a newer penchant wrote it.
    """
    if not folder.is_dir():
        raise InputError("no such run folder", where=str(folder), fix="Give the --output-dir of a training run")
    path = folder / record.FOLDER / record.RUN
    if not path.is_file():
        kind = "an empty folder" if not any(folder.iterdir()) else "a folder without record/run.json"
        fix = "A report is made from the --output-dir of a training run; one that has just started has none yet"
        raise InputError("this is no run folder", where=str(folder), got=kind, fix=fix)
    facts = _decoded(path, path.read_bytes(), record.RunFacts)
    log, torn = _log(folder / LOG)
    rows_head, rows = _lines(folder, record.ROWS, record.Row)
    tokens_head, tokens = _lines(folder, record.TOKENS, record.TokenRow)
    samples_head, samples = _lines(folder, record.SAMPLES, record.Sample)
    _check_rows(folder, rows)
    run = Run(
        folder=folder,
        facts=facts,
        log=log,
        rows=rows,
        rows_of=rows_head.of,
        tokens=tokens,
        tokens_note=tokens_head.note,
        samples=samples,
        samples_note=samples_head.note,
        doctor=_doctor(folder),
        alarms=_alarms(folder),
    )
    run.notes.extend(_notes(run, torn))
    return run


def _notes(run: Run, torn: bool) -> list[str]:
    facts, notes = run.facts, []
    if facts.finished is None:
        at = f"step {run.steps:,} of {facts.steps:,}"
        notes.append(f"This run has not ended, or was stopped: the log reaches {at}. Make the report again later.")
    if torn:
        notes.append("The last line of the log was still being written and is left out.")
    if not run.log:
        notes.append("Nothing has been logged yet.")
    if facts.finished and not run.rows:
        notes.append("No rows were measured: the run was made with --report false, or of rows that are not measured.")
    return notes


def _log(path: Path) -> tuple[list[dict[str, float]], bool]:
    """The log's lines, and whether the last was torn. NaN and infinity are read as what they are."""
    if not path.is_file():
        return [], False
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    lines = []
    for number, text in enumerate(data[:whole].splitlines(), 1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict) or not isinstance(line.get("step"), int):
                raise ValueError("not an object with a step")
        except ValueError as error:
            raise InputError("the log is damaged", where=f"{path}:{number}", got=str(error), fix=_DAMAGED) from error
        lines.append({name: value for name, value in line.items() if isinstance(value, int | float)})
    return lines, whole < len(data)


def _lines(folder: Path, name: str, kind: type[_Line]) -> tuple[record.Head, list[_Line]]:
    path = folder / record.FOLDER / name
    if not path.is_file():
        return record.Head(), []
    data = path.read_bytes().split(b"\n")
    if data and not data[-1]:
        data.pop()
    head = _decoded(path, data[0] if data else b"", record.Head, 1)
    decoder = msgspec.json.Decoder(kind)
    found: list[_Line] = []
    try:
        found.extend(decoder.decode(line) for line in data[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        where = f"{path}:{len(found) + 2}"
        raise InputError("the record of the run is damaged", where=where, got=str(error), fix=_DAMAGED) from error
    return head, found


def _decoded(path: Path, data: bytes, kind: type[_Line], line: int | None = None) -> _Line:
    """One value with a version; the version is looked at before anything else is expected."""
    where = str(path) if line is None else f"{path}:{line}"
    try:
        raw = msgspec.json.decode(data)
        version = raw.get("version") if isinstance(raw, dict) else None
        if isinstance(version, int) and version > record.VERSION:
            got = f"version {version}, this one reads {record.VERSION}"
            fix = 'Upgrade it: pip install --upgrade "penchant[train]"'
            raise InputError("a newer penchant wrote this run", where=where, got=got, fix=fix)
        if version != record.VERSION:
            raise msgspec.DecodeError(f"version is {version!r}")
        return msgspec.convert(raw, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError("the record of the run is damaged", where=where, got=str(error), fix=_DAMAGED) from error


def _check_rows(folder: Path, rows: Sequence[record.Row]) -> None:
    """Every row has one number per answer, and all rows are of one kind."""
    for number, row in enumerate(rows, 2):
        wanted = len(row.scores) if row.scores is not None else 2 if row.label is None else 1
        sizes = {
            len(part)
            for part in (row.lengths, row.after, row.rewards, row.before, row.start_rewards)
            if part is not None
        }
        if sizes != {wanted} or _kind(row) != _kind(rows[0]):
            where = f"{folder / record.FOLDER / record.ROWS}:{number}"
            raise InputError(
                "the record of the run is damaged", where=where, got="a row of another shape", fix=_DAMAGED
            )


def _kind(row: record.Row) -> tuple[bool, bool]:
    return row.label is None, row.scores is None


def _doctor(folder: Path) -> dict[str, Any] | None:
    path = folder / record.FOLDER / record.DOCTOR
    return _decoded(path, path.read_bytes(), dict[str, Any]) if path.is_file() else None


def _alarms(folder: Path) -> list[record.Alarm]:
    path = folder / record.ALARMS
    if not path.is_file():
        return []
    data = path.read_bytes()
    found: list[record.Alarm] = []
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            found.append(msgspec.json.decode(line, type=record.Alarm))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            where = f"{path}:{number}"
            raise InputError("the alarms of the run are damaged", where=where, got=str(error), fix=_DAMAGED) from error
    return found
