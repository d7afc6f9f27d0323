"""Settings: sorted, checked, and none ignored."""

from __future__ import annotations

import pytest

from penchant.errors import InputError
from penchant.objectives import METHODS
from penchant.training import PreferenceConfig, sharding
from penchant.training.options import split_options
from penchant.training.presets import PRESETS, outside


def config(tmp_path, **settings):
    return PreferenceConfig(output_dir=str(tmp_path), use_cpu=True, **settings)


def test_batch_size_counts_the_whole_step(tmp_path):
    settings = config(tmp_path, batch_size=12)
    assert (settings.per_device_train_batch_size, settings.gradient_accumulation_steps) == (12, 1)


def test_transformers_own_names_mean_the_same_step(tmp_path):
    settings = config(tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    assert (settings.batch_size, settings.micro_batch_size) == (8, 2)
    assert (settings.per_device_train_batch_size, settings.gradient_accumulation_steps) == (8, 1)


def test_batch_size_is_shared_by_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="batch_size 5 cannot be shared by 2 processes"):
        config(tmp_path, batch_size=5)


def test_processes_that_are_not_joined_are_refused(tmp_path, monkeypatch):
    """Each would train by itself, on steps of half the size, and write into the same folder."""
    monkeypatch.setattr("penchant.training.config._started", lambda: 2)
    with pytest.raises(InputError, match="2 processes were started, and accelerate joins 1"):
        config(tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 8, "gradient_accumulation_steps": 2}, "Give batch_size alone"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"lora_dropout": 1.5}, "lora_dropout must be in"),
        ({"learning_rate": -1.0}, "learning_rate must be >= 0"),
        ({"method": "dop"}, "Did you mean 'dpo'"),
        ({"constants": {"beta": 0}}, "'beta' must be a number > 0"),
        ({"constants": {"gamma": 1.0}}, "has no constant 'gamma'"),
        ({"label_smoothing_factor": 0.1}, "label_smoothing_factor is not supported"),
        ({"neftune_noise_alpha": 5.0}, "neftune_noise_alpha is not supported"),
        ({"auto_find_batch_size": True}, "auto_find_batch_size is not supported"),
        ({"train_sampling_strategy": "group_by_length"}, "random or sequential"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path, settings, words):
    with pytest.raises(InputError, match=words):
        config(tmp_path, **settings)


def test_options_are_sorted_and_the_unknown_refused():
    sorted_options = split_options({"beta": 0.2, "lambda": 0.5, "max_steps": 3})
    assert sorted_options == {"max_steps": 3, "constants": {"beta": 0.2, "lambda_": 0.5}}
    with pytest.raises(InputError, match=r"no option 'learning_rat'\. Did you mean 'learning_rate'\?"):
        split_options({"learning_rat": 1e-4})


def test_learning_rate_preset_depends_on_the_method_and_adapter(tmp_path):
    assert config(tmp_path, lora=False).learning_rate == 5e-7
    assert config(tmp_path).learning_rate == 2e-5
    assert config(tmp_path, learning_rate=3e-4).learning_rate == 3e-4


def test_a_simpo_run_with_nothing_else_is_simpo(tmp_path):
    """Its own beta and margin, not DPO's, and a rate its authors used where all weights train."""
    settings = config(tmp_path, method="simpo", lora=False)
    assert settings.full_constants == {"beta": 2.0, "gamma": 0.5}
    assert 3e-7 <= settings.learning_rate <= 1e-6


@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
@pytest.mark.parametrize("method", PRESETS)
def test_every_start_lies_in_its_own_range(method, lora):
    rate = PRESETS[method].learning_rate(lora=lora)
    assert outside(method, METHODS[method].constants, rate, lora=lora) == []


def test_a_value_no_published_run_used_is_told():
    found = outside("simpo", {"beta": 0.1, "gamma": 0.5}, 5e-7, lora=False)
    assert [(name, value) for name, value, _ in found] == [("beta", 0.1)]
    assert outside("dpo", {"beta": 5.0}, 1e-3, lora=True)[0][0] == "learning_rate"
    assert outside("rebel", {"eta": 77.0}, 1e-5, lora=True) == []


def test_asking_for_checkpoints_switches_them_on(tmp_path):
    assert config(tmp_path).save_strategy == "no"
    assert config(tmp_path, save_steps=5).save_strategy == "steps"


def test_sharding_on_a_cpu_is_refused_and_not_changed_in_silence(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    with pytest.raises(InputError, match="on a CPU, where accelerate would run DDP without a word"):
        config(tmp_path)


@pytest.mark.parametrize(
    ("variables", "settings", "said"),
    [
        ({"FSDP_VERSION": "1"}, {}, "version 1"),
        ({"FSDP_OFFLOAD_PARAMS": "true"}, {}, "cpu_offload"),
        ({"FSDP_ACTIVATION_CHECKPOINTING": "true"}, {}, "Use --activation-checkpointing true"),
        ({}, {"bf16": True}, "mixed precision"),
        ({}, {"reference_every": 2}, "a reference that moves"),
        ({}, {"memory": "8GB"}, "memory has no effect"),
        ({}, {}, "one process"),
    ],
)
def test_what_sharding_cannot_have_is_said(variables, settings, said, tmp_path, monkeypatch):
    monkeypatch.setattr(sharding, "accelerate_shards", lambda device: True)
    for name, value in ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"} | variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=said):
        config(tmp_path, **settings)


def test_shards_are_not_gone_on_with_without_sharding(tmp_path):
    (tmp_path / "checkpoint-2" / "pytorch_model_fsdp_0").mkdir(parents=True)
    with pytest.raises(InputError, match="written with FSDP, and this run is without it"):
        sharding.check_checkpoint(tmp_path / "checkpoint-2", config(tmp_path))
