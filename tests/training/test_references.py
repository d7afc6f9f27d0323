"""The reference a run is compared with: what each word means, in numbers, and what a stop does not lose."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from tests_support import pair_rows, write_jsonl
from transformers import TrainerCallback

import penchant
from penchant.errors import InputError
from penchant.models import load_model
from penchant.training.stages import train_in_stages

FIRST = pytest.approx(math.log(2), rel=1e-6)
IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


@pytest.fixture
def run(tiny_model_folder, pairs_file, tmp_path):
    def run(folder="run", **options):
        settings = {"model": str(tiny_model_folder), "data": str(pairs_file), "batch_size": 8, "learning_rate": 5e-3}
        settings["report"] = False
        return penchant.train(**(settings | options), output_dir=tmp_path / folder, use_cpu=True)

    return run


@pytest.fixture(scope="module")
def sft(tiny_model_folder, tmp_path_factory):
    """An adapter that is far from its base; nobody writes to its folder."""
    folder = tmp_path_factory.mktemp("sft")
    data = str(write_jsonl(folder / "pairs.jsonl", pair_rows(24)))
    settings = {"batch_size": 8, "learning_rate": 5e-2, "num_train_epochs": 2, "use_cpu": True, "report": False}
    return str(
        penchant.train(model=str(tiny_model_folder), data=data, output_dir=folder / "run", **settings).output_dir
    )


def logits(model):
    with torch.no_grad():
        return model.eval()(IDS).logits


def stop_at(step):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = state.global_step >= step

    return Stop()


def test_going_on_from_an_adapter_keeps_it_as_the_reference(run, sft, tiny_model_folder, capsys):
    """Adapter off would be the raw base, which is far from the policy here."""
    start, base = load_model(sft).model, load_model(str(tiny_model_folder)).model
    far = (logits(start) - logits(base)).abs().max()
    result = run("dpo", model=sft, max_steps=1, learning_rate=1e-4)
    assert result.history[0]["loss"] == FIRST
    assert "reference  the adapter as it was before training" in capsys.readouterr().out
    after = load_model(str(result.output_dir)).model
    torch.testing.assert_close(logits(after), logits(result.model), rtol=1e-4, atol=1e-5)
    gap = (logits(after) - logits(start)).abs().max()
    assert 0 < gap < 0.5 * far, "one step from the adapter, not from the base"


def test_the_adapter_that_stands_still_is_not_saved(run, sft):
    result = run("dpo", model=sft, max_steps=2, save_steps=1)
    for folder in (result.output_dir, result.output_dir / "checkpoint-1"):
        assert not (folder / "reference").exists()
        assert "adapter_model.safetensors" in {path.name for path in folder.iterdir()}


def test_a_trainer_made_by_hand_falls_into_no_trap(sft, tiny_model_folder, tmp_path):
    """A trained PEFT model handed over as it is."""
    from penchant.data import read_preferences
    from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs
    from penchant.training import PreferenceConfig, PreferenceTrainer

    loaded = load_model(sft, merge=False)
    pairs = read_preferences(pair_rows(8), unpaired=False).rows
    rows = encode_pairs(pairs, PromptStyle.of(loaded.tokenizer, "auto"), EncodeSettings()).rows
    config = PreferenceConfig(output_dir=str(tmp_path / "out"), use_cpu=True)
    trainer = PreferenceTrainer(loaded.model, config, rows, processing_class=loaded.tokenizer)
    assert trainer.training_step(trainer.model, {"rows": rows}).item() == FIRST


def test_adapter_off_is_the_base_when_asked_for(run, sft, capsys):
    result = run("dpo", model=sft, reference="adapter-off", max_steps=1)
    assert result.history[0]["loss"] != FIRST
    assert "nats apart" in capsys.readouterr().out


def test_a_named_adapter(run, sft):
    same = run("same", model=sft, reference=f"adapter:{sft}", max_steps=1)
    assert same.history[0]["loss"] == FIRST
    other = run("other", reference=f"adapter:{sft}", max_steps=1)
    assert other.history[0]["loss"] != FIRST


@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
def test_another_model_as_the_reference(run, tiny_model_folder, sft, lora, capsys):
    same = run("same", reference=str(tiny_model_folder), lora=lora, max_steps=1)
    assert same.history[0]["loss"] == FIRST
    assert f"reference  a model of its own, {tiny_model_folder}" in capsys.readouterr().out
    assert run("other", reference=sft, lora=lora, max_steps=1).history[0]["loss"] != FIRST


def test_another_model_as_the_reference_keeps_no_dropout(run, tiny_tokenizer, tmp_path):
    """Packed rows refuse attention that drops out, which a reference never does."""
    from tests_support import tiny_llama

    name = str(tmp_path / "dropout")
    tiny_llama(len(tiny_tokenizer), attention_dropout=0.5).save_pretrained(name)
    tiny_tokenizer.save_pretrained(name)
    result = run(reference=name, engine="packed", max_steps=1)
    assert result.history[0]["loss"] == FIRST


@pytest.mark.slow
def test_another_kind_of_model_as_the_reference(run, tiny_tokenizer, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": len(tiny_tokenizer)}
    GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(tmp_path / "gpt2")
    tiny_tokenizer.save_pretrained(tmp_path / "gpt2")
    assert run(reference=str(tmp_path / "gpt2"), max_steps=1).history[0]["loss"] != FIRST


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_reference_is_near_the_model_and_smaller(run, tiny_tokenizer, tmp_path, bits, capsys):
    from tests_support import tiny_llama

    pytest.importorskip("bitsandbytes")
    wide, name = tiny_llama(len(tiny_tokenizer), hidden_size=128, intermediate_size=256), str(tmp_path / "wide")
    wide.save_pretrained(name)
    tiny_tokenizer.save_pretrained(name)
    result = run(model=name, reference=name, reference_bits=bits, max_steps=2)
    assert f"{bits}-bit" in capsys.readouterr().out
    assert result.history[0]["loss"] != FIRST, "what rounding does to the reference is seen"
    assert result.history[0]["loss"] == pytest.approx(math.log(2), abs=0.05)
    assert result.history[1]["rewards/margins"] > result.history[0]["rewards/margins"]
    quantised = result.reference.frozen
    assert quantised.get_memory_footprint() < 0.6 * wide.get_memory_footprint()
    assert quantised.lm_head.weight.dtype == torch.float32


def test_a_quantised_reference_without_its_library_is_one_line(run, tiny_model_folder, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None)
    with pytest.raises(InputError, match="needs bitsandbytes"):
        run(reference=str(tiny_model_folder), reference_bits=8)


@pytest.mark.slow
def test_a_store_of_another_model(run, sft, tmp_path):
    live = run("live", reference=sft, max_steps=2)
    kept = run("kept", reference=sft, reference_store=str(tmp_path / "store"), max_steps=2)
    again = run("word", reference=f"store:{tmp_path / 'own'}", max_steps=2)
    assert [line["loss"] for line in kept.history[:2]] == pytest.approx(
        [line["loss"] for line in live.history[:2]], rel=1e-5
    )
    assert again.history[0]["loss"] == FIRST


def test_none_compares_the_policys_own_log_probs(run):
    line = run(reference="none", max_steps=1).history[0]
    assert line["rewards/chosen"] == pytest.approx(0.1 * line["logps/chosen"], rel=1e-6)


@pytest.mark.parametrize(
    ("mix", "lora"),
    [(1.0, True), (0.6, False), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1.0, False), (0.6, True)))],
    ids=["hard-lora", "soft-full", "hard-full", "soft-lora"],
)
def test_a_moving_reference_is_where_its_rule_puts_it(run, tiny_model_folder, mix, lora):
    """Weights of policies at the moves, mixed by hand, against what the run's reference computes."""
    seen = []

    class Merged(TrainerCallback):
        def on_step_begin(self, args, state, control, model=None, **_):
            if state.global_step in (2, 4):
                whole = copy.deepcopy(model)
                if lora:
                    whole.delete_adapter("reference") if "reference" in whole.peft_config else None
                    whole = whole.merge_and_unload()
                seen.append(whole.state_dict())

    rate = 5e-3 if lora else 1e-3
    result = run(
        reference_every=2,
        reference_mix=mix,
        max_steps=5,
        lora=lora,
        learning_rate=rate,
        callbacks=[Merged()],
    )
    expected = load_model(str(tiny_model_folder)).model
    weights = expected.state_dict()
    for policy in seen:
        weights = {name: (1 - mix) * value + mix * policy[name] for name, value in weights.items()}
    expected.load_state_dict(weights)
    reference = result.reference
    if hasattr(reference, "adapter"):
        from penchant.logps.reference import _set

        with _set(result.model, "_active_adapter", [reference.adapter]):
            found = logits(result.model)
    else:
        found = logits(reference.model)
    torch.testing.assert_close(found, logits(expected), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, logits(result.model), atol=1e-4)


@pytest.mark.parametrize(
    ("mix", "lora"),
    [(1.0, True), (0.6, False), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1.0, False), (0.6, True)))],
    ids=["hard-lora", "soft-full", "hard-full", "soft-lora"],
)
def test_a_moving_reference_survives_a_stop(run, mix, lora):
    """Stopped after it moved: the initial policy would be another reference, and give other losses."""
    settings = {"reference_every": 2, "reference_mix": mix, "max_steps": 6, "lora": lora}
    whole = run("whole", **settings)
    still = run("still", **(settings | {"reference_every": 100}))
    run("parts", **settings, save_steps=3, callbacks=[stop_at(3)])
    resumed = run("parts", **settings, save_steps=3, resume=True)
    losses = [[line["loss"] for line in one.history if "loss" in line] for one in (whole, resumed, still)]
    assert losses[1] == losses[0]
    assert losses[2] != losses[0]


@pytest.mark.slow
def test_stages_take_the_model_before_as_start_and_reference(run, tiny_model_folder, tmp_path):
    parts = [str(write_jsonl(tmp_path / f"{i}.jsonl", pair_rows(24)[12 * i : 12 * i + 12])) for i in range(2)]
    options = {"batch_size": 6, "learning_rate": 5e-2, "use_cpu": True, "report": False}
    train_in_stages(model=str(tiny_model_folder), data=parts, output_dir=tmp_path / "sdpo", **options)
    one = run("one", data=parts[0], batch_size=6, learning_rate=5e-2)
    two = run("two", data=parts[1], model=str(one.output_dir), batch_size=6, learning_rate=5e-2)
    assert two.history[0]["loss"] == FIRST
    found = load_model(str(tmp_path / "sdpo" / "stage-2")).model
    assert torch.equal(logits(found), logits(load_model(str(two.output_dir)).model))
    again = train_in_stages(
        model=str(tiny_model_folder), data=parts, output_dir=tmp_path / "other", resume=True, **options
    )
    assert torch.equal(logits(again.model), logits(two.model))


def test_finished_stages_are_not_resumed(tmp_path):
    parts = [str(tmp_path / f"{number}.jsonl") for number in (1, 2)]
    for number in (1, 2):
        (tmp_path / "sdpo" / f"stage-{number}").mkdir(parents=True)
        (tmp_path / "sdpo" / f"stage-{number}" / "README.md").write_text("")
    with pytest.raises(InputError, match=r"all stages are finished.*The result is in .*stage-2"):
        train_in_stages(model="m", data=parts, output_dir=tmp_path / "sdpo", resume=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reference": "adapter:nowhere"}, "no such adapter"),
        ({"reference": "adapter:"}, "reference must be one of"),
        ({"reference": "./nowhere"}, "no such model"),
        ({"reference": "adapter-off", "lora": False}, "needs an adapter"),
        ({"reference": "none", "reference_store": "x"}, "not kept in a store"),
        ({"reference": "initial", "reference_bits": 4}, "only a reference that is a model of its own"),
        ({"reference": "org/model", "reference_bits": 3}, "must be 4 or 8"),
        ({"reference_mix": 0.5}, "no effect without reference_every"),
        ({"reference_every": 2, "reference_mix": 1.5}, "must be in (0, 1]"),
        ({"reference_every": 2, "reference_store": "x"}, "begins as the policy"),
        ({"method": "simpo", "reference": "adapter-off"}, "reference has no effect"),
    ],
)
def test_what_does_not_go_together_is_one_line(run, tmp_path, options, words):
    with pytest.raises(InputError) as error:
        run(**options)
    assert words in str(error.value)
    assert not (tmp_path / "run").exists()


def test_an_adapter_that_goes_on_keeps_its_shape(run, sft):
    with pytest.raises(InputError, match="lora_r is 16 in the adapter that goes on learning"):
        run("dpo", model=sft, lora_r=8)


def test_a_store_and_a_trained_adapter_do_not_go_together(run, sft, tmp_path):
    with pytest.raises(InputError, match="log-probs of a model without adapter"):
        run("dpo", model=sft, reference_store=str(tmp_path / "store"))
