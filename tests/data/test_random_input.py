"""Whatever the input, reading gives rows or one line that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from penchant.data import read_preferences
from penchant.data.formats import LAYOUTS
from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair

SOME = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
words = st.sampled_from(
    ["role", "content", "from", "value", "user", "assistant", "gpt", "human", "system", "tool", "Hi", ""]
)
values = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
turns = st.fixed_dictionaries({"role": words, "content": words}) | st.fixed_dictionaries(
    {"from": words, "value": words}
)
columns = sorted({column for layout in LAYOUTS for column in layout.columns} | {"system", "weight", "choosen"})
rows = st.dictionaries(st.sampled_from(columns), values | turns | st.lists(turns | values, max_size=4), max_size=6)


def rows_or_one_line(paths: object, *, unpaired: bool) -> None:
    try:
        preferences = read_preferences(paths, unpaired=unpaired)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        str(error).encode("utf-8")
    else:
        kind = LabelledAnswer if unpaired else PreferencePair
        assert preferences.rows
        assert all(isinstance(row, kind) for row in preferences.rows)
        assert len(preferences.summary().splitlines()) == 1


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.json"


@SOME
@given(content=st.binary(max_size=200), opening=st.sampled_from([b"", b"[", b'{"prompt": ', b"\xef\xbb\xbf["]))
def test_random_bytes_as_text(file, content, opening):
    file.write_bytes(opening + content)
    rows_or_one_line(file, unpaired=False)


@SOME
@given(content=st.binary(max_size=200))
def test_random_bytes_as_parquet(tmp_path, content):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1" + content + b"PAR1")
    rows_or_one_line(path, unpaired=False)


@SOME
@given(value=values | st.lists(rows, min_size=1, max_size=3), unpaired=st.booleans())
def test_random_json(file, value, unpaired):
    file.write_text(json.dumps(value), encoding="utf-8")
    rows_or_one_line(file, unpaired=unpaired)


@SOME
@given(value=values | st.lists(rows, min_size=1, max_size=3), unpaired=st.booleans())
@example(value="\ud800.json", unpaired=False)
@example(value=[{"\ud800": 1}], unpaired=False)
def test_random_python_rows(value, unpaired):
    rows_or_one_line(value, unpaired=unpaired)


@pytest.mark.parametrize("depth", [100, 500, 800, 900, 950, 990, 1000, 1100, 5000])
def test_every_depth_of_nesting(file, depth):
    bomb = b"[" * depth + b"]" * depth
    for content in (bomb, b'{"prompt": ' + bomb + b', "chosen": "a", "rejected": "b"}', b'{"a": ' + bomb + b"}"):
        file.write_bytes(content)
        rows_or_one_line(file, unpaired=False)
