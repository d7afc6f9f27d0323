"""The closed loop of examples/on_policy: answers, verdicts, training, comparison."""

from __future__ import annotations

import itertools
import json
import math
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from tests_support import write_jsonl

from penchant.cli import main
from penchant.report.read import read_run

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples/on_policy/on_policy.sh"
DEMO = ROOT / "src/penchant/demo"
PROMPTS, HELD_OUT, SAMPLES, TOKENS = 8, 6, 3, 32


def loop(folder, *arguments, **settings):
    """Run the script; its output."""
    command = ["sh", SCRIPT, *map(str, arguments), str(folder)]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def numbers_of(folder):
    return json.loads((folder / "compare/comparison.json").read_text())


def test_the_loop_closes_on_a_tiny_model(tmp_path, tiny_model_folder):
    """The script's commands one by one, in this process: PyTorch is loaded once."""
    prompts = write_jsonl(tmp_path / "p.jsonl", [{"prompt": f"Why {i}?"} for i in range(24)])
    held_out = write_jsonl(tmp_path / "h.jsonl", [{"prompt": f"How {i}?"} for i in range(5)])
    recorder = tmp_path / "recorder"
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$*"\n')
    recorder.chmod(0o755)
    settings = {"SAMPLES": "6", "TOKENS": "40", "TRAIN": "--max-steps 1 --learning-rate 1e-3"}
    commands = loop(tmp_path / "run", tiny_model_folder, prompts, held_out, PYTHON=str(recorder), **settings)
    words = [line.split() for line in commands.splitlines()]
    assert [line[:3] for line in words] == [
        ["-m", "penchant", step] for step in ("sample", "judge", "train", "compare", "report")
    ]
    for line in words:
        with pytest.raises(SystemExit) as stop:
            main(line[2:])
        assert not stop.value.code
    pairs = [json.loads(line) for line in (tmp_path / "run/pairs.jsonl").read_text().splitlines()]
    assert pairs and all(row["preference_prob"] == 1.0 for row in pairs)
    numbers = numbers_of(tmp_path / "run")
    assert numbers["coverage"]["pairs"] == 5
    assert "Judged: " in (tmp_path / "run/run/report.html").read_text(encoding="utf-8")
    again = loop(tmp_path / "run", tiny_model_folder, prompts, held_out, PYTHON=str(recorder), **settings)
    assert " train " not in again, "what is done is not done again"
    (tmp_path / "run/run/README.md").unlink()
    again = loop(tmp_path / "run", tiny_model_folder, prompts, held_out, PYTHON=str(recorder), **settings)
    assert "--learning-rate 1e-3 --resume\n" in again
    assert numbers["bias"] is None or numbers["bias"]["first_wins"]["value"] == 0.5


@pytest.mark.slow
def test_the_loop_closes_on_the_demos_model(tmp_path):
    """Few prompts: that every step does what it says on a real model, not that so little data makes it better."""
    from penchant.demo.assets import smollm2_path

    files = []
    for name, count in (("pairs.jsonl", PROMPTS), ("held_out.jsonl", HELD_OUT)):
        files.append(tmp_path / name)
        files[-1].write_text("".join((DEMO / name).read_text().splitlines(keepends=True)[:count]))
    train = "--learning-rate 1e-4 --batch-size 4 --max-steps 3"
    settings = {"SAMPLES": str(SAMPLES), "TOKENS": str(TOKENS), "TRAIN": train, "PYTHON": sys.executable}
    print(loop(tmp_path / "run", smollm2_path(), *files, **settings))
    check_loop(tmp_path / "run")


def check_loop(folder):
    """Each step's files hold what the step before and the judge say that they must."""
    better = runpy.run_path(str(SCRIPT.parent / "concise.py"))["better"]
    answers = rows_of(folder / "answers.jsonl")
    by_prompt = {row["prompt"]: [] for row in answers}
    for row in answers:
        assert row["ended"] or row["tokens"] == TOKENS
        by_prompt[row["prompt"]].append(row["completion"])
    assert len(by_prompt) == PROMPTS and all(len(some) == SAMPLES for some in by_prompt.values())
    wins = {
        (prompt, one, other)
        for prompt, some in by_prompt.items()
        for one, other in itertools.permutations(set(some), 2)
        if better(prompt, one, other) == "first"
    }
    pairs = rows_of(folder / "pairs.jsonl")
    assert {(row["prompt"], row["chosen"], row["rejected"]) for row in pairs} == wins and len(pairs) == len(wins) > 0
    log = rows_of(folder / "run/log.jsonl")
    assert log[0]["loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert log[2]["loss"] < log[1]["loss"] < log[0]["loss"]
    kept = read_run(folder / "run")
    assert all(row.rewards[0] > row.rewards[1] for row in kept.rows), "what it was trained on it has learned"
    assert all(value > 0 for value in kept.facts.kl)
    numbers, matches = numbers_of(folder), rows_of(folder / "compare/matches.jsonl")
    assert numbers["coverage"]["pairs"] == len(matches) == HELD_OUT
    for match in matches:
        word = better(match["prompt"], match["first"], match["second"])
        assert match["preference"] == {"first": 1.0, "tie": 0.5, "second": 0.0}[word]
    assert numbers["win_rate"]["value"] == pytest.approx(sum(match["preference"] for match in matches) / HELD_OUT)
    assert any(match["first"] != match["second"] for match in matches), "the adapter is in use"
    assert "Judged: " in (folder / "run/report.html").read_text(encoding="utf-8")


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
