"""Lists of answers from the file to the run folder: any number of answers, ties, ranks, and what is refused."""

from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console
from tests_support import list_rows, pair_rows, write_jsonl

import penchant
from penchant import InputError

OPTIONS = {"batch_size": 4, "max_steps": 3, "learning_rate": 0.01, "use_cpu": True, "report": False}


@pytest.fixture
def run(tmp_path, tiny_model_folder):
    def run(rows, method, **options):
        data = write_jsonl(tmp_path / "lists.jsonl", rows)
        console = Console(file=io.StringIO(), width=200)
        result = penchant.train(
            model=str(tiny_model_folder), data=str(data), method=method, output_dir=tmp_path / "run",
            console=console, **(OPTIONS | options),
        )  # fmt: skip
        return [line for line in result.history if "loss" in line], console.file.getvalue()

    return run


def test_lists_of_different_lengths_train_and_start_at_their_landmark(run):
    lines, said = run(list_rows(12), "plackett_luce", batch_size=12)
    expected = sum(math.log(math.factorial(len(row["completions"]))) for row in list_rows(12)) / 12
    assert lines[0]["loss"] == pytest.approx(expected, rel=1e-5)
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[0]["rewards/accuracies"] == pytest.approx(0.5, abs=0.01)
    assert lines[-1]["rewards/accuracies"] > 0.8 and lines[-1]["rewards/margins"] > 0
    assert "12 lists, 12 per optimiser step" in said and "answer 1, " in said


def test_ranks_train_as_scores_of_the_same_order_do(run, tmp_path):
    lines, _ = run(list_rows(8), "plackett_luce")
    ranked = []
    for row in list_rows(8):
        scores = row.pop("scores")
        ranked.append(row | {"ranks": [1 + sum(other > one for other in scores) for one in scores]})
    (tmp_path / "run").rename(tmp_path / "first")
    again, _ = run(ranked, "plackett_luce")
    assert [line["loss"] for line in again] == [line["loss"] for line in lines]


def test_lists_with_ties_are_left_out_where_only_the_order_counts(run):
    rows = list_rows(8)
    rows[1]["scores"] = [2.0] * len(rows[1]["scores"])
    _, said = run(rows, "plackett_luce")
    assert "1 of 8 lists left out: two answers of one rating" in said


def test_nothing_but_ties_is_refused(run):
    rows = [row | {"scores": [1.0] * len(row["scores"])} for row in list_rows(4)]
    with pytest.raises(InputError, match="no list is left"):
        run(rows, "plackett_luce")


def test_pairs_are_no_lists(run):
    with pytest.raises(InputError, match="no lists of rated answers"):
        run(pair_rows(4), "plackett_luce")


def test_from_the_command_line(tmp_path, tiny_model_folder):
    from penchant.cli.app import app

    data = write_jsonl(tmp_path / "lists.jsonl", list_rows(8))
    words = ["train", "--model", str(tiny_model_folder), "--data", str(data), "--method", "plackett_luce"]
    words += ["--output-dir", str(tmp_path / "run"), "--max-steps", "2", "--batch-size", "4", "--use-cpu", "true"]
    app(words, result_action="return_value")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert any("rewards/best" in line for line in lines)
