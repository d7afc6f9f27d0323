"""Mixtures of experts: the router learns, an expert that sees no token stands still, and the update is still one."""

from __future__ import annotations

import pytest
import torch
from tests_support import pair_rows, write_jsonl
from transformers import MixtralConfig, MixtralForCausalLM

import penchant
from penchant.models import load_model
from penchant.training.merge import merge


@pytest.fixture
def experts_folder(tiny_tokenizer, tmp_path):
    """32 experts in each of two layers, of which a token takes two: the rows' tokens do not reach all."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = MixtralConfig(
        vocab_size=len(tiny_tokenizer),
        num_key_value_heads=2,
        num_local_experts=32,
        num_experts_per_tok=2,
        sliding_window=None,
        initializer_range=0.2,
        **sizes,
    )
    MixtralForCausalLM(config).save_pretrained(tmp_path / "experts")
    tiny_tokenizer.save_pretrained(tmp_path / "experts")
    return str(tmp_path / "experts")


@pytest.fixture
def settings(experts_folder, tmp_path):
    data = str(write_jsonl(tmp_path / "pairs.jsonl", pair_rows(8)))
    return {"model": experts_folder, "data": data, "batch_size": 4, "max_steps": 2, "report": False}


def moved(before, after):
    """For each expert of each layer, and each router, whether a weight changed."""
    found = {}
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        if ".mlp." in name:
            found[name] = ((new - old).abs() > 0).flatten(1).any(1)
    return found


def test_experts_that_see_no_token_stand_still(settings, tmp_path, capsys):
    settings |= {"lora": False, "learning_rate": 0.1, "optim": "sgd", "use_cpu": True}
    whole = penchant.train(**settings, output_dir=tmp_path / "whole")
    assert "packed rows" in capsys.readouterr().out
    assert whole.history[1]["rewards/margins"] > 0 == whole.history[0]["rewards/margins"]
    changes = moved(load_model(settings["model"]).model, whole.model)
    for name, rows in changes.items():
        assert rows.any() and not rows.all(), name
    cut = penchant.train(**settings, output_dir=tmp_path / "cut", micro_batch_size=1)
    for one, other in zip(whole.model.parameters(), cut.model.parameters(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6)


def test_an_adapter_reaches_router_and_experts(settings, tmp_path, capsys):
    settings |= {"learning_rate": 1e-3, "use_cpu": True}
    result = penchant.train(**settings, output_dir=tmp_path / "run")
    assert "stand still" not in capsys.readouterr().out.partition("training ")[2].partition("\n")[0]
    assert result.history[1]["rewards/margins"] > 0 == result.history[0]["rewards/margins"]
    learned = [name for name, weight in result.model.named_parameters() if "lora_B" in name and weight.any()]
    assert {".mlp.experts." in name for name in learned} == {True, False}
    assert any(".mlp.gate." in name for name in learned)
    merge(result.output_dir, tmp_path / "merged")  # which compares log-probs with those of adapter and base
    merged, ids = load_model(str(tmp_path / "merged")).model, torch.tensor([[5, 6, 7, 8]])
    torch.testing.assert_close(merged(ids).logits, result.model.eval()(ids).logits, rtol=1e-4, atol=1e-5)


def test_an_adapter_that_passes_the_experts_by_says_so(settings, tmp_path, capsys):
    settings |= {"lora_target_modules": "q_proj,v_proj", "max_steps": 1, "use_cpu": True}
    penchant.train(**settings, output_dir=tmp_path / "run")
    assert "on q_proj, v_proj; the experts stand still" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
def test_two_processes_equal_one(settings, lora, tmp_path):
    from training.test_processes import check_weights, on_two

    settings |= {"learning_rate": 0.1, "optim": "sgd"}
    penchant.train(**settings | {"lora": lora, "use_cpu": True}, output_dir=tmp_path / "one")
    on_two(settings | {"lora": str(lora).lower(), "report": "false"}, tmp_path / "two")
    check_weights(tmp_path / "one", tmp_path / "two", rtol=1e-4, atol=1e-6)
