"""A comparison on the page: the numbers of ``penchant compare``, its examples as text, damage in one line."""

from __future__ import annotations

import json

import pytest
from report.runs import HOSTILE, write_run
from report.test_page import damage, page_of
from tests_support import write_jsonl

from penchant.cli import main
from penchant.errors import InputError
from penchant.report import write_report
from penchant.report.text import visible

RULE = "def shorter(prompt, a, b): return 'tie' if len(a) == len(b) else 'first' if len(a) < len(b) else 'second'\n"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Six prompts; the first side wins four times and ties once. Every text is an attack, and two are 100 kB long."""
    folder = tmp_path_factory.mktemp("compared")
    (folder / "rules.py").write_text(RULE)
    mine, base = ([{"prompt": f"{HOSTILE} {i}", "completion": HOSTILE + "x" * (i * factor)} for i in range(6)]
                  for factor in (1, 20_000))  # fmt: skip
    mine[5]["completion"] += "y" * 200_000
    files = [str(write_jsonl(folder / name, rows)) for name, rows in (("mine.jsonl", mine), ("base.jsonl", base))]
    options = ["--judge", f"{folder / 'rules.py'}:shorter", "--cache", str(folder / "cache"), "--output", str(folder)]
    with pytest.raises(SystemExit) as stop:
        main(["compare", *files, *options])
    assert not stop.value.code
    return folder


def copied(compared, folder):
    """The comparison in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("comparison.json", "matches.jsonl"):
        (folder / name).write_bytes((compared / name).read_bytes())
    return folder


def test_the_numbers_are_those_of_the_comparison(compared, tmp_path):
    run = write_run(tmp_path / "run")
    html = write_report([run], None, [compared]).read_text(encoding="utf-8")
    page = page_of(run)
    assert "c1-win-rate" not in page.charts, "a comparison that is not named and not in the run is not shown"
    copied(compared, run / "compare")
    page = page_of(run)
    assert (run / "report.html").read_text(encoding="utf-8") == html
    numbers = json.loads((compared / "comparison.json").read_text())
    words = " ".join("".join(page.text).split())
    assert (numbers["wins"], numbers["ties"], numbers["losses"]) == (4, 1, 1)
    assert "mine.jsonl wins 75 % of 6 comparisons, a tie being half (95 % interval 38 % to 92 %)" in words
    assert "no difference shown" in words
    assert "1 pair of equal answers is a tie that the judge did not see" in words
    (series,) = page.charts["c1-win-rate"]["series"]
    assert series["y"][0] == numbers["win_rate"]["value"] == 0.75
    controlled = numbers["length_controlled"]
    assert len(series["y"]) == 1 and controlled in words, "length alone tells wins from losses here"


def test_one_prompt_is_no_plural(compared, tmp_path):
    folder = copied(compared, tmp_path / "one")
    numbers = json.loads((folder / "comparison.json").read_text())
    numbers["coverage"] |= {"pairs": 8, "prompts": 1}
    (folder / "comparison.json").write_text(json.dumps(numbers))
    html = write_report([write_run(tmp_path / "run")], None, [folder]).read_text(encoding="utf-8")
    assert "8 pairs of answers to 1 prompt; the judge is" in html


def test_texts_stay_text_and_long_ones_are_cut(compared, tmp_path):
    page = page_of(write_run(tmp_path / "run"), output=tmp_path / "r.html")
    before = sum(map(len, page.text))
    write_report([tmp_path / "run"], tmp_path / "r.html", [compared])
    page = type(page)((tmp_path / "r.html").read_text(encoding="utf-8"))
    text = "".join(page.text)
    assert text.count(visible(HOSTILE)) >= 12 and "characters …]" in text
    assert sum(map(len, page.text)) < before + 100_000
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not [tag for tag, _ in page.elements if tag == "img"]


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("comparison.json", '"version": 1', '"version": 2', "a newer penchant wrote this comparison .got version 2"),
        ("comparison.json", '"wins": 4', '"wins": "x"', "comparison.json: the comparison is damaged"),
        ("comparison.json", "{", "", "comparison.json: the comparison is damaged"),
        ("matches.jsonl", '"preference": ', '"preference": [', "matches.jsonl:1: a match of the comparison is damaged"),
        ("matches.jsonl", '"first": "', '"other": "', "matches.jsonl:1: a match of the comparison is damaged"),
    ],
)
def test_damage_costs_one_line(compared, tmp_path, name, old, new, says):
    run = write_run(tmp_path / "run")
    damage(copied(compared, run), name, old, new)
    with pytest.raises(InputError, match=says) as caught:
        write_report([run])
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_comparison_costs_one_line(tmp_path):
    with pytest.raises(InputError, match=r"there is no comparison\.json"):
        write_report([write_run(tmp_path / "run")], None, [tmp_path])
