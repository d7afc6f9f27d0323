"""What the doctor says of published preference data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penchant.doctor import examine, read_rows

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


def test_labelled_answers():
    found = results("kto_en_demo.json")
    assert found["D105"].detail.startswith("150 desirable and 150 undesirable answers")
    assert found["D011"].worst[0][1] == "answer holds '</s>'"
