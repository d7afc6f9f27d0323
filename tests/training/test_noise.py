"""The noise floor: nothing to report in float32, rounding in bfloat16, and the model as it was afterwards."""

from __future__ import annotations

import pytest
import torch
from tests_support import pair_rows, tiny_llama

from penchant.data import read_preferences
from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs
from penchant.training.config import PreferenceConfig
from penchant.training.noise import measure_noise, noise_report
from penchant.training.trainer import PreferenceTrainer


@pytest.fixture
def make(tmp_path, tiny_tokenizer):
    def make(dtype, method="dpo"):
        rows = read_preferences(pair_rows(6), unpaired=False, format=None).rows
        encoded = encode_pairs(rows, PromptStyle.of(tiny_tokenizer, "auto"), EncodeSettings(256, "drop")).rows
        model = tiny_llama(len(tiny_tokenizer)).to(dtype)
        config = PreferenceConfig(output_dir=str(tmp_path), method=method, lora=False, use_cpu=True, learning_rate=1e-3)
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
    assert "bfloat16" in noise_report(trainer, rows)


def test_the_measurement_is_repeatable(make):
    trainer, rows = make(torch.bfloat16)
    noise = measure_noise(trainer, rows)
    twin, _ = make(torch.bfloat16)
    assert measure_noise(twin, rows).signal == pytest.approx(noise.signal, rel=1e-6)
