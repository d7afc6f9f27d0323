"""``penchant.train`` end to end on a tiny model: run folder, resuming, evaluation, and bad input writing nothing."""

from __future__ import annotations

import json

import pytest
import torch
import yaml
from tests_support import labelled_rows, pair_rows, write_jsonl

import penchant
from penchant.errors import InputError
from penchant.objectives import METHODS
from penchant.report.read import read_run
from penchant.training.run_folder import check_same


@pytest.fixture
def run(tiny_model_folder, pairs_file, labelled_file, tmp_path):
    def run(method="dpo", folder="run", **options):
        data = pairs_file if METHODS[method].needs_pairs else labelled_file
        settings = {"batch_size": 8, "learning_rate": 5e-3, "use_cpu": True, "report": False} | options
        return penchant.train(
            **({"model": str(tiny_model_folder), "data": str(data), "method": method} | settings),
            output_dir=tmp_path / folder,
        )

    return run


@pytest.mark.parametrize(
    ("method", "lora"),
    [
        ("dpo", True),
        ("dpo", False),
        ("kto", True),
        ("simpo", False),
        ("orpo", True),
        *(
            pytest.param(method, lora, marks=pytest.mark.slow)
            for method, lora in [("ipo", True), ("ipo", False), ("kto", False), ("simpo", True), ("orpo", False)]
        ),
    ],
)
def test_a_run_lowers_its_loss_and_leaves_a_folder(run, method, lora, tmp_path):
    result = run(method, lora=lora, num_train_epochs=3, learning_rate=5e-3 if lora else 3e-4)
    losses = [line["loss"] for line in result.history if "loss" in line]
    assert len(losses) == 9
    assert min(losses[-3:]) < losses[0]
    files = {path.name for path in result.output_dir.iterdir()}
    weights = {"adapter_model.safetensors", "adapter_config.json"} if lora else {"model.safetensors", "config.json"}
    assert weights | {"config.yaml", "environment.json", "log.jsonl", "README.md", "tokenizer.json"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl", ".pth"))]
    logged = [json.loads(line) for line in (result.output_dir / "log.jsonl").read_text().splitlines()]
    names = {"loss", "grad_norm", "learning_rate", "rewards/chosen", "rewards/rejected", "rewards/margins"}
    extra = {"kl"} if method == "kto" else {"rewards/accuracies", "nll_loss"}
    assert names | extra | {"logps/chosen", "logps/rejected"} <= set(logged[0])
    config = yaml.safe_load((result.output_dir / "config.yaml").read_text())
    assert config["method"] == method
    for name, value in METHODS[method].constants.items():
        assert config[name.rstrip("_")] == value
    card = (result.output_dir / "README.md").read_text()
    assert METHODS[method].paper.link in card
    assert str(config["data"]) in card


def test_the_best_checkpoint_has_its_own_numbers(run, pairs_file):
    """A learning rate that ruins the model: the best weights are the first evaluated ones."""
    options = {"eval_data": str(pairs_file), "eval_steps": 1, "save_steps": 1, "load_best_model_at_end": True}
    result = run(max_steps=3, learning_rate=0.5, lr_scheduler_type="constant", report=True, **options)
    lines = {line["step"]: line["eval_loss"] for line in result.history if "eval_loss" in line}
    best = min(lines, key=lines.__getitem__)
    assert best < max(lines)
    assert result.metrics["eval_loss"] == lines[best]
    assert f"**held-out loss**: {lines[best]:.4f}" in (result.output_dir / "README.md").read_text()
    kept = read_run(result.output_dir).rows
    again = penchant.train(
        model=str(result.output_dir),
        data=str(pairs_file),
        eval_data=str(pairs_file),
        reference="adapter-off",
        max_steps=1,
        learning_rate=1e-12,
        use_cpu=True,
        output_dir=result.output_dir.parent / "again",
    )
    for one, other in zip(kept, read_run(again.output_dir).rows, strict=True):
        assert one.after == pytest.approx(other.after, abs=1e-3)


def test_saved_adapter_gives_the_trained_model_back(run, tiny_model_folder):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    result = run(num_train_epochs=2)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    loaded = PeftModel.from_pretrained(base, str(result.output_dir))
    ids = torch.tensor([[5, 6, 7, 8]])
    torch.testing.assert_close(loaded(ids).logits, result.model(ids).logits, rtol=1e-5, atol=1e-6)
    with loaded.disable_adapter():
        assert not torch.allclose(loaded(ids).logits, result.model(ids).logits, atol=1e-4)


def test_continuing_from_an_adapter_starts_at_its_sum(run, tmp_path):
    first = run(num_train_epochs=2)
    second = run(folder="second", model=str(first.output_dir), max_steps=1)
    assert second.history[0]["loss"] == pytest.approx(0.6931472, rel=1e-6)
    assert second.history[0]["logps/chosen"] != pytest.approx(first.history[0]["logps/chosen"], rel=1e-3)


def test_resuming_gives_the_uninterrupted_run(run):
    whole = run(folder="whole", max_steps=6)
    run(folder="parts", max_steps=6, save_steps=3, callbacks=[StopAt(3)])
    resumed = run(folder="parts", max_steps=6, save_steps=3, resume=True)
    ids = torch.tensor([[5, 6, 7, 8]])
    torch.testing.assert_close(resumed.model(ids).logits, whole.model(ids).logits, rtol=1e-5, atol=1e-6)


def StopAt(step):
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = state.global_step >= step

    return Stop()


def test_a_resumed_run_may_not_become_another(run):
    run(folder="parts", max_steps=6, save_steps=3, callbacks=[StopAt(3)])
    before = (run(folder="other", max_steps=1).output_dir.parent / "parts" / "config.yaml").read_text()
    for change in ({"beta": 0.9}, {"method": "ipo"}, {"batch_size": 4}, {"lora_r": 4}):
        with pytest.raises(InputError, match=f"{next(iter(change))} differs from the run that is resumed"):
            run(**({"folder": "parts", "max_steps": 6, "resume": True} | change))
    result = run(folder="parts", max_steps=6, resume=True)
    assert (result.output_dir / "config.yaml").read_text() == before
    steps = [json.loads(line)["step"] for line in (result.output_dir / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps.count(4) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"optim": "sgd"},
        {"lr_scheduler_type": "linear"},
        {"warmup_steps": 0},
        {"weight_decay": 0.1},
        {"adam_beta2": 0.9},
        {"max_grad_norm": 0.1},
        {"data_seed": 3},
        {"train_sampling_strategy": "sequential"},
        {"disable_dropout": False},
        {"dataloader_drop_last": True},
    ],
)
def test_a_resumed_run_keeps_its_optimiser_schedule_and_order(begun, change):
    for before, after in ((change, {}), ({}, change)):
        with pytest.raises(InputError, match=f"^.*{next(iter(change))} differs from the run that is resumed"):
            check_same(begun(before), after)
    check_same(begun(change), change)


@pytest.fixture
def begun(tmp_path):
    """A run folder that holds options."""

    def begun(options):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(options))
        return tmp_path

    return begun


def test_a_run_that_goes_further_says_so_in_its_config(run):
    first = run(folder="parts", num_train_epochs=1, save_steps=3)
    before = yaml.safe_load((first.output_dir / "config.yaml").read_text())
    assert before["num_train_epochs"] == 1
    for further in ({"num_train_epochs": 2}, {"max_steps": 7}):
        run(folder="parts", save_steps=3, resume=True, **further)
        after = yaml.safe_load((first.output_dir / "config.yaml").read_text())
        assert after == before | {"num_train_epochs": 1} | further


def test_a_run_resumed_at_its_end_logs_no_loss_of_no_steps(run):
    run(folder="parts", max_steps=2, save_steps=2)
    result = run(folder="parts", max_steps=2, save_steps=2, resume=True)
    lines = (result.output_dir / "log.jsonl").read_text().splitlines()
    assert "Infinity" not in "".join(lines)
    assert "train_runtime" in json.loads(lines[-1])


def test_a_run_of_an_earlier_version_goes_on_with_the_defaults_of_what_came_later(run):
    config = run(folder="parts", max_steps=2, save_steps=1, callbacks=[StopAt(1)]).output_dir / "config.yaml"
    written = config.read_text()
    config.write_text(written.replace("turns: last\n", "").replace("length_normalize: false\n", ""))
    assert len(config.read_text().splitlines()) == len(written.splitlines()) - 2
    with pytest.raises(InputError, match="length_normalize differs from the run that is resumed"):
        run(folder="parts", max_steps=2, resume=True, length_normalize=True)
    run(folder="parts", max_steps=2, resume=True)


def test_a_runs_own_config_makes_it_again(run, tmp_path):
    from penchant.cli.options import read_config

    first = run("simpo", gamma=1.5, max_steps=2, lr_scheduler_type="linear")
    options = read_config(first.output_dir / "config.yaml")
    second = penchant.train(**options, output_dir=tmp_path / "again")
    losses = [[line["loss"] for line in result.history if "loss" in line] for result in (first, second)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_one_step_trains_something(run):
    result = run(max_steps=1)
    assert result.history[0]["learning_rate"] > 0
    moved = [p for name, p in result.model.named_parameters() if "lora_B" in name]
    assert all(p.abs().max() > 0 for p in moved)


def test_answers_of_one_kind_are_pointed_out(run, tmp_path, capsys):
    rows = [row | {"label": True} for row in labelled_rows(8)]
    run("kto", data=str(write_jsonl(tmp_path / "good.jsonl", rows)))
    assert "every answer is desirable" in capsys.readouterr().out


def test_evaluation_reaches_the_console(run, capsys):
    run(eval_split=0.25)
    assert "evaluated  at step 3  loss" in capsys.readouterr().out


def test_rows_that_training_drops_are_evaluated(run, tmp_path):
    held_out = str(write_jsonl(tmp_path / "held-out.jsonl", pair_rows(7)))
    given = {"eval_data": held_out, "max_steps": 1}
    found = [
        run(folder=f"drop-{drop}", dataloader_drop_last=drop, **given).metrics["eval_loss"] for drop in (True, False)
    ]
    assert found[0] == found[1]


def test_merged_adapter_trains_in_full(run):
    first = run(max_steps=2)
    assert run(folder="second", model=str(first.output_dir), lora=False, max_steps=2).history


def test_evaluation_rows_are_set_aside_by_prompt(run):
    result = run(eval_split=0.25)
    assert result.metrics["eval_rewards/accuracies"] >= 0
    steps = [line for line in result.history if "loss" in line]
    assert len(steps) == 3, "18 of 24 pairs are left for training"


def test_every_method_reads_shareable_rows_from_python(run):
    assert run(data=pair_rows(16)).history


def test_pairs_are_split_for_kto(run, pairs_file):
    assert "kl" in run("kto", data=str(pairs_file)).history[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "dop"}, "Did you mean 'dpo'"),
        ({"data": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"model": "./nowhere"}, "no such model"),
        ({"beta": -1}, "'beta' must be a number > 0"),
        ({"max_length": 5}, "no rows left"),
        ({"batch_sise": 4}, "Did you mean 'batch_size'"),
        ({"eval_split": 1.5}, "eval_split must be in"),
        ({"eval_steps": 5}, "no evaluation data"),
        ({"lora_target_modules": "nothing_like_it"}, "no such layer"),
        ({"dtype": "int8"}, "no dtype 'int8'"),
        ({"resume": True}, "no checkpoint to resume"),
        ({"resume": "last"}, "resume must be true or false"),
        ({"eval_split": 0.5, "eval_data": "x.jsonl"}, "both eval_data and eval_split"),
        ({"learning_rate": "1e-4"}, "learning_rate must be a number"),
        ({"max_steps": 1.5}, "max_steps must be a whole number"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"num_train_epochs": 0}, "num_train_epochs must be above 0"),
        ({"logging_steps": 0}, "logging_steps must be above 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"weight_decay": "abc"}, "weight_decay must be a number"),
        ({"lora": "no"}, "lora must be true or false"),
        ({"lora": False, "lora_r": 4}, "lora_r has no effect without an adapter"),
        ({"lora_target_modules": "q_proj,zzz"}, "no such layer"),
        ({"lr_scheduler_type": "nonsense"}, "transformers refuses the settings"),
        ({"optim": "nonsense"}, "transformers refuses the settings"),
        ({"eval_strategy": "foo"}, "no evaluation data"),
        ({"report_to": "nonsense"}, "the trainer cannot be set up"),
        ({"dataloader_drop_last": True, "batch_size": 100}, "fewer rows than one batch"),
        ({"constants": 5}, "constants must map"),
        ({"modle": "x"}, "Did you mean 'model'"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run, tmp_path, options, words):
    options = dict(options)
    method = options.pop("method", "dpo")
    with pytest.raises(InputError) as error:
        if method in METHODS:
            run(method, **options)
        else:
            penchant.train(model="m", data="d", method=method, output_dir=tmp_path / "run")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_left_alone(run, tmp_path):
    run()
    before = (tmp_path / "run" / "log.jsonl").read_text()
    with pytest.raises(InputError, match="already holds a run"):
        run()
    assert (tmp_path / "run" / "log.jsonl").read_text() == before


def test_model_folder_without_weights(run, tiny_model_folder, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text((tiny_model_folder / "config.json").read_text())
    with pytest.raises(InputError, match="the model folder has no weights"):
        run(model=str(bare))


@pytest.fixture
def opt_folder(tiny_tokenizer, tmp_path):
    """OPT drops out inside its forward pass, by a rate that no layer holds."""
    from transformers import OPTConfig, OPTForCausalLM

    folder = tmp_path / "opt"
    sizes = {"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    settings = {"word_embed_proj_dim": 32, "dropout": 0.5, "attention_dropout": 0.5, "init_std": 0.2}
    OPTForCausalLM(OPTConfig(vocab_size=len(tiny_tokenizer), **sizes, **settings)).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


def test_functional_dropout_is_switched_off(run, opt_folder):
    assert run(model=str(opt_folder), max_steps=1).history[0]["loss"] == pytest.approx(0.6931472, rel=1e-6)


def test_dropout_that_is_wanted_is_caught_before_the_first_step(run, opt_folder):
    with pytest.raises(InputError, match="disagree before the first step"):
        run(model=str(opt_folder), disable_dropout=False)


@pytest.fixture
def falcon_folder(tiny_tokenizer, tmp_path):
    """Falcon drops out by a rate that it reads from its settings in the forward pass."""
    from transformers import FalconConfig, FalconForCausalLM

    folder = tmp_path / "falcon"
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": len(tiny_tokenizer)}
    FalconForCausalLM(FalconConfig(hidden_dropout=0.2, **sizes)).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("options", [{"method": "simpo"}, {"reference": "falcon"}, {"reference": "none"}])
def test_dropout_that_no_layer_holds_is_caught_without_a_reference_like_the_policy(run, falcon_folder, options):
    if options.get("reference") == "falcon":
        options = {"reference": str(falcon_folder)}
    with pytest.raises(InputError, match="other log-probs each time"):
        run(model=str(falcon_folder), lora_target_modules="query_key_value", **options)


def test_dropout_that_is_wanted_trains_without_a_reference(run, opt_folder):
    run(model=str(opt_folder), method="simpo", disable_dropout=False, max_steps=1)


def test_a_store_is_filled_without_dropout(falcon_folder):
    from penchant.logps import Engine
    from penchant.models import load_model
    from penchant.training.stored import computed

    model = load_model(str(falcon_folder)).model.train()
    first, again = (list(computed(model, Engine(), [([5, 6], [[7, 8, 9]])], "cpu", 64)) for _ in range(2))
    assert first == again


def test_weights_that_are_missing_are_an_error(run, tiny_model_folder, tmp_path):
    import shutil

    deeper = tmp_path / "deeper"
    shutil.copytree(tiny_model_folder, deeper)
    config = json.loads((deeper / "config.json").read_text())
    (deeper / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(InputError, match="weights are not in its files"):
        run(model=str(deeper))


def test_corrupt_weights_are_one_line(run, tiny_model_folder, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny_model_folder, broken)
    (broken / "model.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(InputError, match="cannot load model"):
        run(model=str(broken))


def test_real_layouts_train(run, tmp_path):
    rows = [
        {
            "conversations": [{"from": "human", "value": row["prompt"]}],
            "chosen": {"from": "gpt", "value": row["chosen"]},
            "rejected": {"from": "gpt", "value": row["rejected"]},
        }
        for row in pair_rows(16)
    ]
    assert run(data=str(write_jsonl(tmp_path / "share.jsonl", rows))).history


def test_memory_keeps_the_last_log_lines_and_the_file_all(tmp_path):
    from types import SimpleNamespace

    from penchant.training.run_folder import KEPT_LINES, JsonLog

    state = SimpleNamespace(is_world_process_zero=True, global_step=0, log_history=[])
    log = JsonLog(tmp_path)
    for state.global_step in range(KEPT_LINES + 5):
        state.log_history.append({"step": state.global_step})
        log.on_log(None, state, None, logs={"loss": 1.0})
    assert [state.log_history[0]["step"], len(state.log_history)] == [5, KEPT_LINES]
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == KEPT_LINES + 5


def test_what_prompts_begin_with_is_read_once_and_a_budget_too_small_for_that_is_said(run, tmp_path, capsys):
    """One run whose micro-batches hold all eight rows, one whose rows go alone: the same losses."""
    data = write_jsonl(
        tmp_path / "system.jsonl", [row | {"prompt": "Be brief. " * 30 + row["prompt"]} for row in pair_rows(8)]
    )
    losses = []
    for tokens, words in ((4096, "computed once a micro-batch\n"), (200, "of 200 tokens here: a row alone, mostly")):
        result = run(data=data, folder=f"of {tokens}", micro_batch_tokens=tokens, max_steps=2)
        (line,) = [line for line in capsys.readouterr().out.splitlines(True) if line.startswith("prompts")]
        assert "; all begin with the same " in line and words in line
        losses.append([line["loss"] for line in result.history if "loss" in line])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
