"""A file worked on by several processes gives what it gives when it is read by one."""

from __future__ import annotations

import json
import os
import signal

import pytest
from data.layout_rows import ROWS, TEXT

from penchant.data import parts
from penchant.data.convert import TARGETS, Conversion, convert
from penchant.data.files import text
from penchant.data.write import refused_path
from penchant.doctor import examine_files
from penchant.errors import InputError

PAIR = {"prompt": TEXT, "chosen": "Red.", "rejected": "Bread."}
FAULTS = [b"", b"{", b'{"prompt": "a", "prompt": "b"}', b"7", b"\xff", b'{"prompt": NaN}', b'{"prompt": "Colour?"}']


def lines(rows):
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


@pytest.fixture
def processes(monkeypatch):
    """So many processes, each for a part of some hundred bytes."""

    def use(number):
        monkeypatch.setattr(parts, "_processes", lambda: number)

    monkeypatch.setattr(parts, "_PART", 400)
    return use


def written(path, to, tmp_path):
    out = tmp_path / "out.jsonl"
    told = convert([path], out, Conversion(to)).summary()
    files = [file.read_bytes() for file in (out, refused_path(out)) if file.exists()]
    for file in (out, refused_path(out)):
        file.unlink(missing_ok=True)
    return told, files


@pytest.mark.parametrize("name", ["prompt-pairs", "labelled-messages", "ranked-lists"])
def test_the_rows_are_the_same_and_in_order(processes, tmp_path, name):
    row = ROWS[name].row
    rows = [one for fault in FAULTS for one in (row, row | {"id": 8}, fault)]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + lines([row, *rows])[:-1])
    for to in TARGETS:
        found = []
        for number in (1, 3):
            processes(number)
            try:
                found.append(written(path, to, tmp_path))
            except InputError as error:
                found.append(str(error))
        assert found[0] == found[1], to
    reports = []
    for number in (1, 3):
        processes(number)
        examination = examine_files([path])
        reports.append((examination.report, examination.reasons))
    assert reports[0] == reports[1]
    assert reports[0][0].rows == len(rows)


def test_parts_are_whole_lines_that_follow_one_another(tmp_path):
    content = lines([PAIR, b"", PAIR | {"chosen": "Red." * 200}, PAIR])[:-1]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    for size in (1, 90, 300, 5000):
        with path.open("rb") as stream:
            cut = list(text.line_parts(stream, size))
        assert [part.first for part in cut] == [1 + sum(part.lines for part in cut[:k]) for k in range(len(cut))]
        assert sum(part.lines for part in cut) == 4
        assert all(part.start == 0 or content[part.start - 1 : part.start] == b"\n" for part in cut)
    with path.open("rb") as stream:
        assert len(list(text.line_parts(stream, 1))) == 4


def test_a_row_over_the_limit_ends_the_reading(processes, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_CHUNK", 100)
    monkeypatch.setattr(text, "MOST_ROW_BYTES", 2000)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([*[PAIR] * 20, PAIR | {"chosen": "Red." * 1000}, *[PAIR] * 20]))
    reports = []
    for number in (1, 2):
        processes(number)
        reports.append(examine_files([path]).report)
    assert reports[0] == reports[1]
    assert reports[0].rows == 21


def test_an_array_a_packed_file_and_rows_that_need_their_neighbours_are_read_here(processes, tmp_path, monkeypatch):
    processes(2)
    monkeypatch.setattr(parts, "_by_processes", lambda *given: pytest.fail("no processes are wanted"))
    array = tmp_path / "rows.json"
    array.write_text(json.dumps([PAIR] * 20))
    assert examine_files([array]).report.rows == 20
    answers = tmp_path / "answers.jsonl"
    answers.write_bytes(lines([{"prompt": TEXT, "completion": "Red.", "label": True}] * 40))
    with pytest.raises(InputError, match="none can be written"):
        convert([answers], tmp_path / "out.jsonl", Conversion("pairs"))


@pytest.mark.filterwarnings("ignore:This process")
def test_a_process_that_is_killed_is_said_and_an_error_is_passed_on(processes, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([PAIR] * 40))
    processes(2)

    def killed(rows):
        os.kill(os.getpid(), signal.SIGKILL)
        yield from rows

    def stopped(rows):
        yield 1
        raise InputError("no", where=next(rows).source)

    with pytest.raises(InputError, match="ended from outside"):
        list(parts.in_parts([path], None, killed, lambda layout: True))
    with pytest.raises(InputError, match=r"rows\.jsonl:1: no"):
        list(parts.in_parts([path], None, stopped, lambda layout: True))
