"""Faults of files and of JSON: the place, and the words that tell a stranger what to do."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROW = {"prompt": "Name a colour.", "chosen": "Red.", "rejected": "Bread."}
ROWB = json.dumps(ROW).encode()
LINE = ROWB + b"\n"


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (LINE + b'{"prompt": "a",}', 2, ["column 16", "trailing comma", "'}'"]),
        (LINE + b'{"prompt": "a', 2, ["breaks off at column 14", "one whole object on each line"]),
        (b"{\n", 1, ["breaks off at column 2", "one whole object on each line"]),
        (LINE + "{'prompt': 'é'}".encode(), 2, ["column 2", "keys must be strings", "in double quotes"]),
        ('{"é": 1 2}'.encode(), 1, ["column 9", "'2}'"]),
        (b'{"score": NaN}', 1, ["column 11", "JSON has no NaN", "null"]),
        (b'{"score": -Infinity}', 1, ["JSON has no Infinity", "null"]),
        (b'{"score": 1e999}', 1, ["number too large"]),
        (b'{"score": ' + b"1" * 5000 + b"}", 1, ["number too large"]),
        (LINE + b'{"a": ' + b"[" * 100_000, 2, ["nested too deeply"]),
        (LINE + b"{} {}", 2, ["column 4", "trailing characters", "'{}'"]),
        (LINE + b"[1]", 2, ["not an object", "an array of 1"]),
        (LINE + b"null", 2, ["not an object", "null"]),
        (LINE + b"<html>", 2, ["column 1", "invalid character", "<html>"]),
        (
            LINE + b'{"prompt": "caf\xe9"}',
            2,
            ["column 16", "not UTF-8", "0xe9", "Save the file as UTF-8"],
        ),
        ("{}".encode("utf-16"), 1, ["column 1", "not UTF-8", "0xff"]),
        (b'\xef\xbb\xbf{"a": "\xff"}', 1, ["column 8", "not UTF-8"]),
    ],
)
def test_faults_in_lines(write, fault, content, line, words):
    error = fault(write(content))
    assert error.where == f"data.jsonl:{line}"
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"[\n" + ROWB + b",\n" + ROWB + b" {}]", 3, [f"column {len(ROWB) + 2}", "expected ',' or ']'"]),
        (b"[\n" + ROWB + b",\n]", 3, ["trailing comma"]),
        (b"[\n" + ROWB + b",\n", 3, ["breaks off", "ends with ]"]),
        (b"[" + ROWB + b"]\n[{}]", 2, ["column 1", "trailing characters"]),
        (b"[\n\n1]", 3, ["not an object", "got 1"]),
        (b'[\n{"a": NaN}]', 2, ["column 7", "JSON has no NaN"]),
        (b'[\n1,\n{"a": 1e999}]', 2, ["not an object"]),
        (b'[\n{"prompt": "a", "chosen": "b", "rejected": "c"},\n{"a": 1e999}]', 3, ["number too large"]),
    ],
)
def test_faults_in_arrays(write, fault, content, line, words):
    error = fault(write(content, "data.json"))
    assert error.where == f"data.json:{line}"
    for word in words:
        assert word in str(error)


def test_a_nesting_bomb_in_an_array(write, fault):
    error = fault(write(b"[" * 100_000, "data.json"))
    assert (error.where, error.what) == ("data.json:1", "the JSON is nested too deeply")


@pytest.mark.parametrize("content", [b"", b" \n\n", b"[]", b"[ ]\n", b"\xef\xbb\xbf"])
def test_no_rows(write, fault, content):
    error = fault(write(content, "data.json"))
    assert (error.where, error.what) == ("data.json", "the file holds no rows")


def test_a_missing_file(write, fault, tmp_path):
    present = write([ROW])
    error = fault([present, "lost.jsonl"])
    assert error.where == "lost.jsonl"
    assert "no such file" in str(error)
    assert str(tmp_path) in str(error)
    assert "Check the path." in str(fault(tmp_path / "lost.jsonl"))


def test_a_folder_without_data(fault, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    assert fault(tmp_path).where == str(tmp_path)
    assert "the folder holds no data files. Name a file" in str(fault(tmp_path))
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "data.jsonl").write_bytes(LINE)
    assert f"Name one: {tmp_path / 'train'}" in str(fault(tmp_path))


@pytest.mark.parametrize("name", ["data.txt", "data", "data.parquet.gz", "data.tar.gz", "gz"])
def test_an_unknown_ending(write, fault, name):
    error = fault(write(LINE, name))
    assert error.where == name
    assert ".jsonl, .ndjson, .json, .csv" in str(error) and ".gz, .zst" in str(error)


@pytest.mark.parametrize("name", ["a\0b.jsonl", "x" * 300 + ".jsonl", "\ud800.jsonl"])
def test_a_name_that_no_file_can_have(fault, name):
    error = fault(name)
    assert "cannot be read" in error.what
    str(error).encode("utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission(write, fault, tmp_path):
    path = write([ROW])
    (tmp_path / path).chmod(0)
    assert "cannot be read: Permission denied" in str(fault(path))


@pytest.mark.parametrize("content", [b"", b"PAR1", LINE, b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_broken_parquet(write, fault, content):
    error = fault(write(content, "data.parquet"))
    assert error.where == "data.parquet"
    assert "cannot be read as Parquet" in str(error)


def test_faulty_rows_of_parquet(tmp_path, fault):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.Table.from_pylist([ROW, {**ROW, "chosen": None}]), path)
    error = fault(path)
    assert error.where == f"{path}:row 2"
    assert '"chosen" must be a string or a list of messages (got null)' in str(error)
    pq.write_table(pa.Table.from_pylist([ROW]).slice(0, 0), path)
    assert "no rows" in str(fault(path))


@pytest.mark.parametrize("given", [None, 3, ROW, b"data.jsonl", [], [ROW, 3], ["data.jsonl", ROW]])
def test_what_is_neither_files_nor_rows(fault, given):
    fault(given)
