"""``penchant lint`` as a user and a CI job meet it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests_support import write_jsonl

from penchant.cli import main

GOOD = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}


@pytest.fixture
def lint(capsys, tmp_path, monkeypatch):
    """Exit code, standard output, standard error of ``penchant lint`` in an empty folder with some data files."""
    monkeypatch.chdir(tmp_path)

    def run(rows, *arguments):
        write_jsonl(tmp_path / "data.jsonl", rows)
        try:
            main(["lint", "data.jsonl", *arguments])
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_clean_data_passes(lint):
    sides = ("Because.", "No."), ("Yes.", "Because not.")
    code, out, _ = lint([dict(zip(GOOD, (f"Why {i}?", *sides[i % 2]), strict=True)) for i in range(20)])
    assert code == 0
    assert out.startswith("read as prompt/chosen/rejected pairs, 20 rows\n")
    assert "0 errors, 0 warnings" in out


@pytest.mark.parametrize(("fail_on", "expected"), [("error", 0), ("warning", 1), ("never", 0)])
def test_a_warning_fails_where_it_is_asked_to(lint, fail_on, expected):
    code, out, _ = lint([GOOD, GOOD], "--fail-on", fail_on)
    assert code == expected
    assert "warning  D101  duplicate rows  1 row (50.0%)\n         data.jsonl:2  the same as data.jsonl:1\n" in out


def test_an_error_fails_and_names_the_row(lint):
    code, out, _ = lint([GOOD, GOOD | {"chosen": " "}])
    assert code == 1
    assert "2 rows, 1 of them refused" in out
    assert 'data.jsonl:2  "chosen" is an empty answer' in out


def test_json_has_counts_shares_and_rows(lint):
    code, out, _ = lint([GOOD, GOOD | {"chosen": " "}], "--json")
    report = json.loads(out)
    (result,) = [one for one in report["results"] if one["id"] == "D003"]
    assert (code, report["rows"], report["refused"]) == (1, 2, 1)
    assert (result["severity"], result["count"], result["share"]) == ("error", 1, 0.5)
    assert result["worst"][0]["source"] == "data.jsonl:2"


def test_evaluation_set_is_compared(lint, tmp_path):
    write_jsonl(tmp_path / "eval.jsonl", [GOOD])
    code, out, _ = lint([GOOD, GOOD | {"prompt": "Who?"}], "--eval", "eval.jsonl")
    assert code == 1
    assert "data.jsonl:1  the whole row is at eval.jsonl:1" in out


def test_fix_writes_every_row_to_one_of_two_files(lint, tmp_path):
    extra = GOOD | {"prompt": "Who?", "score": 1.5, "note": "kept"}
    code, out, _ = lint([extra, GOOD, GOOD | {"chosen": ""}, GOOD], "--fix", "clean.jsonl")
    assert code == 1
    assert "2 rows that pass: clean.jsonl; 2 that do not, with reasons: clean.refused.jsonl" in out
    assert [json.loads(line) for line in (tmp_path / "clean.jsonl").open()] == [extra, GOOD]
    refused = [json.loads(line) for line in (tmp_path / "clean.refused.jsonl").open()]
    assert [(one["source"], one["reasons"][0]["id"]) for one in refused] == [
        ("data.jsonl:3", "D003"),
        ("data.jsonl:4", "D101"),
    ]
    assert refused[1]["row"] == GOOD
    code, out, _ = lint([extra, GOOD], "--fix", "other.jsonl", "--json")
    assert (code, json.loads(out)["passed"], json.loads(out)["left_out"]) == (0, 2, 0)


def test_a_file_of_no_objects_is_refused_row_by_row(lint):
    code, out, _ = lint([1, [2]])
    assert code == 1
    assert out.startswith("read as rows of no known layout, 2 rows, 2 of them refused")


def test_fix_writes_nothing_where_rows_would_be_lost(lint, tmp_path, capsys):
    lint([GOOD])
    (tmp_path / "data.jsonl").write_text(f'[{json.dumps(GOOD)},\n{{"prompt": ')
    with pytest.raises(SystemExit) as stop:
        main(["lint", "data.jsonl", "--fix", "clean.jsonl"])
    assert stop.value.code == 2
    assert "data.jsonl:2" in (message := capsys.readouterr().err) and "would lose them" in message
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fix", "clean.csv"], "End in .jsonl"),
        (["--fix", "none/clean.jsonl"], "no such folder"),
        (["--fix", "data.jsonl"], "is there already"),
        (["--eval", "none.jsonl"], "no such file"),
        (["--format", "sharegtp"], "Did you mean 'sharegpt'?"),
        (["--fail-on", "nothing"], "fail-on"),
        (["--reward"], "--reward is given without --model"),
        (["--max-length", "64"], "--max-length is given without --model"),
        (["--model", "none", "--reward-pairs", "9"], "without --reward"),
        (["--model", "none", "--reward", "--reward-pairs", "-1"], "--reward-pairs"),
    ],
)
def test_mistakes_cost_one_line_and_leave_nothing(lint, tmp_path, arguments, words):
    code, _, err = lint([GOOD], *arguments)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_with_a_model_the_tokens_are_examined(lint, tiny_model_folder):
    rows = [GOOD, GOOD | {"prompt": "Who?", "chosen": "word " * 90}]
    code, out, _ = lint(rows, "--model", str(tiny_model_folder), "--max-length", "60", "--fail-on", "warning")
    assert code == 1
    assert "D207  row longer than max_length  1 row (50.0%)\n         data.jsonl:2  dropped: prompt" in out


def test_only_the_tokenizer_of_the_model_is_needed(lint, tmp_path, tiny_tokenizer):
    tiny_tokenizer.save_pretrained(tmp_path / "tokenizer")
    code, out, _ = lint([GOOD], "--model", "tokenizer", "--json")
    assert (code, json.loads(out)["rows"]) == (0, 1)


def test_with_reward_the_weights_are_asked(lint, tiny_model_folder):
    rows = [GOOD | {"prompt": f"Why {number}?"} for number in range(4)]
    code, out, _ = lint(rows, "--model", str(tiny_model_folder), "--reward", "--reward-pairs", "3", "--json")
    (verdict,) = [one["detail"] for one in json.loads(out)["results"] if one["id"] == "D302"]
    assert code == 0
    assert "of 3 pairs" in verdict


def test_the_rules_on_text_need_no_training_extra(tmp_path):
    write_jsonl(tmp_path / "data.jsonl", [GOOD])
    program = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'jinja2', 'pyarrow'):\n    sys.modules[name] = None\n"
        "from penchant.cli import main\n"
        "main(['lint', sys.argv[1]])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "data.jsonl")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 row\n" in done.stdout
