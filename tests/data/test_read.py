"""Where rows come from, and what the summary says of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penchant.data import read_preferences
from penchant.records import LabelledAnswer, PreferencePair

ROW = {"prompt": "Name a colour.", "chosen": "Red.", "rejected": "Bread."}
LABELLED = {"prompt": "Name a colour.", "completion": "Red.", "label": True}


def sources(paths):
    return [row.source for row in read_preferences(paths, unpaired=False).rows]


def test_lines_count_blank_ones_and_take_either_line_end(write):
    line = json.dumps(ROW).encode()
    assert sources(write(line + b"\r\n\n  \n" + line)) == ["data.jsonl:1", "data.jsonl:4"]


@pytest.mark.parametrize("name", ["data.jsonl", "data.ndjson", "data.json", "DATA.JSON"])
def test_lines_under_any_text_ending(write, name):
    assert sources(write([ROW, ROW], name)) == [f"{name}:1", f"{name}:2"]


def test_an_array_gives_the_line_on_which_each_row_starts(write):
    content = b"\n [\n" + json.dumps(ROW, indent=1).encode() + b",\n\n" + json.dumps(ROW).encode() + b"]\n"
    assert sources(write(content, "data.json")) == ["data.json:3", "data.json:9"]


def test_an_array_on_one_line(write):
    assert sources(write(json.dumps([ROW, ROW]).encode(), "data.json")) == ["data.json:1"] * 2


def test_a_byte_order_mark_is_accepted(write):
    assert sources(write(b"\xef\xbb\xbf" + json.dumps(ROW).encode())) == ["data.jsonl:1"]


def test_unicode_is_read_as_written(write):
    row = {**ROW, "chosen": "Čer\u2028vená 🟥\x85"}
    path = write(json.dumps(row, ensure_ascii=False).encode())
    assert read_preferences(path, unpaired=False).rows[0].chosen == row["chosen"]


def test_parquet_with_strings_and_with_messages(tmp_path):
    user, red = {"role": "user", "content": "Name a colour."}, {"role": "assistant", "content": "Red."}
    path = tmp_path / "data.parquet"
    pq.write_table(pa.Table.from_pylist([{"messages": [user, red], "label": True}] * 3), path)
    preferences = read_preferences(path, unpaired=True)
    assert preferences.rows[2] == LabelledAnswer((user,), "Red.", True, f"{path}:row 3")
    pq.write_table(pa.Table.from_pylist([ROW]), path)
    assert sources(path) == [f"{path}:row 1"]


def test_null_fields_that_parquet_gives_every_turn_are_not_reported(tmp_path):
    user = {"role": "user", "content": "Name a colour."}
    red = {"role": "assistant", "content": "Red.", "tool_calls": None}
    path = tmp_path / "data.parquet"
    pq.write_table(pa.Table.from_pylist([{"messages": [user, red], "label": True}]), path)
    assert read_preferences(path, unpaired=True).summary() == "read as messages/label answers, 1 row"


def test_rows_given_in_python_count_from_one():
    expected = PreferencePair("Name a colour.", "Red.", "Bread.", "row 2")
    assert read_preferences((dict(ROW) for _ in range(2)), unpaired=False).rows[1] == expected


def test_files_may_differ_in_kind_and_layout(write):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    other = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "What?"}]
    first = write([ROW, ROW])
    second = write(json.dumps([{"chosen": turns, "rejected": other}]).encode(), "more.json")
    preferences = read_preferences([first, Path(second)], unpaired=False)
    assert [row.source for row in preferences.rows] == ["data.jsonl:1", "data.jsonl:2", "more.json:1"]
    assert preferences.summary() == (
        "data.jsonl read as prompt/chosen/rejected pairs, 2 rows; "
        "more.json read as chosen/rejected conversations, 1 row"
    )


def test_pairs_become_two_labelled_answers_each(read):
    preferences = read(ROW, {**ROW, "chosen": "Blue."}, unpaired=True)
    prompt = "Name a colour."
    assert preferences.rows == [
        LabelledAnswer(prompt, "Red.", True, "data.jsonl:1"),
        LabelledAnswer(prompt, "Bread.", False, "data.jsonl:1"),
        LabelledAnswer(prompt, "Blue.", True, "data.jsonl:2"),
        LabelledAnswer(prompt, "Bread.", False, "data.jsonl:2"),
    ]
    summary = "read as prompt/chosen/rejected pairs, 2 pairs split into 4 labelled answers"
    assert preferences.summary() == summary


def test_pairs_and_labelled_answers_mix_when_unpaired(write):
    paths = [write([ROW]), write([LABELLED], "labelled.jsonl")]
    assert [row.label for row in read_preferences(paths, unpaired=True).rows] == [True, False, True]


def test_unused_columns_are_named_the_weighing_ones_first(read):
    preferences = read({**ROW, "id": 1, "weight": 2.0, "odd name\n": 0}, {**ROW, "id": 2, "score_chosen": 4})
    assert preferences.readings[0].unused == {"id": 2, "weight": 1, "odd name\n": 1, "score_chosen": 1}
    assert preferences.summary() == (
        "read as prompt/chosen/rejected pairs, 2 rows "
        r'(columns not used: score_chosen, weight, id, "odd name\n")'
    )


def test_a_long_list_of_unused_columns_is_cut(read):
    summary = read({**ROW, **{f"c{k:02}": k for k in range(20)}}).summary()
    assert summary.endswith("c10, c11 and 8 more)")


def test_reading_text_needs_no_pyarrow_and_parquet_says_how_to_get_it(write, fault, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert len(sources(write([ROW]))) == 1
    error = fault(write(b"PAR1", "data.parquet"))
    assert error.where == "data.parquet"
    assert "needs pyarrow" in str(error)
    assert 'pip install "penchant[train]"' in str(error)
