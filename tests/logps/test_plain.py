"""The plain log-probs against a direct softmax over the whole sequence."""

from __future__ import annotations

import pytest
import torch
from tests_support import tiny_llama

from penchant.logps import AnswerBatch, Engine, FrozenCopy, answer_logps

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]
ANSWERS = [[20, 21], [22, 23, 24, 25, 26, 2], [27]]


def direct(model, prompt, answer):
    """Teacher forcing by hand: one sequence, full logits, one log-softmax, one gather."""
    logits = model(torch.tensor([prompt + answer])).logits[0]
    table = torch.log_softmax(logits.double(), -1)
    return sum(table[len(prompt) - 1 + i, token] for i, token in enumerate(answer))


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3", "gemma2"])
def test_equals_a_softmax_over_every_position(family):
    model = tiny_family(family).double()
    batch = AnswerBatch.of(PROMPTS, ANSWERS, pad_id=0, device="cpu")
    logps = answer_logps(model, batch)
    expected = torch.stack([direct(model, prompt, answer) for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)])
    torch.testing.assert_close(logps, expected, rtol=1e-12, atol=1e-12)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    gradients = torch.autograd.grad((weights * logps).sum(), list(model.parameters()))
    others = torch.autograd.grad((weights * expected).sum(), list(model.parameters()))
    for one, other in zip(gradients, others, strict=True):
        # the models' norms round to float32 inside, whatever the weights' type
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_lengths_count_the_summed_tokens():
    batch = AnswerBatch.of(PROMPTS, ANSWERS, pad_id=0, device="cpu")
    assert batch.lengths.tolist() == [2, 6, 1]
    assert int(batch.keep_BT.sum()) == 9


def test_low_precision_models_have_no_low_precision_sums():
    """256 tokens of about -4 nats: a bfloat16 sum would be a multiple of 4 or 8."""
    model = tiny_llama(64).bfloat16()
    batch = AnswerBatch.of([[5]], [[7] * 256], pad_id=0, device="cpu")
    (total,) = answer_logps(model, batch)
    logits = model(batch.ids_BT).logits[0].float()
    expected = torch.log_softmax(logits, -1)[:, 7].double().sum()
    assert abs(total) > 256
    torch.testing.assert_close(total, expected, rtol=1e-6, atol=0)


def test_head_sees_answer_positions_only():
    model = tiny_llama(64)
    seen = []
    model.lm_head.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    answer_logps(model, AnswerBatch.of(PROMPTS, ANSWERS, pad_id=0, device="cpu"))
    assert seen == [(9, 64)]


def test_frozen_copy_stays_while_the_model_moves():
    model = tiny_llama(64)
    reference = FrozenCopy.of(model)
    batch = AnswerBatch.of(PROMPTS, ANSWERS, pad_id=0, device="cpu")
    before = answer_logps(model, batch)
    torch.testing.assert_close(reference.logps(Engine(), batch), before.detach(), rtol=0, atol=0)
    with torch.no_grad():
        model.lm_head.weight.add_(0.1 * torch.randn_like(model.lm_head.weight))
    torch.testing.assert_close(reference.logps(Engine(), batch), before.detach(), rtol=0, atol=0)
    assert not torch.allclose(answer_logps(model, batch), before)
    assert not reference.logps(Engine(), batch).requires_grad


def tiny_family(name):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(1)
    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
    if name == "gpt2":
        sizes = {"vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "resid_pdrop": 0.0}
        sizes |= {"embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 2}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **sizes), attn_implementation="eager").eval()
