"""The streamed head, frozen and trained, against float64 autograd through ordinary logits."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from penchant.logps import choice as choice_room
from penchant.logps import choose_engine
from penchant.logps import head as head_room
from penchant.logps.head import Head, Shaping, _TokenLogps

TOKENS, WIDTH, VOCABULARY = 7, 5, 23


def problem(size=1.0, bias=False):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    hidden, weight = size * draw(TOKENS, WIDTH), draw(VOCABULARY, WIDTH)
    target = torch.tensor([0, 3, VOCABULARY - 1, 8, 8, 15, 1])
    return hidden.requires_grad_(), weight, draw(VOCABULARY) if bias else None, target


def direct(hidden, head, target):
    """Logits, scale, cap, log-softmax, gather."""
    logits = torch.nn.functional.linear(hidden, head.weight_VH, head.bias_V) * head.scale
    if head.softcap is not None:
        logits = head.softcap * torch.tanh(logits / head.softcap)
    return torch.log_softmax(logits, -1).gather(1, target[:, None])[:, 0]


@pytest.mark.parametrize("tile", [1, 4, 23, 100])
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("scale", [1.0, 0.3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_value_and_gradient_in_float64(tile, softcap, scale, bias, size):
    hidden, weight, bias_V, target = problem(size, bias)
    head = Head(weight, bias_V, scale, softcap)
    upstream = torch.tensor([1.0, 0.0, -2.0, 0.5, 0.5, 3.0, -1.0], dtype=torch.float64)
    expected = direct(hidden, head, target)
    found = _TokenLogps.apply(hidden, weight, bias_V, target, Shaping(scale, softcap), tile)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-10)
    (slope,) = torch.autograd.grad((upstream * expected).sum(), hidden)
    (other,) = torch.autograd.grad((upstream * found).sum(), hidden)
    torch.testing.assert_close(other, slope, rtol=1e-9, atol=1e-12)


def test_gradcheck():
    hidden, weight, bias, target = problem(bias=True)
    assert torch.autograd.gradcheck(lambda h: _TokenLogps.apply(h, weight, bias, target, Shaping(0.7, 2.0), 6), hidden)


def test_low_precision_inputs_give_float32_values_and_their_own_gradient_type():
    hidden, weight, _, target = problem()
    low = hidden.detach().bfloat16().requires_grad_()
    head = Head(weight.bfloat16(), None, 1.0, None)
    logps = head.token_logps(low, target)
    logps.sum().backward()
    assert (logps.dtype, low.grad.dtype) == (torch.float32, torch.bfloat16)
    exact = direct(low.double(), Head(head.weight_VH.double(), None, 1.0, None), target)
    torch.testing.assert_close(logps.double(), exact, rtol=0, atol=0.05)


def test_no_gradient_asked_for_costs_no_unit_gradient():
    hidden, weight, _, target = problem()
    with torch.no_grad():
        logps = Head(weight, None, 1.0, None).token_logps(hidden, target)
    assert logps.grad_fn is None
    torch.testing.assert_close(logps, direct(hidden, Head(weight, None, 1.0, None), target).detach())


SMALL = {
    "vocab_size": 128, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.2, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True}),
        ("granite", {"logits_scaling": 3.0}),
        ("cohere", {"logit_scale": 0.25}),
        ("gemma2", {"final_logit_softcapping": 2.0, "query_pre_attn_scalar": 8}),
        ("phi", {}),
    ],
)
def test_scale_cap_and_bias_are_read_right(family, changes):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **(SMALL | changes)))
    model.get_output_embeddings().requires_grad_(False)
    engine = choose_engine(model, 0)
    assert engine.streamed, engine.description


def test_a_scale_that_is_read_wrong_is_caught(monkeypatch):
    """The check compares with the model's own logits: a head that bends them otherwise is not streamed."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("granite", **(SMALL | {"logits_scaling": 3.0})))
    layer = model.get_output_embeddings().requires_grad_(False)
    for room in (head_room, choice_room):
        monkeypatch.setattr(room, "linear_head", lambda _: Head(layer.weight, None, 1.0, None))
    engine = choose_engine(model, 0)
    assert (engine.packed, engine.streamed) == (True, False)
    assert "differ" in engine.description


@pytest.mark.parametrize("tile", [4, 23])
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("bias", [False, True])
def test_a_trained_head_gets_its_gradient_too(tile, softcap, bias):
    hidden, weight, bias_V, target = problem(bias=bias)
    leaves = [t.requires_grad_() for t in (hidden, weight, bias_V) if t is not None]
    upstream = torch.tensor([1.0, 0.0, -2.0, 0.5, 0.5, 3.0, -1.0], dtype=torch.float64)
    expected = (upstream * direct(hidden, Head(weight, bias_V, 0.3, softcap), target)).sum()
    found = (upstream * _TokenLogps.apply(hidden, weight, bias_V, target, Shaping(0.3, softcap), tile)).sum()
    for one, other in zip(torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_a_trained_head_is_streamed(tied):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SMALL, tie_word_embeddings=tied))
    engine = choose_engine(model, 0)
    assert (engine.packed, engine.streamed) == (True, True), engine.description
    names = [name for name, _ in model.named_parameters()]
    with engine.engaged(model):
        assert len(list(model.parameters())) == len(names)
    assert [name for name, _ in model.named_parameters()] == names


def test_a_wrapped_head_keeps_its_logits():
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SMALL))
    model = get_peft_model(model, LoraConfig(target_modules=["q_proj", "lm_head"], task_type="CAUSAL_LM"))
    engine = choose_engine(model, 0)
    assert (engine.packed, engine.streamed) == (True, False)
    assert "not a plain linear layer" in engine.description
