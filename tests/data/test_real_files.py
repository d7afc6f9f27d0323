"""Published preference data, read whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penchant.data import read_preferences
from penchant.errors import InputError

FOLDER = os.environ.get("PENCHANT_REAL_DATA")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="PENCHANT_REAL_DATA does not name the folder of real data")


@pytest.fixture
def folder() -> Path:
    assert FOLDER is not None
    return Path(FOLDER)


def test_sharegpt_pairs(folder):
    preferences = read_preferences(folder / "dpo_en_demo.json", unpaired=False)
    assert preferences.summary() == "read as ShareGPT pairs, 300 rows"
    assert len(preferences.rows) == 300
    assert sum(len(row.prompt) > 2 for row in preferences.rows) == 106
    lines = [int(row.source.rsplit(":", 1)[1]) for row in preferences.rows]
    text = (folder / "dpo_en_demo.json").read_text(encoding="utf-8").split("\n")
    assert all(text[line - 1] == "  {" for line in lines)
    assert lines == sorted(set(lines))


def test_sharegpt_pairs_split(folder):
    preferences = read_preferences(folder / "dpo_en_demo.json", unpaired=True)
    assert preferences.summary() == "read as ShareGPT pairs, 300 pairs split into 600 labelled answers"
    assert sum(row.label for row in preferences.rows) == 300


def test_labelled_messages(folder):
    path = folder / "kto_en_demo.json"
    preferences = read_preferences(path, unpaired=True)
    assert preferences.summary() == "read as messages/label answers, 300 rows"
    assert sum(row.label for row in preferences.rows) == 150
    with pytest.raises(InputError, match="labelled answers"):
        read_preferences(path, unpaired=False)


def test_annotations_of_people(folder):
    path = folder / "tulu_human_eval.jsonl"
    preferences = read_preferences(path, unpaired=False)
    assert len(preferences.rows) == 774
    assert preferences.readings[0].left_out == {"ties": 337, "no preference stated": 191}
    kept = read_preferences(path, unpaired=False, terms=["is_tie", "margin"])
    assert sum(row.numbers["is_tie"] for row in kept.rows) == 337
    assert sum(row.numbers["margin"] for row in kept.rows) == 2 * (188 + 160) + 235 + 191
    answers = read_preferences(path, unpaired=True)
    assert len(answers.rows) == 2 * 1111
