"""``penchant show``: rows as the model sees them."""

from __future__ import annotations

import pytest
from tests_support import labelled_rows, pair_rows, write_jsonl

from penchant.cli import main


@pytest.fixture
def show(capsys, tmp_path, monkeypatch, tiny_model_folder):
    monkeypatch.chdir(tmp_path)

    def run(rows, *arguments, model=tiny_model_folder):
        write_jsonl(tmp_path / "data.jsonl", rows)
        try:
            main(["show", "data.jsonl", "--model", str(model), *arguments])
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_pair_with_its_mask_counts_and_boundary(show):
    code, out, _ = show([{"prompt": "Why?\n", "chosen": "Because.", "rejected": "\n\nNo."}])
    assert code == 0
    assert "prompt [no loss]" in out and "chosen [loss]" in out and "rejected [loss]" in out
    assert "<|im_start|>user⏎Why?⏎<|im_end|>⏎<|im_start|>assistant⏎" in out
    assert "Because.<|im_end|>" in out
    boundaries = [line for line in out.splitlines() if "boundary" in line]
    assert boundaries[1] == "  boundary [n] [t] [⏎] | [⏎] [⏎] [No] ... [<|im_end|>]"


def test_a_token_across_the_boundary_is_said(show):
    _, out, _ = show([{"prompt": "num", "chosen": "ber", "rejected": "!"}], "--chat-template", "none")
    chosen, rejected = (line for line in out.splitlines() if "boundary" in line)
    assert chosen.endswith("(tokenised on its own: a token would have straddled the boundary)")
    assert rejected.endswith("| [!] [<|im_end|>]")


def test_rows_are_counted_and_passed_over(show):
    _, out, _ = show(pair_rows(9), "-n", "2", "--skip", "4")
    assert [line for line in out.splitlines() if line.startswith("data.jsonl:")] == ["data.jsonl:5", "data.jsonl:6"]


def test_labelled_answers_are_named_by_their_label(show):
    _, out, _ = show(labelled_rows(2), "-n", "2")
    assert "\ndesirable [loss]" in out and "\nundesirable [loss]" in out


def test_a_tie_is_no_preference(show):
    _, out, _ = show([{"prompt": "Why?", "completion_a": "So.", "completion_b": "No.", "preference": "tie"}])
    assert "a tie: left out of training" in out and "one answer [loss]" in out and "chosen" not in out


def test_rows_that_are_tokens_already_are_decoded_and_cut(show, tiny_tokenizer):
    prompt, good, bad = (tiny_tokenizer(text)["input_ids"] for text in ("Why?", "Because it is so.", "No."))
    _, out, _ = show([{"prompt_ids": prompt, "chosen_ids": good, "rejected_ids": bad}])
    assert "tokens already" in out and "Because it is so." in out and "rejected [loss]" in out
    row = {"prompt_ids": prompt, "completion_ids": good, "label": False}
    _, out, _ = show([row], "--max-length", str(len(prompt) + 2), "--truncation", "keep_start")
    assert f"undesirable [loss] 2 tokens, cut: {len(good) - 2} after" in out


def test_cut_dropped_and_refused_rows_are_said(show):
    rows = [*pair_rows(1), {"prompt": "Why?", "chosen": "word " * 90, "rejected": "No."}, {"prompt": "", "chosen": "a"}]
    _, out, _ = show(rows, "--max-length", "60")
    assert "dropped: longer than max_length 60" in out
    assert 'refused: data.jsonl:3: missing column "rejected"' in out
    _, out, _ = show(rows, "--max-length", "60", "--truncation", "keep_start")
    assert " after, no end of turn" in out


def test_nothing_reaches_the_terminal_that_it_would_obey(show):
    _, out, _ = show([{"prompt": "Why?", "chosen": "\x1b[2J red", "rejected": "No."}])
    assert "\x1b" not in out
    assert "\\u001b[2J red" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", "0"], "--rows must be at least 1"),
        (["--skip", "9"], "no row after those that are passed over"),
        (["--truncation", "middle"], "no truncation 'middle'"),
    ],
)
def test_mistakes_cost_one_line(show, arguments, words):
    code, _, err = show(pair_rows(2), *arguments)
    assert code == 2
    assert words in err and err.count("\n") == 1


def test_a_model_without_a_tokenizer_is_one_line(show, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = show(pair_rows(2), model="empty")
    assert code == 2
    assert "empty" in err and err.count("\n") == 1
