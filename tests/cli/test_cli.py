"""The command line as a user meets it: help, tables, and mistakes that cost one line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from penchant.cli import main
from penchant.cli.methods import as_markdown
from penchant.objectives import METHODS

TRAIN_OPTIONS = {
    "--model", "--data", "--method", "--output-dir", "--eval-data", "--eval-split", "--format", "--config", "--resume",
    "--trust-remote-code", "--beta", "--learning-rate", "--batch-size", "--num-train-epochs", "--max-steps",
    "--max-length", "--truncation", "--chat-template", "--lora", "--lora-r", "--dtype", "--memory", "--seed",
    "--reference", "--stages", "--from-trl",
}  # fmt: skip


def run(capsys, *arguments):
    """Exit code, standard output, standard error."""
    try:
        main(list(arguments))
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_methods_as_json_is_derived_from_the_catalogue(capsys):
    code, out, _ = run(capsys, "methods", "--json")
    table = {row["method"]: row for row in json.loads(out)}
    assert code == 0
    assert set(table) == set(METHODS)
    assert (table["kto"]["needs_pairs"], table["kto"]["needs_reference"]) == (False, True)
    assert (table["simpo"]["needs_pairs"], table["simpo"]["needs_reference"]) == (True, False)
    assert table["orpo"]["default_constants"] == {"lambda": 0.1}
    assert table["kto"]["default_constants"]["value_function"] == "sigmoid"


def test_methods_table_shows_every_method_and_paper(capsys):
    code, out, _ = run(capsys, "methods")
    assert code == 0
    for method in METHODS.values():
        assert method.name in out
        assert method.paper.link in as_markdown()


def test_methods_are_filtered_by_what_they_need(capsys):
    code, out, _ = run(capsys, "methods", "--needs", "pairs", "--no-reference", "--json")
    names = {row["method"] for row in json.loads(out)}
    assert code == 0
    assert names == {m.name for m in METHODS.values() if m.data == "pairs" and not m.needs_reference}
    assert {"simpo", "cpo", "orpo"} <= names and "dpo" not in names
    code, out, _ = run(capsys, "methods", "--needs", "scores", "--json")
    assert {"odpo", "rebel"} <= {row["method"] for row in json.loads(out)}


def test_a_need_that_does_not_exist(capsys):
    code, _, err = run(capsys, "methods", "--needs", "scroes")
    assert code == 2
    assert "'scores'" in err and err.count("\n") == 1


def test_one_method_in_full(capsys):
    code, out, _ = run(capsys, "methods", "dpop")
    assert code == 0
    for words in (METHODS["dpop"].formula, "lambda=50.0", "penchant.dpop_loss", METHODS["dpop"].paper.title):
        assert words in " ".join(out.split())


def test_help_lists_the_options_of_train(capsys):
    code, out, _ = run(capsys, "train", "--help")
    words = {
        word.strip("│[] ")
        for line in out.splitlines()
        for word in line.split()
        if word.startswith("--") and not word.endswith("]")
    }
    assert code == 0
    assert {
        word for word in words if not word.startswith(("--no-", "--[", "--gamma", "--lr-", "--save", "--tf32"))
    } == (TRAIN_OPTIONS)


def test_help_and_methods_load_no_torch():
    program = (
        "import sys\n"
        "from penchant.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "loaded = {'torch', 'transformers', 'jax'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    for arguments in (["--help"], ["train", "--help"], ["methods"], ["methods", "--json"]):
        subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "train"),
        (["train"], "--model is missing"),
        (["train", "--model", "m"], "--data is missing"),
        (["train", "--model", "m", "--data", "none.jsonl", "--method", "dop"], "Did you mean 'dpo'?"),
        (["train", "--model", "m", "--data", "none.jsonl"], "none.jsonl"),
        (["train", "--model", "m", "--data", "none.jsonl", "--beta", "big"], "beta"),
        (["train", "--model", "m", "--data", "none.jsonl", "--bta", "0.1"], "Did you mean 'beta'?"),
        (["train", "--model", "m", "--data", "none.jsonl", "--beta", "0"], "'beta' must be a number > 0"),
        (["train", "--model", "m", "--data", "none.jsonl", "--gamma", "1"], "no constant 'gamma'"),
        (["train", "--config", "none.yaml"], "none.yaml"),
    ],
)
def test_mistakes_cost_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("started", ["/usr/bin/penchant", "/lib/python3/site-packages/penchant/__main__.py"])
def test_the_command_of_a_run_can_be_typed_again(monkeypatch, started):
    from penchant.cli.train import command_line

    monkeypatch.setattr(sys, "argv", [started, "train", "--data", "my pairs.jsonl"])
    assert command_line() == "penchant train --data 'my pairs.jsonl'"


def test_command_line_wins_over_the_config_file(capsys, tmp_path, tiny_model_folder, pairs_file):
    settings = f"model: {tiny_model_folder}\ndata: {pairs_file}\nmethod: simpo\nbeta: 3.0\ngamma: 2e-1\nbatch-size: 4\n"
    (tmp_path / "run.yaml").write_text(settings)
    arguments = ["--config", str(tmp_path / "run.yaml"), "--beta", "5", "--output-dir", str(tmp_path / "out")]
    code, _, err = run(
        capsys, "train", *arguments, "--max-steps", "1", "--lr-scheduler-type", "linear", "--use-cpu", "true"
    )
    assert (code, err.replace("[transformers]", "").count("penchant:")) == (0, 0)
    import yaml

    resolved = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert (resolved["beta"], resolved["gamma"]) == (5.0, 0.2)
    assert resolved["lr_scheduler_type"] == "linear"
    assert resolved["batch_size"] == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "run.yaml"),
        ("- a\n- b\n", "must map option names"),
        ("beta: 1\nbeta: 2\n", "'beta' stands twice"),
        ("batch-size: 1\nbatch_size: 2\n", "gives an option twice"),
        ("command: ls\nmodel: m\ndata: d\n", "from Python alone"),
        ("a: !!python/object:os.system x\n", "not plain YAML"),
    ],
)
def test_config_file_is_safe_yaml(capsys, tmp_path, text, words):
    (tmp_path / "run.yaml").write_text(text)
    code, _, err = run(capsys, "train", "--config", str(tmp_path / "run.yaml"))
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
