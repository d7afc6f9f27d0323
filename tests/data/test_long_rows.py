"""Rows of 50 MB are read or refused like any other; over the limit the file ends with its line named."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pytest

from penchant.data.files import Broken, located_rows, tables, text
from penchant.data.files.place import MOST_ROW_BYTES
from penchant.data.rows import STOPPED, read_rows
from penchant.errors import InputError

SHORT = {"prompt": "Name a colour.", "chosen": "Red.", "rejected": "Bread."}
LONG = "Red. " * 10_000_000
"""50 MB."""


def lines(*values):
    return b"".join(value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n" for value in values)


def array(*values):
    parts = [value.strip() if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    return b"[\n" + b",\n".join(parts) + b"\n]"


def csv(*values):
    rows = [f'{row["prompt"]},"{row["chosen"]}",{row["rejected"]}\n' for row in values]
    return ("prompt,chosen,rejected\n" + "".join(rows)).encode()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "jsonl.gz"])
def test_a_row_of_50_megabytes_is_read_between_others(tmp_path, kind):
    make = {"json": array, "csv": csv}.get(kind, lines)
    content = make(SHORT, SHORT | {"chosen": LONG}, SHORT)
    path = tmp_path / f"data.{kind}"
    path.write_bytes(gzip.compress(content, 1) if kind.endswith("gz") else content)
    answers = [row.record.chosen for row in read_rows([path])]
    assert [len(answer) for answer in answers] == [4, len(LONG), 4]
    assert answers[1] == LONG


BROKEN = b'{"prompt": "Name a colour.", "chosen": "' + LONG.encode() + b'", "rejected": Bread}\n'


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "line"), [("jsonl", 2), ("json", 3)])
def test_a_broken_row_of_50_megabytes_has_its_line_and_the_next_is_read(tmp_path, kind, line):
    make = {"jsonl": lines, "json": array}[kind]
    path = tmp_path / f"data.{kind}"
    path.write_bytes(make(SHORT, BROKEN, SHORT))
    first, broken, last = read_rows([path])
    assert first.record is not None and last.record is not None
    assert isinstance(broken.raw, Broken) and broken.fault.where == f"{path}:{line}"
    assert len(str(broken.fault)) < 500, "the row is not in the message"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process's own peak is read where Linux keeps it")
@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_a_row_over_the_real_limit_takes_bounded_memory(tmp_path, kind):
    """A row that never ends: the file is 600 MB, and what is held stays within a few times the limit."""
    path = tmp_path / f"data.{kind}"
    with path.open("wb") as file:
        file.write((lines(SHORT) if kind == "jsonl" else array(SHORT)[:-2] + b",\n") + b'{"prompt": "')
        for _ in range(600):
            file.write(b"a" * 1_000_000)
    script = (
        "import sys\nfrom penchant.data.rows import read_rows\n"
        "rows = list(read_rows([sys.argv[1]]))\n"
        "print(len(rows), rows[-1].fault)\n"
        "status = open('/proc/self/status').read().split('VmHWM:')[1]\n"  # ru_maxrss begins with the parent's peak
        "print(int(status.split()[0]) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    told, peak = done.stdout.splitlines()
    assert told.startswith("2 ") and "a row is longer than 256 MB" in told
    assert f"{path}:{2 if kind == 'jsonl' else 3}" in told
    assert int(peak) < 4 * (MOST_ROW_BYTES >> 20)


@pytest.fixture
def small_limit(monkeypatch):
    """A limit of 4 MB; reading goes on in chunks of 1 MB."""
    for module in (text, tables):
        monkeypatch.setattr(module, "MOST_ROW_BYTES", 1 << 22)


@pytest.mark.parametrize(("kind", "line"), [("jsonl", 2), ("json", 3), ("csv", 3)])
def test_over_the_limit_the_file_ends_with_the_line_named(tmp_path, small_limit, kind, line):
    path = tmp_path / f"data.{kind}"
    make = {"jsonl": lines, "json": array, "csv": csv}[kind]
    path.write_bytes(make(SHORT, SHORT | {"chosen": "a" * 9_000_000}, SHORT))
    first, stopped = read_rows([path])
    assert first.record is not None and stopped.raw is STOPPED
    assert stopped.fault.where == f"{path}:{line}"
    assert "what lies behind was not read" in stopped.fault.what


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_just_under_the_limit_a_row_is_read(tmp_path, small_limit, kind):
    path = tmp_path / f"data.{kind}"
    make = {"jsonl": lines, "json": array, "csv": csv}[kind]
    path.write_bytes(make(SHORT | {"chosen": "a" * 4_000_000}, SHORT))
    assert [len(row.record.chosen) for row in read_rows([path])] == [4_000_000, 4]


def test_white_space_without_end_is_no_row(tmp_path, small_limit):
    path = tmp_path / "data.json"
    path.write_bytes(b"[" + b" " * 9_000_000)
    with pytest.raises(InputError, match="breaks off"):
        list(located_rows(path))
