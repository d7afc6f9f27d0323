"""``score``, ``evaluate`` and ``sample`` as a user meets them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest
from tests_support import pair_rows, write_jsonl

from penchant.cli import main


def run(capsys, *arguments):
    """Exit code, standard output, standard error."""
    try:
        main(list(arguments))
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def table(tmp_path):
    row = {"logps/chosen": -9.0, "logps/rejected": -9.5, "ref_logps/chosen": -9.5, "ref_logps/rejected": -9.0}
    return write_jsonl(tmp_path / "t.jsonl", [row, row | {"logps/chosen": -12.0}])


def test_score_says_what_it_computed_and_what_it_could_not(capsys, table):
    code, out, _ = run(capsys, "score", str(table), "--method", "all")
    assert code == 0
    assert "logps/chosen is policy_chosen_logps" in out
    assert "not computed: simpo needs chosen_lengths, rejected_lengths" in out
    code, out, _ = run(capsys, "score", str(table), "--beta", "0.5", "--json")
    (one,) = json.loads(out)["scores"]
    assert one["constants"]["beta"] == 0.5
    assert one["margins"]["value"] == pytest.approx(0.5 * (1.0 - 2.0) / 2)


def test_scores_tables_and_rules_load_no_torch(table):
    program = "import sys\nfrom penchant.cli import main\nmain(sys.argv[1:])\nassert 'torch' not in sys.modules\n"
    folder = table.parent
    (folder / "rule.py").write_text("def rate(prompt, answer): return len(answer)\n")
    answers = write_jsonl(folder / "a.jsonl", [{"prompt": "q", "completion": "a"}, {"prompt": "q", "completion": "bb"}])
    rule = ["--rule", f"{folder}/rule.py:rate", "--cache", str(folder)]
    for arguments in (
        ["score", str(table)],
        ["evaluate", "--table", str(table)],
        ["judge", str(answers), "--output", str(folder / "o.jsonl"), *rule],
    ):
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_evaluate_two_tables_says_no_difference_shown(capsys, table):
    code, out, _ = run(capsys, "evaluate", "--table", str(table), str(table))
    assert code == 0
    assert "no difference shown" in out


def test_evaluate_a_model(capsys, tmp_path, tiny_model_folder):
    data = write_jsonl(tmp_path / "p.jsonl", pair_rows(6))
    model = str(tiny_model_folder)
    code, out, _ = run(capsys, "evaluate", "--model", model, "--reference", model, "--data", str(data), "--json")
    (one,) = json.loads(out)["checkpoints"]
    assert (code, one["pairs"], one["accuracy"]["value"]) == (0, 6, 0.5)
    assert one["kl"]["value"] == pytest.approx(0, abs=1e-8)


def test_sample_writes_answers(capsys, tmp_path, tiny_model_folder):
    prompts = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "Why?"}])
    arguments = ["--model", str(tiny_model_folder), "--prompts", str(prompts), "--output", str(tmp_path / "o.jsonl")]
    code, out, _ = run(capsys, "sample", *arguments, "--samples", "3", "--max-new-tokens", "4")
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert (code, [row["sample"] for row in rows]) == (0, [0, 1, 2])
    assert "3 answers" in out


def test_vllm_is_refused_in_words(capsys, tmp_path, tiny_model_folder):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/adapter_config.json").write_text("{}")
    prompts = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "Why?"}])
    wanted = {str(tmp_path / "a"): "no adapters"}
    if importlib.util.find_spec("vllm") is None:
        wanted[str(tiny_model_folder)] = "vLLM is not installed"
    for model, words in wanted.items():
        arguments = ["--model", model, "--prompts", str(prompts), "--output", str(tmp_path / "o.jsonl")]
        code, _, err = run(capsys, "sample", *arguments, "--engine", "vllm")
        assert (code, err.count("\n")) == (2, 1)
        assert words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score", "none.csv"], "none.csv: no such file"),
        (["evaluate"], "--model is missing"),
        (["evaluate", "--table", "t.csv", "--model", "m"], "--model and --table are both given"),
        (["sample", "--model", "m", "--prompts", "none.jsonl", "--output", "o.jsonl"], "none.jsonl: no such file"),
        (["sample", "--model", "m", "--prompts", "p", "--output", "o", "--engine", "vlm"], "Did you mean 'vllm'?"),
    ],
)
def test_mistakes_cost_one_line(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_adapters_are_evaluated_against_their_base_in_one_pass(capsys, tmp_path, tiny_model_folder):
    """Two adapters trained for a step, one of them hard: both find the base, and only one has moved."""
    data = write_jsonl(tmp_path / "p.jsonl", pair_rows(12))
    runs = {"still": "1e-9", "moved": "3e-2"}
    for name, rate in runs.items():
        options = ["--output-dir", str(tmp_path / name), "--learning-rate", rate, "--max-steps", "2"]
        code, _, err = run(capsys, "train", "--model", str(tiny_model_folder), "--data", str(data), *options)
        assert code == 0, err
    folders = [str(tmp_path / name) for name in runs]
    code, out, err = run(capsys, "evaluate", "--model", *folders, "--data", str(data), "--json")
    assert code == 0, err
    still, moved = json.loads(out)["checkpoints"]
    assert still["margins"]["value"] == pytest.approx(0, abs=1e-4)
    assert moved["kl"]["value"] > 100 * abs(still["kl"]["value"])
    assert abs(moved["margins"]["value"]) > 10 * abs(still["margins"]["value"])
    (test,) = json.loads(out)["paired_tests"]
    assert (test["first"], test["second"]) == tuple(folders)
