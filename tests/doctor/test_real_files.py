"""What the doctor says of published preference data."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from penchant.doctor import examine, read_rows
from penchant.doctor.example import Example
from penchant.doctor.text import cut_off

FOLDER = os.environ.get("PENCHANT_REAL_DATA")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="PENCHANT_REAL_DATA does not name the folder of real data")


def results(name):
    assert FOLDER is not None
    report = examine(read_rows([str(Path(FOLDER) / name)])).report
    return {result.rule.id: result for result in report.results}


def test_pairs():
    found = results("dpo_en_demo.json")
    assert {"D008", "D012", "D101", "D104"} == set(found)
    places = [
        (int(source.rpartition(":")[2]), int(detail.rpartition(":")[2])) for source, detail in found["D101"].worst
    ]
    assert places == [(3830, 254), (4542, 2710), (5606, 1986), (5998, 638), (6642, 2898)]
    assert found["D104"].detail.startswith("the longer answer is chosen in 44% [38%, 49%] of 300 pairs")


@pytest.mark.parametrize(
    ("name", "flagged", "answers", "found", "cuts"),
    [
        ("dpo_en_demo.json", 10, 600, 453, 505),
        ("kto_en_demo.json", 8, 300, 200, 239),
        ("tulu_human_eval.jsonl", 17, 2222, 1149, 1408),
    ],
)
def test_cut_answers_are_found_and_whole_ones_let_pass(name, flagged, answers, found, cuts):
    """The rates on the page: whole answers, and those of at least 300 characters cut at a space drawn at random."""
    assert FOLDER is not None
    records = [row.record for row in read_rows([str(Path(FOLDER) / name)]) if row.record is not None]
    examples = [Example.of(record) for record in records]
    texts = [answer for example in examples for answer in example.answers]
    assert (sum(map(cut, texts)), len(texts)) == (flagged, answers)
    drawn = random.Random(0)
    shortened = [
        text[: text.rfind(" ", 0, drawn.randint(150, len(text) - 20) + 1)] for text in texts if len(text) >= 300
    ]
    assert (sum(map(cut, shortened)), len(shortened)) == (found, cuts)


def cut(answer):
    return cut_off.check(Example((), (), ("answer",), (answer,), None, False, None, answer, False)) is not None


def test_labelled_answers():
    found = results("kto_en_demo.json")
    assert found["D105"].detail.startswith("150 desirable and 150 undesirable answers")
    assert found["D011"].worst[0][1] == "answer holds '</s>'"
