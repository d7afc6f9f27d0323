"""Records in a temporary file come back equal, in order, wherever they lie."""

from __future__ import annotations

import pickle

import pytest

from penchant import spool
from penchant.errors import InputError
from penchant.records import PreferencePair, TokenPair
from penchant.spool import Chosen, Spool, distinct, kinds

TURNS = ({"role": "user", "content": "What is on at \u2603?", "name": "a\ud7ff"}, {"role": "assistant", "content": ""})
CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": [1, 2.5, None, True]}}}]
ROWS = [
    PreferencePair("Plain.", "yes", "no", "a.jsonl:1"),
    PreferencePair(TURNS, "yes", "no", "a.jsonl:2", {"weight": 0.1, "margin": -3.0}, {"tools": CALLS}, "gold"),
    PreferencePair(({**TURNS[0], "tool_calls": CALLS},), "", " \n", "a.jsonl:3", token_weights=((1.0, 0.5), (0.0,))),
    TokenPair([1, 70_000, 3], [2**31], [5], "b.jsonl:1", gold_ids=[4]),
]


@pytest.fixture(autouse=True)
def small_memory(monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY", 4)


def test_rows_come_back_as_they_were_from_file_and_memory():
    rows = Spool(ROWS * 3 + ROWS[:2])
    assert rows == ROWS * 3 + ROWS[:2] and len(rows) == 14 and rows[13] == ROWS[1] and rows[-2] == ROWS[0]
    assert rows[3:9:2] == (ROWS * 3)[3:9:2] and kinds(rows) == {PreferencePair, TokenPair}
    assert rows[0] is not ROWS[0] and rows != ROWS and rows != "rows"
    with pytest.raises(IndexError):
        rows[14]
    assert pickle.loads(pickle.dumps(rows)) == list(rows)  # how a data loader's process is given them


def test_a_row_that_would_come_back_changed_stays_in_memory():
    own = object()
    odd = [
        PreferencePair("Plain.", "yes", "no", "a", template_args={"turns": (1, 2)}),
        PreferencePair("Plain.", "yes", "no", "a", template_args={"tool": own}),
        PreferencePair("Plain.", "yes", "no", "a", numbers={"weight": float("nan")}),
        PreferencePair(({"role": "user", "content": "a", "other": "b"},), "yes", "no", "a"),
    ]
    for row in odd:
        rows = Spool([*ROWS, row, *ROWS])
        assert rows[4] is row and list(rows)[5:] == ROWS


def test_some_of_the_rows_and_rows_taken_twice():
    rows = Spool(ROWS * 2)
    twice = Chosen(rows, [0, 0, 5, 1, 5])
    assert twice == [ROWS[0], ROWS[0], ROWS[1], ROWS[1], ROWS[1]] and kinds(twice) == kinds(rows)
    assert list(distinct(twice)) == [ROWS[0], ROWS[1], ROWS[1]]  # two of the three are one row of the file
    assert list(distinct(rows)) == ROWS * 2
    assert list(distinct([ROWS[0], ROWS[0], ROWS[1]])) == ROWS[:2]


def test_a_full_disk_is_said(monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", full)
    with pytest.raises(InputError, match=r"rows cannot be kept: No space left on device.*TMPDIR"):
        Spool(ROWS * 2)
