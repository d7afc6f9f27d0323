"""The closed loop of examples/on_policy: answers, verdicts, training, comparison."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests_support import write_jsonl

from penchant.cli import main

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples/on_policy/on_policy.sh"
DEMO = ROOT / "src/penchant/demo"
PROMPTS = 16


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
    """Few prompts: that the loop runs on a real model, not that so little data makes it better."""
    from penchant.demo.assets import smollm2_path

    files = []
    for name in ("pairs.jsonl", "held_out.jsonl"):
        files.append(tmp_path / name)
        files[-1].write_text("".join((DEMO / name).read_text().splitlines(keepends=True)[:PROMPTS]))
    settings = {"TOKENS": "40", "TRAIN": "--learning-rate 1e-4 --batch-size 8", "PYTHON": sys.executable}
    print(loop(tmp_path / "run", smollm2_path(), *files, **settings))
    numbers = numbers_of(tmp_path / "run")
    assert numbers["coverage"]["pairs"] == PROMPTS
    assert 0 < numbers["win_rate"]["value"] < 1
