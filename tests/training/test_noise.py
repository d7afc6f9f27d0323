"""The noise floor: nothing to report in float32, rounding in bfloat16, and the model as it was afterwards."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tests_support import pair_rows, tiny_llama

from penchant.data import read_preferences
from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs
from penchant.training.config import PreferenceConfig
from penchant.training.noise import measure_noise, noise_report
from penchant.training.trainer import PreferenceTrainer


@pytest.fixture
def make(tmp_path, tiny_tokenizer):
    def make(dtype, method="dpo", lora=False, adjust=lambda model: None, **options):
        rows = read_preferences(pair_rows(6), unpaired=False, format=None).rows
        encoded = encode_pairs(rows, PromptStyle.of(tiny_tokenizer, "auto"), EncodeSettings(256, "drop")).rows
        model = tiny_llama(len(tiny_tokenizer)).to(dtype)
        if lora:
            torch.manual_seed(0)
            model = get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
        adjust(model)
        settings = {"output_dir": str(tmp_path), "use_cpu": True, "learning_rate": 1e-3} | options
        config = PreferenceConfig(method=method, lora=lora, **settings)
        return PreferenceTrainer(model, config, encoded, processing_class=tiny_tokenizer), encoded

    return make


def test_float32_has_none(make):
    assert measure_noise(*make(torch.float32)) is None


@pytest.mark.parametrize("method", ["dpo", "simpo"])
def test_bfloat16_is_compared_with_float32_and_the_model_is_left_as_it_was(make, method):
    trainer, rows = make(torch.bfloat16, method)
    before = [p.clone() for p in trainer.model.parameters()]
    noise = measure_noise(trainer, rows)
    assert 0 < noise.nats < 1
    assert noise.signal > 0
    assert all(torch.equal(p, q) for p, q in zip(trainer.model.parameters(), before, strict=True))
    assert "bfloat16" in str(noise_report(trainer, rows))


@pytest.mark.parametrize("lora", [False, True])
def test_a_stored_reference_gives_the_noise_of_a_live_one(make, tmp_path, lora):
    """The reference is the model before the nudge, wherever its log-probs come from."""
    live = measure_noise(*make(torch.bfloat16, lora=lora))
    stored = measure_noise(*make(torch.bfloat16, lora=lora, reference_store=str(tmp_path / "store")))
    assert live.signal > 0
    assert stored.signal == pytest.approx(live.signal, rel=1e-4)
    assert stored.nats == pytest.approx(live.nats, rel=1e-3)


def test_an_adapter_that_goes_on_learning_is_measured_against_what_it_was(make):
    trained = {"adjust": lambda model: [p.data.normal_(std=0.1) for n, p in model.named_parameters() if "lora_" in n]}
    fresh, going_on = (measure_noise(*make(torch.bfloat16, lora=True, **one)) for one in ({}, trained))
    assert going_on.nats < 10 * fresh.nats, "not the adapter's own effect"
    assert going_on.from_zero


def test_without_a_reference_margins_are_not_what_a_step_moves(make):
    for method, options in (("simpo", {}), ("dpo", {"reference": "none"})):
        noise = measure_noise(*make(torch.bfloat16, method, **options))
        assert noise.nats < noise.signal
        assert "which are about" in str(noise)


def test_another_model_as_reference_is_not_measured(make, tmp_path, tiny_tokenizer):
    tiny_llama(len(tiny_tokenizer), hidden_size=16).save_pretrained(tmp_path / "other")
    tiny_tokenizer.save_pretrained(tmp_path / "other")
    assert "not measured" in noise_report(*make(torch.bfloat16, reference=str(tmp_path / "other")))


def test_rewards_per_token_are_not_scaled_by_beta(make):
    assert measure_noise(*make(torch.bfloat16, "simpo")).beta is None
