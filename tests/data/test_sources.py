"""Every kind of file, folders, weights, datasets by name, and data larger than what may be held."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penchant.data import read_preferences, read_rows
from penchant.data.sources import copies
from penchant.errors import InputError

ROWS = [{"prompt": f"Name colour {k}.", "chosen": 'Réd,\n"red".', "rejected": "Bread."} for k in range(5)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def as_csv(rows, delimiter=","):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_ipc(new):
    table, sink = pa.Table.from_pylist(ROWS), pa.BufferOutputStream()
    with new(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


FILES = {
    "data.jsonl": LINES,
    "data.json": json.dumps(ROWS, indent=2).encode(),
    "data.jsonl.gz": gzip.compress(LINES),
    "data.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "data.ndjson.bz2": bz2.compress(LINES),
    "data.jsonl.xz": lzma.compress(LINES),
    "data.jsonl.zst": pa.compress(LINES, codec="zstd", asbytes=True),
    "data.csv": as_csv(ROWS),
    "data.tsv": as_csv(ROWS, "\t"),
    "data.csv.gz": gzip.compress(b"\xef\xbb\xbf" + as_csv(ROWS)),
    "data.arrow": as_ipc(pa.ipc.new_file),
    "more.arrow": as_ipc(pa.ipc.new_stream),
    "data.feather": as_ipc(pa.ipc.new_file),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_same_rows(write, name):
    rows = read_preferences(write(FILES[name], name), unpaired=False).rows
    assert [(row.prompt, row.chosen) for row in rows] == [(row["prompt"], row["chosen"]) for row in ROWS]
    assert [row.source.split(":")[0] for row in rows] == [name] * 5


def test_lines_of_csv_are_those_on_which_rows_begin(write):
    rows = read_preferences(write(as_csv(ROWS), "data.csv"), unpaired=False).rows
    assert [row.source for row in rows] == [f"data.csv:{2 + 2 * k}" for k in range(5)]


def test_labels_numbers_and_messages_in_cells_of_csv(write):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    content = as_csv([{"messages": json.dumps(turns), "label": "True", "weight": "0.5"}])
    (row,) = read_preferences(write(content, "data.csv"), unpaired=True, terms=["weight"]).rows
    assert (row.prompt, row.completion, row.label, row.numbers) == ((turns[0],), "Hello.", True, {"weight": 0.5})


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".gz", ".bz2", ".xz", ".zst"))])
def test_a_truncated_archive_ends_in_one_line_and_keeps_what_came_before(write, fault, name):
    path = write(FILES[name][:-12], name)
    error = fault(path)
    assert error.where == name or error.where.startswith(f"{name}:")
    assert "breaks off" in str(error) or "cannot be read" in str(error) or "JSON" in str(error)


def test_rows_before_the_break_of_an_archive_are_read_and_the_break_is_told(tmp_path):
    path = tmp_path / "data.jsonl.gz"
    lines = b"".join(
        json.dumps({**ROWS[0], "prompt": f"{k} {k * 7919 % 10007}"}).encode() + b"\n" for k in range(50_000)
    )
    packed = gzip.compress(lines)
    path.write_bytes(packed[: len(packed) - len(packed) // 4])
    *good, last = read_rows([str(path)])
    assert len(good) > 1000 and all(row.record is not None for row in good)
    assert last.record is None and "what lies behind was not read" in str(last.fault)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"prompt,chosen,rejected\na,b,c\na,b\n", 3, ["2 cells and the first line 3"]),
        (b'prompt,chosen,rejected\na,b,c\n"a,b,c\n', 3, ["not valid CSV", "Repair the quotes"]),
        (b"prompt,chosen,rejected\na,b,c\na,\xff,c\n", 3, ["not UTF-8"]),
        (b"prompt,chosen,chosen\na,b,c\n", 1, ["'chosen' stands twice"]),
        (b"prompt,chosen,rejected\na,b,c\na,,c\n", 3, ['"chosen" must be a string', "null"]),
    ],
)
def test_faults_of_csv(write, fault, content, line, words):
    error = fault(write(content, "data.csv"))
    assert error.where == f"data.csv:{line}"
    for word in words:
        assert word in str(error)


def test_a_name_that_stands_twice_in_a_row_is_refused(write, fault):
    twice = b'{"prompt": "a", "chosen": "b", "rejected": "c", "chosen": "d"}'
    assert "data.jsonl:1" in (message := str(fault(write(twice)))) and '"chosen" stands twice' in message
    assert '"chosen" stands twice' in str(fault(write(b"[" + twice + b"]", "data.json")))
    inner = b'{"prompt": [{"role": "user", "content": "a", "content": "b"}], "chosen": "b", "rejected": "c"}'
    assert '"content" stands twice' in str(fault(write(inner)))
    quoting = json.dumps({**ROWS[0], "chosen": 'JSON such as {"chosen": 1}'}).encode()
    assert len(read_preferences(write(quoting), unpaired=False).rows) == 1


def test_a_folder_is_its_data_files(tmp_path):
    (tmp_path / "b.jsonl").write_bytes(LINES)
    (tmp_path / "a.json").write_bytes(json.dumps(ROWS[:2]).encode())
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / ".hidden.jsonl").write_text("nothing")
    rows = read_preferences(tmp_path, unpaired=False).rows
    assert [row.source for row in rows][:3] == [f"{tmp_path / 'a.json'}:1"] * 2 + [f"{tmp_path / 'b.jsonl'}:1"]
    assert len(rows) == 7


def test_a_folder_that_datasets_saved(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"))
    assert len(read_preferences(tmp_path / "saved", unpaired=False).rows) == 5


def test_a_dataset_by_name(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "somebody" / "pairs"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "train-0.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS[:2]), folder / "test-0.parquet")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    read = read_preferences(f"hf:{folder}:test", unpaired=False)
    assert [row.source for row in read.rows] == [f"hf:{folder}:test:row {k}" for k in (1, 2)]
    assert len(read_preferences(f"hf:{folder}", unpaired=False).rows) == 5
    with pytest.raises(InputError, match="datasets cannot load it"):
        read_preferences(f"hf:{folder}:none", unpaired=False)


def test_weights(write):
    write([ROWS[0]], "one.jsonl")
    write(ROWS, "five.jsonl")
    read = read_preferences(["one.jsonl@2", "five.jsonl@.4", "one.jsonl@1"], unpaired=False)
    assert [row.source for row in read.rows] == ["one.jsonl:1"] * 2 + ["five.jsonl:3", "five.jsonl:5", "one.jsonl:1"]
    assert read.rows[0] is read.rows[1]
    assert "one.jsonl read as prompt/chosen/rejected pairs, 1 row, each taken 2 times" in read.summary()
    write(ROWS, "odd@2")
    with pytest.raises(InputError, match="not a known kind of file"):
        read_preferences("odd@2", unpaired=False)  # a file of that name is meant itself
    with pytest.raises(InputError, match=r"one.jsonl: a weight must be a number above 0"):
        read_preferences("one.jsonl@0", unpaired=False)


@pytest.mark.parametrize("weight", [0.1, 1 / 3, 0.5, 1.0, 2.5, 7.0])
def test_copies_add_up(weight):
    for count in (1, 10, 999):
        assert abs(sum(copies(weight, number) for number in range(count)) - weight * count) < 1 + 1e-6


def test_rows_from_python_are_drawn_as_they_are_needed():
    drawn = []

    def rows():
        for row in ROWS:
            drawn.append(row)
            yield row

    stream = read_rows(rows())
    assert next(stream).source == "row 1"
    assert len(drawn) == 1


def test_a_file_is_not_held_in_memory(tmp_path):
    tracemalloc = pytest.importorskip("tracemalloc")
    path = tmp_path / "data.json"
    row = json.dumps({**ROWS[0], "chosen": "word " * 2000}).encode()
    path.write_bytes(b"[" + b",\n".join([row] * 2000) + b"]")
    tracemalloc.start()
    assert sum(1 for _ in read_rows([str(path)])) == 2000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 20e6 > 2 * peak
