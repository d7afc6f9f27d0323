"""Every reproduction's short version meets its numbers, draws, and stands on the page as it was last measured."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "reproductions"
SHARED = {"common", "table", "toy_lm"}


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.mark.parametrize("name", sorted({path.stem for path in FOLDER.glob("*.py")} - SHARED))
def test_short_version(name):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    outcome = import_module(name).reproduce(True)
    assert outcome.numbers
    assert [number for number in outcome.numbers if not number.holds] == []
    outcome.draw(figure)


def test_the_page_has_them_all():
    table = import_module("table")
    assert set(table.ORDER) == {path.stem for path in FOLDER.glob("*.py")} - SHARED
    page = (FOLDER.parents[1] / "docs" / "reproductions.md").read_text(encoding="utf-8")
    assert table.as_markdown() in page


def test_a_number_outside_its_bounds_fails():
    common = import_module("common")
    assert common.Number("", 1.0, 1.1, 0.2).holds
    assert not common.Number("", 1.0, 1.3, 0.2).holds
    assert not common.Number("", float("nan"), 1.0, 0.2).holds
    assert not common.Number("", float("nan")).holds
