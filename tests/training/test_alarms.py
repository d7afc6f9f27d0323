"""Alarms of real runs: what provokes them, where they are written, and what a step that is not finite costs."""

from __future__ import annotations

import json
import math
import statistics
import warnings

import pytest
import torch
from tests_support import pair_rows, write_jsonl
from transformers import TrainerCallback

import penchant
from penchant.errors import InputError


@pytest.fixture
def run(tiny_model_folder, pairs_file, tmp_path):
    def run(folder="run", **options):
        settings = {"model": str(tiny_model_folder), "data": str(pairs_file), "batch_size": 8, "learning_rate": 1e-4}
        settings["report"] = False
        return penchant.train(**(settings | options), output_dir=tmp_path / folder, use_cpu=True)

    return run


def raised(result):
    path = result.output_dir / "alarms.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_quiet_run_raises_none(run, capsys):
    result = run(max_steps=6, batch_size=4)
    assert raised(result) == []
    assert "alarm" not in capsys.readouterr().out
    assert "watch/drift" in result.history[0]


def test_a_run_that_goes_wrong_says_so_in_its_folder_and_at_its_end(run, capsys):
    result = run(learning_rate=3e-2, max_steps=30, num_train_epochs=10)
    lines = raised(result)
    assert {"saturated", "unusual-setting"} <= {line["id"] for line in lines}
    for line in lines:
        assert set(line) == {"id", "step", "sentence", "remedy", "values"}
    out = capsys.readouterr().out
    assert "saturated at step" in out
    assert "saturated (first at step" in out


def test_evaluation_rows_that_are_trained_on(run, pairs_file, tmp_path):
    other = write_jsonl(tmp_path / "other.jsonl", [row | {"prompt": "New " + row["prompt"]} for row in pair_rows(4)])
    ids = [line["id"] for line in raised(run("seen", eval_data=str(pairs_file), max_steps=1))]
    assert ids == ["evaluation-seen"]
    assert raised(run("unseen", eval_data=str(other), max_steps=1)) == []


def test_another_model_as_reference_is_told(run, tiny_tokenizer, tmp_path):
    from tests_support import tiny_llama

    tiny_llama(len(tiny_tokenizer), hidden_size=16).save_pretrained(tmp_path / "other")
    tiny_tokenizer.save_pretrained(tmp_path / "other")
    (line,) = raised(run(reference=str(tmp_path / "other"), max_steps=8, learning_rate=5e-6))
    assert line["id"] == "step-0-disagreement", "and nothing moved"
    assert line["values"]["nats"] > 0.1


def test_without_a_reference_distances_are_from_the_first_lines(run):
    assert [line["id"] for line in raised(run(reference="none", max_steps=8, learning_rate=5e-6))] == []


def broken_at(step, rows=(1,)):
    """A loss that is infinite for some rows of one step."""
    calls = {"count": 0}

    def broken(log_ratio_w, log_ratio_l, beta=0.1):
        loss = torch.nn.functional.softplus(-beta * (log_ratio_w - log_ratio_l))
        if torch.is_grad_enabled() and len(loss) > 4:
            calls["count"] += 1
            if calls["count"] == step:
                factor = torch.ones_like(loss)
                factor[list(rows)] = float("inf")
                loss = loss * factor
        return loss

    return broken


class Weights(TrainerCallback):
    def __init__(self):
        self.after = []

    def on_step_end(self, args, state, control, model=None, **_):
        self.after.append(torch.cat([p.detach().flatten().clone() for p in model.parameters() if p.requires_grad]))


def test_a_step_that_is_not_finite_is_left_out_and_named(run):
    weights = Weights()
    result = run(method=broken_at(2), on_non_finite="skip", max_steps=4, callbacks=[weights], micro_batch_tokens=10**6)
    (line,) = raised(result)
    assert (line["id"], line["step"]) == ("non-finite", 1)
    assert "pairs.jsonl:" in line["sentence"]
    first, second, third, _ = weights.after
    assert torch.equal(first, second)
    assert not torch.equal(second, third)
    assert torch.isfinite(third).all()
    assert result.history[1]["loss"] == float("inf"), "not counted as 0"
    steps = [line for line in result.history if "loss" in line]
    assert all(math.isfinite(line["loss"]) for line in steps if line is not steps[1])
    mean = statistics.mean(line["loss"] for line in steps if line is not steps[1])
    (end,) = [line["train_loss"] for line in result.history if "train_loss" in line]
    assert end == pytest.approx(mean, abs=1e-4)


def test_a_first_step_that_is_left_out_leaves_nothing_to_the_next(run):
    broken = run(method=broken_at(1), on_non_finite="skip", max_steps=4, logging_steps=2, micro_batch_tokens=10**6)
    lines = [line for line in broken.history if "loss" in line]
    numbers = [value for line in lines for value in line.values() if isinstance(value, float)]
    assert len(lines) == 2 and all(map(math.isfinite, numbers))
    assert [line["id"] for line in raised(broken)] == ["non-finite"]
    assert lines[1]["watch/saturated"] == 0


def test_it_stops_the_run_unless_told_otherwise(run, tmp_path):
    with pytest.raises(InputError, match=r"pairs.jsonl:\d+: the loss is not finite at step 1, and 1 more rows"):
        run(method=broken_at(2, rows=(1, 2)), max_steps=3, micro_batch_tokens=10**6)
    (line,) = [json.loads(one) for one in (tmp_path / "run" / "alarms.jsonl").read_text().splitlines()]
    assert line["id"] == "non-finite"


def test_an_alarm_that_goes_on_happening_is_bounded(tmp_path):
    from penchant.diagnostics.alarms import MOST
    from penchant.training.alarms import Alarms

    said = []
    alarms = Alarms(tmp_path, said.append)
    for step in range(500):
        alarms.raise_alarm("non-finite", step, {"rows": "a row"})
        alarms.raise_alarm("saturated", step, {"share": 0.9})
    assert len((tmp_path / "alarms.jsonl").read_text().splitlines()) == MOST + 1 == len(said)
    assert any("500 times" in line for line in alarms.summary())


def test_the_same_alarm_is_not_raised_again_after_a_stop(tmp_path):
    from penchant.training.alarms import Alarms

    alarms = Alarms(None, lambda _: None)
    alarms.raise_alarm("saturated", 3, {"share": 0.9})
    alarms.history.add({"loss": 1.0})
    alarms.save(tmp_path)
    again = Alarms(None, lambda _: None)
    again.load(tmp_path)
    again.raise_alarm("saturated", 5, {"share": 0.9})
    assert [line["step"] for line in again.told] == [3]
    assert again.history.seen == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(again.summary()) == 1
