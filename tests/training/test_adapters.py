"""Adapters of every kind, as the model that goes on learning and as the reference: what they compute is peft's own."""

from __future__ import annotations

import math

import pytest
import torch
from peft import LoHaConfig, LoraConfig, PeftModel, VeraConfig, get_peft_model
from tests_support import pair_rows, tiny_llama
from transformers import AutoModelForCausalLM, TrainerCallback

import penchant
from penchant.data import read_preferences
from penchant.errors import InputError
from penchant.logps import Engine
from penchant.models import load_model
from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs

KINDS = {
    "plain": {},
    "dora": {"use_dora": True},
    "bias": {"lora_bias": True},
    "dropout": {"lora_dropout": 0.5},
    "few": {"target_modules": ["q_proj"], "layers_to_transform": [1]},
    "head": {"modules_to_save": ["lm_head"]},
    "embedding": {"modules_to_save": ["embed_tokens"]},
    "lora-head": {"target_modules": ["q_proj", "lm_head", "embed_tokens"]},
    "mica": {"init_lora_weights": "mica"},
}
CHANGES_BASE = ("pissa", "olora")


@pytest.fixture
def adapter(tiny_model_folder, tmp_path):
    """Writes a folder with an adapter that is far from its base."""

    def write(seed=1, config=LoraConfig, **options):
        torch.manual_seed(seed)
        settings = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model_folder), config(**settings))
        with torch.no_grad():
            for parameter in (p for p in model.parameters() if p.requires_grad):
                parameter.add_(0.1 * torch.randn_like(parameter))
        folder = tmp_path / f"adapter-{seed}"
        model.save_pretrained(folder)
        return str(folder)

    return write


@pytest.fixture
def run(tiny_model_folder, pairs_file, tmp_path):
    def run(folder="run", **options):
        settings = {"model": str(tiny_model_folder), "data": str(pairs_file), "batch_size": 24, "learning_rate": 1e-9}
        settings |= {"report": False, "max_steps": 1, "use_cpu": True}
        return penchant.train(**(settings | options), output_dir=tmp_path / folder)

    return run


@pytest.fixture
def by_hand(tiny_model_folder, tiny_tokenizer):
    """The mean log-prob of the chosen answers under an adapter as peft loads it, with plain rows."""
    pairs = read_preferences(pair_rows(24), unpaired=False).rows
    rows = encode_pairs(pairs, PromptStyle.of(tiny_tokenizer, "auto"), EncodeSettings()).rows

    @torch.no_grad()
    def by_hand(folder):
        model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
        model = (PeftModel.from_pretrained(model, folder) if folder else model).eval()
        batch = Engine().lay_out([(row.prompt_ids, row.answers[:1]) for row in rows], "cpu")
        return float(Engine().logps(model, batch).mean())

    return by_hand


def means(result):
    """The mean log-prob of the chosen answers under policy and reference, before the first step."""
    line = result.history[0]
    return line["logps/chosen"], line["logps/chosen"] - line["rewards/chosen"] / 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_adapter_computes_what_peft_computes_with_it(run, adapter, by_hand, kind):
    folder = adapter(**KINDS[kind])
    policy, reference = means(run(reference=f"adapter:{folder}", lora_target_modules="q_proj,v_proj"))
    assert policy == pytest.approx(by_hand(None), rel=1e-5), "what is loaded beside it leaves the policy alone"
    assert reference == pytest.approx(by_hand(folder), rel=1e-5)
    assert abs(policy - reference) > 0.05


@pytest.mark.parametrize("kind", ["dora", "head"])
def test_a_plain_reference_beside_a_policy_of_another_kind(run, adapter, by_hand, kind):
    start, other = adapter(**KINDS[kind]), adapter(seed=2)
    policy, reference = means(run(model=start, reference=f"adapter:{other}"))
    assert policy == pytest.approx(by_hand(start), rel=1e-5)
    assert reference == pytest.approx(by_hand(other), rel=1e-5)


def test_a_named_adapter_in_memory_has_no_dropout(run, adapter, by_hand, tiny_model_folder):
    loaded = load_model(adapter(), merge=False)
    other = adapter(seed=2, lora_dropout=0.5)
    loaded.model.load_adapter(other, adapter_name="other")
    _, reference = means(run(model=loaded, reference="adapter:other"))
    assert reference == pytest.approx(by_hand(other), rel=1e-5)


@pytest.mark.parametrize("init", CHANGES_BASE)
def test_an_adapter_that_changed_its_base_goes_on_from_where_it_is(run, adapter, by_hand, init):
    folder = adapter(init_lora_weights=init)
    result = run(model=folder)
    assert result.history[0]["loss"] == pytest.approx(math.log(2), rel=1e-6)
    assert means(result)[0] == pytest.approx(by_hand(folder), rel=1e-5)
    assert by_hand(str(result.output_dir)) == pytest.approx(means(result)[0], rel=1e-5)


def test_a_base_that_is_not_made_again_is_refused(adapter):
    """PEFT draws this beginning anew whenever it loads the adapter."""
    with pytest.raises(InputError, match=r"does not make again.*init_lora_weights=pissa_niter_4"):
        load_model(adapter(init_lora_weights="pissa_niter_4"))


@pytest.mark.parametrize("init", CHANGES_BASE)
@pytest.mark.parametrize("side", ["policy", "reference", "off"])
def test_a_base_that_an_adapter_changed_is_no_references_base(run, adapter, init, side):
    changed, plain = adapter(init_lora_weights=init), adapter(seed=2)
    model, reference = {"policy": (changed, f"adapter:{plain}"), "off": (changed, "adapter-off")}.get(
        side, (plain, f"adapter:{changed}")
    )
    with pytest.raises(InputError, match=f"changes its base.*init_lora_weights={init}"):
        run(model=model, reference=reference)


@pytest.mark.parametrize("learns", [False, True])
def test_tokens_of_their_own_in_one_of_two_adapters(run, adapter, learns):
    """PEFT could not save the one that learns, at the end of the run."""
    one, other = adapter(), adapter(seed=2, trainable_token_indices=[5, 6])
    model, reference = (other, one) if learns else (one, other)
    with pytest.raises(InputError, match="differ in trainable_token_indices"):
        run(model=model, reference=f"adapter:{reference}")


def test_tokens_of_their_own_in_both_adapters(run, adapter, by_hand):
    one, other = (adapter(seed=seed, trainable_token_indices=[5, 6]) for seed in (1, 2))
    policy, reference = means(run(model=one, reference=f"adapter:{other}"))
    assert policy == pytest.approx(by_hand(one), rel=1e-5)
    assert reference == pytest.approx(by_hand(other), rel=1e-5)


def test_biases_that_learn_in_the_base_are_no_references_base(run, tiny_model_folder):
    loaded = load_model(str(tiny_model_folder))
    model = get_peft_model(loaded.model, LoraConfig(r=4, bias="all", task_type="CAUSAL_LM"))
    with pytest.raises(InputError, match=r"changes its base.*bias=all"):
        run(model=penchant.models.LoadedModel(model, loaded.tokenizer, "one in memory", "memory"))


def test_a_reference_adapter_whose_weights_are_not_all_there_is_refused(run, adapter, tmp_path):
    from safetensors.torch import load_file, save_file

    file = f"{(folder := adapter())}/adapter_model.safetensors"
    weights = load_file(file)
    weights.pop(next(iter(weights)))
    save_file(weights, file)
    with pytest.raises(InputError, match="not those of its settings"):
        run(reference=f"adapter:{folder}")


@pytest.mark.parametrize(
    ("config", "options"), [(LoHaConfig, {"target_modules": ["q_proj"]}), (VeraConfig, {"target_modules": ["q_proj"]})]
)
def test_only_lora_goes_on_learning(run, adapter, config, options):
    with pytest.raises(InputError, match="only a LoRA adapter can go on learning"):
        run(model=adapter(config=config, **options))


class Keeps(TrainerCallback):
    """Keeps what the policy computes when the first step begins and ends."""

    def __init__(self):
        self.seen = []

    def on_step_begin(self, args, state, control, model=None, **_):
        self.seen.append(logits(model))

    on_step_end = on_step_begin


def logits(model):
    with torch.no_grad():
        return model.eval()(torch.tensor([[265, 16, 288, 262, 335, 16]])).logits  # words of the answers


@pytest.mark.parametrize("kind", ["plain", "dora", "head", "embedding", "tokens", "lora-head"])
def test_a_soft_move_ends_at_the_policy_of_any_kind(run, adapter, kind):
    """With nearly all of its share the reference is the policy after the step, which is not the one before."""
    options = {"tokens": {"trainable_token_indices": [262, 265, 288]}} | KINDS
    settings = {"reference_every": 1, "reference_mix": 1 - 1e-9, "learning_rate": 2e-2, "callbacks": [keeps := Keeps()]}
    result = run(model=adapter(**options[kind]), **settings)
    before, after = keeps.seen
    torch.testing.assert_close(logits(result.reference.model), after, rtol=1e-4, atol=1e-4)
    assert (after - before).abs().max() > 0.05


def test_what_has_no_mean_is_refused(run, adapter, tiny_tokenizer, tmp_path):
    with pytest.raises(InputError, match=r"no mean of the policy's adapter.*no bias"):
        run(model=adapter(lora_bias=True), reference_every=1, reference_mix=0.5)
    name = str(tmp_path / "tied")
    tiny_llama(len(tiny_tokenizer), tie_word_embeddings=True).save_pretrained(name)
    tiny_tokenizer.save_pretrained(name)
    with pytest.raises(InputError, match="two layers that share their weight"):
        run(model=name, lora_target_modules="q_proj,lm_head", reference_every=1, reference_mix=0.5)
