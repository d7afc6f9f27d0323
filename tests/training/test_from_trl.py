"""TRL's settings in our words: same step, same loss, and nothing dropped without a word."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
import yaml

import penchant
from penchant.errors import InputError
from penchant.objectives import get_method
from penchant.training import PreferenceConfig, from_trl
from penchant.training.from_trl import translate


def test_a_dpo_file_becomes_the_same_step(tmp_path):
    given = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 8, "beta": 0.2, "loss_type": "sigmoid"}
    config = PreferenceConfig.from_trl(**given, output_dir=str(tmp_path), use_cpu=True)
    assert (config.method, config.batch_size, config.full_constants["beta"]) == ("dpo", 16, 0.2)
    assert (config.learning_rate, config.num_train_epochs, config.lora) == (1e-6, 3.0, False)


@pytest.mark.parametrize(
    ("kind", "given", "method", "constants"),
    [
        ("dpo", {"loss_type": "ipo"}, "ipo", {"beta": 0.1}),
        ("dpo", {"loss_type": "robust", "label_smoothing": 0.2}, "robust_dpo", {"beta": 0.1, "label_smoothing": 0.2}),
        ("dpo", {"rpo_alpha": 0.5}, "dpo_nll", {"beta": 0.1, "alpha": 0.5}),
        ("dpo", {"loss_type": ["sigmoid", "sft"], "loss_weights": [0.8, 1.0]}, "0.8*dpo(beta=0.1) + 1*nll", {}),
        ("kto", {"desirable_weight": 1.1}, "kto", {"beta": 0.1, "desirable_weight": 1.1}),
        ("cpo", {"loss_type": "sigmoid", "cpo_alpha": 0.3}, "cpo", {"beta": 0.1, "alpha": 0.3}),
        ("cpo", {"loss_type": "simpo", "cpo_alpha": 0.0, "simpo_gamma": 0.7}, "simpo", {"beta": 0.1, "gamma": 0.7}),
        ("cpo", {"loss_type": "simpo", "beta": 2.0}, "simpo(beta=2.0) + 1*nll", {}),
        ("orpo", {"beta": 0.2}, "orpo", {"lambda": 0.2}),
        ("dpo", {"loss_type": "robust"}, "robust_dpo", {"label_smoothing": 0.0}),
        ("dpo", {"loss_type": "exo_pair", "label_smoothing": 1e-2}, "exo", {"epsilon": 1e-2}),
        ("cpo", {"loss_type": "alphapo", "alpha": 0.1}, "alphapo", {"beta": 0.1, "gamma": 0.5, "alpha": 0.1}),
        ("cpo", {"loss_type": "simpo", "cpo_alpha": 0.0, "alpha": 0.1}, "alphapo", {"gamma": 0.5, "alpha": 0.1}),
        (
            *("cpo", {"loss_type": "simpo", "alpha": 0.1}),
            *("alphapo(beta=0.1, gamma=0.5, alpha=0.1) + 1*nll", {}),
        ),
    ],
)
def test_losses_and_their_constants(kind, given, method, constants):
    options, _ = translate(given, kind)
    assert options["method"] == method
    assert {name: options[name] for name in constants} == constants
    get_method(method)


def test_the_kind_is_read_off_the_settings():
    assert translate({"undesirable_weight": 1.2})[0]["method"] == "kto"
    assert translate({"simpo_gamma": 0.5, "loss_type": "simpo", "cpo_alpha": 0})[0]["method"] == "simpo"
    assert translate({})[0]["method"] == "dpo"


def test_references():
    options, notes = translate({"sync_ref_model": True, "ref_model_sync_steps": 64})
    assert (options["reference_every"], options["reference_mix"]) == (64, 0.6)
    assert translate({"precompute_ref_log_probs": True})[0]["reference_store"] == "reference_store"
    assert translate({"reference_free": True})[0]["reference"] == "none"
    assert any("moves" in note for note in notes)


def test_what_has_no_counterpart_is_named_or_refused():
    options, notes = translate({"padding_free": True, "max_prompt_length": 512, "generate_during_eval": False})
    assert {"padding_free", "max_prompt_length", "generate_during_eval"} & set(options) == set()
    told = " ".join(notes)
    assert "padding_free has no counterpart" in told
    assert "max_prompt_length has no counterpart" in told
    assert "generate_during_eval" not in told
    for wrong in ({"ld_alpha": 0.5}, {"f_divergence_type": "js_divergence"}, {"use_weighting": True}):
        with pytest.raises(InputError, match="makes another loss and has no counterpart"):
            translate(wrong)
    for kind, wrong in (("cpo", {"alpha": 0.5}), ("dpo", {"alpha": 0.5})):
        with pytest.raises(InputError, match="alpha"):
            translate(wrong, kind)
    with pytest.raises(InputError, match="loss_type 'aot'"):
        translate({"loss_type": "aot"})


def test_an_adapter_is_trained_where_trl_would():
    assert translate({"lora_r": 8})[0]["lora"] is True
    assert (
        translate({"use_peft": True, "lora_target_modules": ["q_proj", "v_proj"]})[0]
        == (translate({"use_peft": True, "lora_target_modules": "q_proj,v_proj"})[0])
    )


def test_an_adapter_is_trls_and_what_cannot_be_is_told():
    """Settings and values of TRL 1.16's ModelConfig, whose lora_alpha does not follow lora_r."""
    options, notes = translate({"use_peft": True, "lora_r": 64})
    assert {name: options[name] for name in ("lora_r", "lora_alpha", "lora_dropout", "truncation", "dtype")} == {
        "lora_r": 64,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        "truncation": "keep_start",
        "dtype": "float32",
    }
    told = " ".join(notes)
    for words in ("lora_alpha=32", "lora_target_modules is left out", "bf16 is left out", "logging_steps is left out"):
        assert words in told
    assert "lora_alpha" not in translate({})[0]
    assert "use_peft is left out" in " ".join(translate({"lora_r": 8})[1])
    full = {"lora_target_modules": "q_proj", "bf16": True, "logging_steps": 1, "gradient_checkpointing": True}
    assert "is left out:" not in " ".join(translate({"use_peft": True, **full})[1])


def test_defaults_are_those_of_the_installed_trl():
    """What is said to be TRL's is TRL's."""
    trl = pytest.importorskip("trl")
    usual = {field.name: field.default for kind in (trl.ModelConfig, trl.DPOConfig) for field in fields(kind)}
    named = from_trl._DEFAULTS | from_trl._ADAPTER | from_trl._OTHER_ADAPTER
    shown = {"truncation": "truncation_mode", "lora": "use_peft"}
    for name, value in named.items():
        assert usual[shown.get(name, name)] == value, name
    assert (usual["logging_steps"], usual["gradient_checkpointing"], usual["bf16"]) == (10, True, None)
    assert (usual["beta"], usual["label_smoothing"], usual["discopop_tau"]) == (0.1, 0.0, 0.05)


def test_null_is_no_limit_or_a_default(tmp_path):
    options, notes = translate(
        {"max_length": None, "lora_target_modules": None, "dtype": None, "lr_scheduler_kwargs": None}
    )
    assert (options["max_length"], options["dtype"]) == (1_000_000, "auto")
    assert {"lora_target_modules", "lr_scheduler_kwargs"} & set(options) == set()
    assert "max_length is null, so no row is cut" in " ".join(notes)
    assert PreferenceConfig.from_trl(max_length=None, output_dir=str(tmp_path), use_cpu=True).max_length == 1_000_000


@pytest.mark.parametrize(
    "given",
    [
        {"use_peft": True, "use_dora": True},
        {"use_peft": True, "lora_modules_to_save": ["lm_head"]},
        {"model_revision": "v2"},
    ],
)
def test_another_adapter_is_refused(given):
    with pytest.raises(InputError, match="makes another model and has no counterpart"):
        translate(given)
    options, _ = translate(
        {"use_peft": True, "use_dora": False, "lora_task_type": "CAUSAL_LM", "model_revision": "main"}
    )
    assert {"use_dora", "lora_task_type", "model_revision"} & set(options) == set()


def test_a_configuration_object(tmp_path):
    trl = pytest.importorskip("trl")
    given = trl.DPOConfig(output_dir=str(tmp_path), beta=0.3, bf16=False, use_cpu=True, report_to="none", max_steps=7)
    config = PreferenceConfig.from_trl(given)
    assert (config.full_constants["beta"], config.max_steps, config.method) == (0.3, 7, "dpo")


@pytest.mark.parametrize("beside", [[], ["--batch-size", "4"]], ids=["alone", "with-a-batch-size"])
def test_a_yaml_file_trains_on_the_command_line(beside, tiny_model_folder, pairs_file, tmp_path, capsys):
    from penchant.cli import main

    settings = {"model_name_or_path": str(tiny_model_folder), "dataset_name": str(pairs_file), "max_steps": 2}
    settings |= {"loss_type": "hinge", "use_cpu": True, "use_peft": True, "warmup_ratio": 0.1, "report_to": "none"}
    (tmp_path / "trl.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--from-trl", str(tmp_path / "trl.yaml"), "--output-dir", str(tmp_path / "run"), *beside])
    out = capsys.readouterr().out
    assert "from TRL   read as TRL's DPOConfig" in out
    assert "method     hinge" in out
    assert "left out in the settings, and as TRL has them: learning_rate=1e-06" in out
    assert f", {beside[1] if beside else 8} per optimiser step" in out
    assert (tmp_path / "run" / "adapter_model.safetensors").exists()


def test_the_first_loss_is_trls_landmark(tiny_model_folder, pairs_file, tmp_path):
    options, _ = translate({"loss_type": "sigmoid", "use_cpu": True, "max_steps": 1})
    result = penchant.train(
        model=str(tiny_model_folder), data=str(pairs_file), output_dir=tmp_path / "run", report=False, **options
    )
    assert result.history[0]["loss"] == pytest.approx(math.log(2), rel=1e-6)
