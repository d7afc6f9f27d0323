"""Training under DeepSpeed's ZeRO on two processes gives the losses and the weights of one process."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from tests_two_processes import CASES, check_goes_on, check_same, on_two, settings_of

import penchant
from penchant.errors import InputError
from penchant.training.config import PreferenceConfig

# nothing is small enough to stay whole, nothing is kept for its next use: what can be shared is
STAGE_3 = {"stage3_param_persistence_threshold": 0, "stage3_max_reuse_distance": 0, "stage3_max_live_parameters": 0}
ASKED = {2: {"zero_optimization": {"stage": 2}}, 3: {"zero_optimization": {"stage": 3} | STAGE_3}}
ON_TWO = partial(on_two, script="zero_on_cpu.py")


@pytest.fixture(scope="module", params=[2, 3], ids=["stage 2", "stage 3"])
def shared_runs(request, tiny_tokenizer, tmp_path_factory):
    """Every case on two processes, and the settings without what only they have."""
    pytest.importorskip("deepspeed")
    top = tmp_path_factory.mktemp(f"zero{request.param}")
    both = {name: settings_of(name, top, tiny_tokenizer) for name in CASES}
    asked = {"deepspeed": ASKED[request.param]}
    ON_TWO(
        [settings | store | asked | {"output_dir": str(top / name)} for name, (settings, store) in both.items()], top
    )
    return top, {name: settings for name, (settings, _) in both.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_method_and_reference(name, shared_runs, tmp_path):
    top, settings = shared_runs
    penchant.train(**settings[name], output_dir=str(tmp_path / "one"), use_cpu=True)
    check_same(tmp_path / "one", top / name)
    if settings[name]["report"]:
        assert (top / name / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
@pytest.mark.parametrize("name", ["dpo, full", "dpo, lora"])
def test_a_run_goes_on_from_a_checkpoint(name, stage, tiny_tokenizer, tmp_path):
    """To the bit as if it had not been stopped; the checkpoint holds the weights as others load them, too."""
    pytest.importorskip("deepspeed")
    settings, _ = settings_of(name, tmp_path, tiny_tokenizer)
    check_goes_on(settings | {"deepspeed": ASKED[stage]}, tmp_path, script="zero_on_cpu.py")


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_weights_in_bfloat16_have_float32_copies(stage, tiny_tokenizer, tmp_path):
    """A step too small for a weight in bfloat16 is not lost: many of them move it."""
    pytest.importorskip("deepspeed")
    settings, _ = settings_of("dpo, full", tmp_path, tiny_tokenizer)
    settings |= {"dtype": "bfloat16", "optim": "adamw_torch", "learning_rate": 1e-5, "num_train_epochs": 10}
    settings |= {"report": False, "sample_prompts": 0, "eval_data": None, "eval_strategy": "no"}
    ON_TWO([settings | {"output_dir": str(tmp_path / "two"), "deepspeed": ASKED[stage]}], tmp_path)
    for dtype in ("float32", "bfloat16"):
        penchant.train(**settings | {"dtype": dtype}, output_dir=str(tmp_path / dtype), use_cpu=True)
    start = load_file(tmp_path / "untied" / "model.safetensors")
    exact, without, found = (load_file(tmp_path / run / "model.safetensors") for run in ("float32", "bfloat16", "two"))
    assert all(weight.dtype == torch.bfloat16 for weight in found.values())
    right = torch.cat([(exact[name] - start[name]).flatten() for name in start])

    def agreement(run):
        moved = torch.cat([(run[name].float() - start[name].bfloat16().float()).flatten() for name in start])
        return torch.corrcoef(torch.stack([moved, right]))[0, 1]

    assert agreement(found) > 2 * agreement(without) > 0


@pytest.mark.slow
def test_accelerate_launch_asks_for_it(tiny_tokenizer, tmp_path, monkeypatch):
    pytest.importorskip("deepspeed")
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    settings, _ = settings_of("dpo, lora", tmp_path, tiny_tokenizer)
    ON_TWO([settings | {"output_dir": str(tmp_path / "two")}], tmp_path)
    monkeypatch.undo()
    penchant.train(**settings, output_dir=str(tmp_path / "one"), use_cpu=True)
    check_same(tmp_path / "one", tmp_path / "two")
    assert "DeepSpeed ZeRO 3" in (tmp_path / "two" / "README.md").read_text()


def refused(**settings):
    with pytest.raises(InputError) as caught:
        PreferenceConfig(output_dir="unused", **settings)
    return str(caught.value)


@pytest.fixture
def installed(monkeypatch):
    """DeepSpeed as far as a look for it can tell."""
    monkeypatch.setattr("penchant.training.zero.find_spec", lambda name: object())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"zero_optimization": {"stage": 1}}, "zero_optimization.stage must be 2 or 3"),
        ({}, "zero_optimization.stage must be 2 or 3"),
        ({"zero_optimization": {"stage": 3, "offload_param": {"device": "cpu"}}}, "offload_param is not supported"),
        ({"zero_optimization": {"stage": 2, "cpu_offload": True}}, "cpu_offload is not supported"),
        (ASKED[2] | {"fp16": {"enabled": True}}, "fp16 is not supported"),
        (ASKED[2] | {"bf16": {"enabled": True}}, "bf16 and the weights' type differ"),
        (ASKED[2] | {"scheduler": {"type": "WarmupLR"}}, "leave the entry out"),
        (ASKED[2] | {"optimizer": {"type": "Lion"}}, "optimizer and the run's differ"),
        (ASKED[2] | {"optimizer": {"type": "AdamW", "params": {"lr": 1.0}}}, "optimizer and the run's differ"),
        (ASKED[2] | {"curriculum_learning": {"enabled": True}}, "curriculum_learning is not supported"),
        ("no-such-file.json", "cannot be read"),
    ],
)
def test_a_configuration_that_means_something_else_is_refused(asked, said, installed):
    assert said in refused(deepspeed=asked or {"zero_optimization": {}}, dtype="float32")


def test_deepspeed_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("penchant.training.zero.find_spec", lambda name: None)
    assert "pip install deepspeed" in refused(deepspeed=ASKED[2])
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    assert "pip install deepspeed" in refused()


def test_two_ways_of_sharing_are_refused(installed):
    assert "both FSDP and DeepSpeed" in refused(deepspeed=ASKED[2], fsdp=True)


def test_a_file_that_is_no_configuration(installed, tmp_path):
    (tmp_path / "list.json").write_text(json.dumps([1]))
    assert "one JSON object" in refused(deepspeed=str(tmp_path / "list.json"))
