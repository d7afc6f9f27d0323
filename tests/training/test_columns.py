"""What the data state beside their text: ratings, margins, weights; and what the loop keeps for a loss."""

from __future__ import annotations

import json

import pytest
import torch
from tests_support import pair_rows, rated_rows, tiny_llama, write_jsonl

import penchant
from penchant import InputError
from penchant.data import read_preferences
from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs
from penchant.training import PreferenceConfig, PreferenceTrainer


@pytest.fixture
def history(tmp_path, tiny_model_folder):
    """Trains a few steps and returns the log lines."""

    def run(rows, name="run", **options):
        data = write_jsonl(tmp_path / f"{name}.jsonl", rows)
        defaults = {"batch_size": 4, "max_steps": 3, "learning_rate": 0.01, "use_cpu": True, "seed": 1, "report": False}
        result = penchant.train(
            model=str(tiny_model_folder), data=str(data), output_dir=tmp_path / name, **(defaults | options)
        )
        return [line for line in result.history if "loss" in line]

    return run


@pytest.mark.parametrize("method", ["odpo", "modpo", "rebel", "soft_dpo", "rao_kupper", "bco", "npo", "aot"])
def test_methods_that_read_numbers_train(history, method):
    if method not in penchant.METHODS:
        pytest.skip("not in the catalogue")
    lines = history(rated_rows(12), method=method)
    assert len(lines) == 3
    assert lines[0]["loss"] != lines[-1]["loss"]


def test_a_weight_multiplies_the_loss_of_its_row(history):
    rows = [row | {"weight": 0.25} for row in pair_rows(12)]
    plain, weighted = history(rows, "plain"), history(rows, "weighted", weighted=True)
    assert weighted[0]["loss"] == pytest.approx(0.25 * plain[0]["loss"], rel=1e-6)


def test_rows_of_weight_0_teach_nothing(history):
    rows = [row | {"weight": 0} for row in pair_rows(12)]
    lines = history(rows, weighted=True)
    assert all(line["loss"] == 0 and line["rewards/margins"] == pytest.approx(0, abs=1e-5) for line in lines)


def test_columns_that_nobody_asked_for_are_said_to_be_unused():
    rows = read_preferences(rated_rows(3), unpaired=False, terms=["margin"])
    assert [row.numbers for row in rows.rows] == [{"margin": 0.1}, {"margin": 0.2}]  # the first is a tie
    assert "margin" not in rows.summary().partition("not used")[2]
    assert "weight" in rows.summary().partition("not used")[2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"chosen_score": None}, 'no "chosen_score" or "score_chosen" or "chosen_rating"'),
        ({"chosen_score": "four"}, '"chosen_score" must be a number'),
        ({"chosen_score": True}, '"chosen_score" must be a number'),
        ({"chosen_score": float("nan")}, '"chosen_score" must be a number'),
        ({"weight": -1}, '"weight" must be a number from 0 up'),
        ({"preference_prob": 1.5}, '"preference_prob" must be a number from 0 to 1'),
        ({"is_tie": 0.5}, '"is_tie" is neither true nor false'),
    ],
)
def test_a_row_without_a_proper_number_is_named(change, words):
    rows = rated_rows(3)
    rows[1] |= change
    terms = ["chosen_scores", "weight", "preference_probs", "is_tie"]
    with pytest.raises(InputError) as caught:
        read_preferences(rows, unpaired=False, terms=terms)
    assert str(caught.value).startswith("row 2:") and words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "dr_dpo", "weighted": True}, "one loss for all rows, so weighted"),
        ({"method": "simper", "beta_end": 0.1}, "has no beta"),
        ({"method": "dpo", "beta_end": 0.0}, "'beta' must be a number > 0"),
        ({"method": "tdpo", "reference_store": "store"}, "whole distribution"),
    ],
)
def test_options_without_effect_are_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        PreferenceConfig(output_dir=str(tmp_path), use_cpu=True, **options)


def test_beta_moves_on_a_straight_line_to_its_end(history):
    lines = history(pair_rows(12), beta=0.1, beta_end=0.5)
    assert [line["beta"] for line in lines] == pytest.approx([0.3, 0.5, 0.5])  # logged after the step's count went up


def trainer_of(method, tokenizer, folder, **settings):
    torch.manual_seed(0)
    config = PreferenceConfig(output_dir=str(folder), method=method, lora=False, use_cpu=True, **settings)
    pairs = read_preferences(pair_rows(8), unpaired=False).rows
    rows = encode_pairs(pairs, PromptStyle.of(tokenizer, "auto"), EncodeSettings()).rows
    return PreferenceTrainer(tiny_llama(len(tokenizer)).double(), config, rows, processing_class=tokenizer), rows


def test_the_mean_of_log_ratios_is_that_of_earlier_steps_however_they_are_cut(tiny_tokenizer, tmp_path):
    means = []
    for size in (8, 1):
        trainer, rows = trainer_of("bco", tiny_tokenizer, tmp_path, micro_batch_size=size)
        with torch.no_grad():
            next(iter(trainer.model.parameters())).add_(0.05)
        first = trainer.training_step(trainer.model, {"rows": rows})
        means.append(trainer.running.log_ratio_baseline)
        with torch.no_grad(), trainer._engaged():
            record = trainer.recorder.record(trainer.model, rows, torch.zeros(()))
        both = torch.cat([record.log_ratio_w, record.log_ratio_l])
        assert means[-1] == pytest.approx(both.mean().item(), rel=1e-9)
        second = trainer.training_step(trainer.model, {"rows": rows})
        expected = penchant.bco_loss(record.log_ratio_w, record.log_ratio_l, means[-1]).item()
        assert second.item() == pytest.approx(expected, rel=1e-9) and second.item() != first.item()
    assert means[0] == pytest.approx(means[1], rel=1e-9) and means[0] != 0


def test_the_mean_survives_a_stop(tmp_path, tiny_model_folder):
    data = write_jsonl(tmp_path / "pairs.jsonl", pair_rows(12))
    options = {"method": "bco", "batch_size": 4, "learning_rate": 0.01, "use_cpu": True, "num_train_epochs": 2}
    options |= {"model": str(tiny_model_folder), "data": str(data), "save_steps": 2, "report": False}
    whole = penchant.train(output_dir=tmp_path / "whole", **options)
    folder = tmp_path / "cut"
    penchant.train(output_dir=folder, max_steps=4, **options)
    kept = json.loads((folder / "checkpoint-4" / "running.json").read_text())
    assert kept["count"] == 32 and kept["total"] != 0
    assert json.loads((tmp_path / "whole" / "checkpoint-4" / "running.json").read_text())["count"] == 32
    assert len([line for line in whole.history if "loss" in line]) == 6
    resumed = penchant.train(output_dir=folder, resume=True, max_steps=6, **options)
    assert json.loads((folder / "checkpoint-6" / "running.json").read_text())["count"] == 48
    assert len([line for line in resumed.history if "loss" in line]) == 6


def test_a_moving_average_of_the_baseline(tiny_tokenizer):
    from penchant.training.running import Running

    running = Running()
    found = [float(running.averaged(torch.tensor(value))) for value in (1.0, 2.0, 2.0)]
    assert found == pytest.approx([1.0, 1.1, 1.19])
