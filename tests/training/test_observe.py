"""What a run keeps of its rows: the numbers are those of the models before and after, and training is not touched."""

from __future__ import annotations

import json

import pytest
import torch
from tests_support import labelled_rows, list_rows, pair_rows, write_jsonl
from transformers import TrainerCallback

import penchant
from penchant.logps import AnswerBatch, answer_logps
from penchant.models import load_model
from penchant.report.read import read_run
from penchant.tokens.pieces import pieces


@pytest.fixture
def run(tiny_model_folder, tmp_path):
    def run(method, folder="run", **options):
        rows = {"kto": labelled_rows, "plackett_luce": list_rows}.get(method, pair_rows)(24)
        data = write_jsonl(tmp_path / f"{folder}.jsonl", rows)
        settings = {"batch_size": 8, "learning_rate": 5e-3, "use_cpu": True, "max_steps": 3} | options
        return penchant.train(
            model=str(tiny_model_folder), data=str(data), method=method, output_dir=tmp_path / folder, **settings
        )

    return run


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("dpo", {"eval_split": 0.3}),
        ("dpo", {"lora": False, "learning_rate": 3e-4}),
        ("simpo", {"eval_split": 0.3}),
        ("simpo", {"lora": False, "learning_rate": 3e-4}),
        ("kto", {"eval_split": 0.3}),
        ("plackett_luce", {"eval_split": 0.3}),
    ],
)
def test_log_probs_before_and_after_are_the_models(run, tiny_model_folder, method, options):
    result = run(method, **options)
    kept = read_run(result.output_dir)
    assert (result.output_dir / "report.html").is_file()
    assert kept.rows_of == ("held-out" if "eval_split" in options else "training")
    assert kept.facts.finished and not kept.notes
    base = load_model(str(tiny_model_folder), dtype="float32")
    pad = base.tokenizer.pad_token_id
    rows = {row.source: row for row in kept.rows}
    assert kept.tokens
    for shown in kept.tokens:
        prompt = base.tokenizer(shown.prompt, add_special_tokens=False)["input_ids"]
        for index, answer in enumerate(shown.answers):
            ids = base.tokenizer("".join(token.text for token in answer.tokens), add_special_tokens=False)["input_ids"]
            batch = AnswerBatch.of([prompt], [ids], pad_id=pad, device="cpu")
            with torch.no_grad():
                before, after = (float(answer_logps(model, batch)) for model in (base.model, result.model.eval()))
            row = rows[shown.source]
            assert row.lengths[index] == len(ids) == len(answer.tokens)
            assert row.before[index] == pytest.approx(before, abs=1e-3)
            assert row.after[index] == pytest.approx(after, abs=1e-3)
            assert sum(token.before for token in answer.tokens) == pytest.approx(before, abs=2e-2)
            assert sum(token.after for token in answer.tokens) == pytest.approx(after, abs=2e-2)
            if method in ("dpo", "kto", "plackett_luce"):
                assert row.rewards[index] == pytest.approx(0.1 * (after - before), abs=1e-3)
                assert row.start_rewards[index] == 0
    if method == "plackett_luce":
        assert all(row.scores == sorted(row.scores, reverse=True) for row in kept.rows)
        assert {len(shown.answers) for shown in kept.tokens} > {2}, "every answer of a list is shown"
        assert kept.tokens[0].answers[0].role.startswith("rated ")
    keeps_start = options.get("lora", True) or method == "dpo"
    assert (kept.facts.kl is not None) == keeps_start
    if keeps_start:
        assert all(value > 0 for value in kept.facts.kl)


def test_each_turn_of_a_conversation_is_a_row_of_its_own(tiny_model_folder, tmp_path):
    ask, answer = ({"role": role, "content": text} for role, text in (("user", "A colour?"), ("assistant", "Red.")))
    later = {"role": "assistant", "content": "Blue, or rather a very dark green."}
    rows = [{"messages": [ask, answer, ask, later], "label": bool(k % 2)} for k in range(4)]
    result = penchant.train(
        model=str(tiny_model_folder),
        data=rows,
        method="kto",
        turns="all",
        batch_size=4,
        max_steps=1,
        use_cpu=True,
        output_dir=tmp_path / "run",
    )
    kept = read_run(result.output_dir).rows
    assert len(kept) == 8
    assert len({(row.source, row.lengths[0]) for row in kept}) == 8
    assert {row.prompt for row in kept} == {0, 1}


def test_evaluation_rows_have_the_evaluations_numbers(run):
    result = run("dpo", eval_split=0.3)
    rows = read_run(result.output_dir).rows
    margins = [row.rewards[0] - row.rewards[1] for row in rows]
    assert sum(margins) / len(margins) == pytest.approx(result.metrics["eval_rewards/margins"], rel=1e-4)
    assert {row.prompt for row in rows} == set(range(len(rows)))


def test_a_report_changes_nothing_in_the_run_and_can_be_left_out(run):
    with_report = run("dpo", "with", eval_split=0.3, sample_prompts=2)
    without = run("dpo", "without", eval_split=0.3, report=False)
    strip = [{k: v for k, v in line.items() if k in ("loss", "eval_loss", "grad_norm")} for line in with_report.history]
    assert strip == [
        {k: v for k, v in line.items() if k in ("loss", "eval_loss", "grad_norm")} for line in without.history
    ]
    assert not (without.output_dir / "report.html").exists()
    assert read_run(without.output_dir).facts.finished
    samples = read_run(with_report.output_dir).samples
    assert len(samples) == 2 and all(sample.after is not None for sample in samples)


def test_the_kl_is_logged_over_a_long_run(run):
    result = run("dpo", batch_size=24, max_steps=20)
    lines = [json.loads(line) for line in (result.output_dir / "log.jsonl").read_text().splitlines()]
    measured = [(line["step"], line["kl_per_token"]) for line in lines if "kl_per_token" in line]
    assert [step for step, _ in measured] == [7, 13]
    assert measured[1][1] > 0
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 21)), "no training line is lost to it"


def test_a_run_that_is_stopped_can_be_reported_on(run, tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("dpo", callbacks=[Stop()])
    kept = read_run(tmp_path / "run")
    assert kept.facts.finished is None
    assert any("has not ended, or was stopped" in note for note in kept.notes)


@pytest.mark.parametrize("text", ["naïve 東京 🙂👩‍👩‍👧 end", "  two\n\nlines\t", ""])
def test_pieces_are_the_text(tiny_tokenizer, text):
    ids = tiny_tokenizer(text, add_special_tokens=False)["input_ids"]
    found = pieces(tiny_tokenizer, ids)
    assert len(found) == len(ids)
    assert "".join(found) == tiny_tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def test_bytes_that_are_no_character_are_shown(tiny_tokenizer):
    ids = tiny_tokenizer("é", add_special_tokens=False)["input_ids"][:1] * 9
    assert "".join(pieces(tiny_tokenizer, ids)) == "\ufffd" * 9
