"""``score``, ``evaluate`` and ``sample`` as a user meets them."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from tests_support import pair_rows, write_jsonl

import penchant
from penchant.cli import main


def run(capsys, *arguments):
    """Exit code, standard output, standard error."""
    try:
        main(list(arguments))
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def table(tmp_path):
    row = {"logps/chosen": -9.0, "logps/rejected": -9.5, "ref_logps/chosen": -9.5, "ref_logps/rejected": -9.0}
    return write_jsonl(tmp_path / "t.jsonl", [row, row | {"logps/chosen": -12.0}])


def test_score_says_what_it_computed_and_what_it_could_not(capsys, table):
    code, out, _ = run(capsys, "score", str(table), "--method", "all")
    assert code == 0
    assert "logps/chosen is policy_chosen_logps" in out
    assert "not computed: simpo needs chosen_lengths, rejected_lengths" in out
    code, out, _ = run(capsys, "score", str(table), "--beta", "0.5", "--json")
    (one,) = json.loads(out)["scores"]
    assert one["constants"]["beta"] == 0.5
    assert one["margins"]["value"] == pytest.approx(0.5 * (1.0 - 2.0) / 2)


def test_scores_tables_and_rules_load_no_torch(table):
    program = "import sys\nfrom penchant.cli import main\nmain(sys.argv[1:])\nassert 'torch' not in sys.modules\n"
    folder = table.parent
    (folder / "rule.py").write_text("def rate(prompt, answer): return len(answer)\n")
    answers = write_jsonl(folder / "a.jsonl", [{"prompt": "q", "completion": "a"}, {"prompt": "q", "completion": "bb"}])
    rule = ["--rule", f"{folder}/rule.py:rate", "--cache", str(folder)]
    for arguments in (
        ["score", str(table)],
        ["evaluate", "--table", str(table)],
        ["judge", str(answers), "--output", str(folder / "o.jsonl"), *rule],
    ):
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_evaluate_two_tables_says_no_difference_shown(capsys, table):
    code, out, _ = run(capsys, "evaluate", "--table", str(table), str(table))
    assert code == 0
    assert "no difference shown" in out


def test_means_per_token_are_remarked_upon(capsys, tmp_path):
    row = {"policy_chosen_logps": -1.5, "policy_rejected_logps": -1.25, "ref_chosen_logps": -1.5}
    row |= {"ref_rejected_logps": -1.5, "chosen_lengths": 90, "rejected_lengths": 120}
    table = str(write_jsonl(tmp_path / "t.jsonl", [row] * 3))
    words = "remark: policy_chosen_logps: 0.0167 nats per token"
    assert words in run(capsys, "score", table)[1]
    code, out, err = run(capsys, "evaluate", "--table", table, "--json")
    assert code == 0 and "policy_chosen_logps: 0.0167 nats per token" in err and json.loads(out)


def test_evaluate_a_model(capsys, tmp_path, tiny_model_folder):
    data = write_jsonl(tmp_path / "p.jsonl", pair_rows(6))
    model = str(tiny_model_folder)
    code, out, _ = run(capsys, "evaluate", "--model", model, "--reference", model, "--data", str(data), "--json")
    (one,) = json.loads(out)["checkpoints"]
    assert (code, one["pairs"], one["accuracy"]["value"]) == (0, 6, 0.5)
    assert one["kl"]["value"] == pytest.approx(0, abs=1e-8)


def test_sample_writes_answers(capsys, tmp_path, tiny_model_folder):
    prompts = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "Why?"}])
    arguments = ["--model", str(tiny_model_folder), "--prompts", str(prompts), "--output", str(tmp_path / "o.jsonl")]
    code, out, _ = run(capsys, "sample", *arguments, "--samples", "3", "--max-new-tokens", "4")
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert (code, [row["sample"] for row in rows]) == (0, [0, 1, 2])
    assert "3 answers" in out


def test_vllm_is_refused_in_words(capsys, tmp_path, tiny_model_folder):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/adapter_config.json").write_text("{}")
    prompts = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "Why?"}])
    wanted = {str(tmp_path / "a"): "no adapters"}
    if importlib.util.find_spec("vllm") is None:
        wanted[str(tiny_model_folder)] = "vLLM is not installed"
    for model, words in wanted.items():
        arguments = ["--model", model, "--prompts", str(prompts), "--output", str(tmp_path / "o.jsonl")]
        code, _, err = run(capsys, "sample", *arguments, "--engine", "vllm")
        assert (code, err.count("\n")) == (2, 1)
        assert words in err


def vllm_stand_in(drawn):
    """A module with the part of vLLM's interface that is used, by its names; it answers by the prompt's length."""

    @dataclass
    class SamplingParams:
        temperature: float = 1.0
        top_p: float = 1.0
        max_tokens: int = 16
        seed: int | None = None
        stop_token_ids: list[int] | None = None

    class LLM:
        def __init__(self, model, *, seed=0, dtype="auto", trust_remote_code=False, generation_config="auto"):
            assert (dtype, trust_remote_code, generation_config) == ("bfloat16", False, "vllm")
            self.model = model

        def generate(self, prompts, sampling_params):
            assert all(set(prompt) == {"prompt_token_ids"} for prompt in prompts)
            drawn.append([one.seed for one in sampling_params])
            return [self.answer(*both) for both in zip(prompts, sampling_params, strict=True)]

        def answer(self, prompt, how):
            ended = how.seed % 2 == 0
            text = f" {len(prompt['prompt_token_ids'])} under {how.seed} "
            output = SimpleNamespace(text=text, token_ids=[5] * 3 + how.stop_token_ids * ended)
            output.finish_reason = "stop" if ended else "length"
            return SimpleNamespace(outputs=[output])

    return SimpleNamespace(LLM=LLM, SamplingParams=SamplingParams)


def test_vllm_draws_with_a_seed_for_each_answer_and_goes_on(capsys, tmp_path, monkeypatch, tiny_model_folder):
    drawn = []
    monkeypatch.setitem(sys.modules, "vllm", vllm_stand_in(drawn))
    prompts = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "Why?"}, {"prompt": "Why is that so?"}])
    output = tmp_path / "o.jsonl"
    arguments = ["--model", str(tiny_model_folder), "--prompts", str(prompts), "--output", str(output)]
    arguments += ["--samples", "3", "--max-new-tokens", "4", "--batch-size", "2", "--dtype", "bfloat16"]
    code, _, err = run(capsys, "sample", *arguments, "--engine", "vllm")
    assert code == 0, err
    whole = output.read_text()
    rows = [json.loads(line) for line in whole.splitlines()]
    seeds = [seed for batch in drawn for seed in batch]
    assert len(rows) == len(set(seeds)) == 6 and [len(batch) for batch in drawn] == [2, 2, 2]
    for row, seed in zip(rows, seeds, strict=True):
        assert row["completion"].endswith(f"under {seed}")
        assert (row["ended"], row["tokens"]) == (seed % 2 == 0, 4 if seed % 2 == 0 else 3)
    output.write_text("".join(whole.splitlines(keepends=True)[:2]) + whole.splitlines()[2][:20])
    assert run(capsys, "sample", *arguments, "--engine", "vllm")[0] == 0
    assert output.read_text() == whole and len(drawn) == 5


def test_a_vllm_that_does_not_load_is_said_so(capsys, tmp_path, monkeypatch, tiny_model_folder):
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace())
    prompts = write_jsonl(tmp_path / "p.jsonl", [{"prompt": "Why?"}])
    arguments = ["--model", str(tiny_model_folder), "--prompts", str(prompts), "--output", str(tmp_path / "o.jsonl")]
    code, _, err = run(capsys, "sample", *arguments, "--engine", "vllm")
    assert code == 2 and "vLLM cannot be loaded: cannot import name" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score", "none.csv"], "none.csv: no such file"),
        (["evaluate"], "--model is missing"),
        (["evaluate", "--table", "t.csv", "--model", "m"], "--model and --table are both given"),
        (["evaluate", "--table", "t.csv", "--max-length", "9"], "--max-length and --table are both given"),
        (["evaluate", "--table", "t.csv", "--no-kl"], "--no-kl and --table are both given"),
        (["evaluate", "--table", "t.csv", "--dtype", "bfloat16"], "--dtype and --table are both given"),
        (["sample", "--model", "m", "--prompts", "none.jsonl", "--output", "o.jsonl"], "none.jsonl: no such file"),
        (["sample", "--model", "m", "--prompts", "p", "--output", "o", "--engine", "vlm"], "Did you mean 'vllm'?"),
    ],
)
def test_mistakes_cost_one_line(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_adapters_are_evaluated_against_their_base_in_one_pass(capsys, tmp_path, tiny_model_folder):
    """Two adapters trained for a step, one of them hard: both find the base, and only one has moved."""
    data = write_jsonl(tmp_path / "p.jsonl", pair_rows(12))
    runs = {"still": "1e-9", "moved": "3e-2"}
    for name, rate in runs.items():
        options = ["--output-dir", str(tmp_path / name), "--learning-rate", rate, "--max-steps", "2"]
        code, _, err = run(capsys, "train", "--model", str(tiny_model_folder), "--data", str(data), *options)
        assert code == 0, err
    folders = [str(tmp_path / name) for name in runs]
    code, out, err = run(capsys, "evaluate", "--model", *folders, "--data", str(data), "--json")
    assert code == 0, err
    still, moved = json.loads(out)["checkpoints"]
    assert still["margins"]["value"] == pytest.approx(0, abs=1e-4)
    assert moved["kl"]["value"] > 100 * abs(still["kl"]["value"])
    assert abs(moved["margins"]["value"]) > 10 * abs(still["margins"]["value"])
    (test,) = json.loads(out)["paired_tests"]
    assert (test["first"], test["second"]) == tuple(folders)
    rewards, kl = by_hand(tiny_model_folder, folders[1], pair_rows(12))
    margins = rewards[:, 0] - rewards[:, 1]
    chance = 1 / (1 + np.exp(-margins))
    wanted = {"accuracy": (margins > 0).mean(), "margins": margins.mean(), "kl": kl}
    wanted |= {"rewards_chosen": rewards[:, 0].mean(), "rewards_rejected": rewards[:, 1].mean()}
    found = moved | moved["calibration"]
    wanted |= {"brier": ((1 - chance) ** 2).mean(), "log_loss": -np.log(chance).mean()}
    for name, value in wanted.items():
        assert found[name]["value"] == pytest.approx(value, rel=1e-4, abs=1e-5), name
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    assert sum(one["n"] for one in found["bins"]) == 12
    assert test["margin_difference"]["value"] == pytest.approx(moved["margins"]["value"] - still["margins"]["value"])


def by_hand(base, adapter, rows):
    """DPO's rewards of each pair from two plain models, shape (pairs, 2), and the mean KL per token of the pairs."""
    import torch

    from penchant.models import load_model

    policy, reference = (load_model(str(name), dtype="float32") for name in (adapter, base))
    tokenizer, rewards, kls = reference.tokenizer, [], []
    for row in rows:
        turns = [{"role": "user", "content": row["prompt"]}]
        head = tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
        spread = []
        for side in ("chosen", "rejected"):
            ids = torch.tensor([head + tokenizer(row[side] + "<|im_end|>", add_special_tokens=False)["input_ids"]])
            with torch.no_grad():
                both = [one.model.eval()(ids).logits[0, len(head) - 1 : -1].double().log_softmax(-1)
                        for one in (policy, reference)]  # fmt: skip
            ratio = both[0] - both[1]
            rewards.append(0.1 * float(ratio.gather(1, ids[0, len(head) :, None]).sum()))
            spread.append((both[0].exp() * ratio).sum(-1))
        kls.append(float(torch.cat(spread).mean()))
    return np.array(rewards).reshape(-1, 2), float(np.mean(kls))


@pytest.fixture
def run_folder(tmp_path, tiny_model_folder):
    """A short run with rewards per token and a beta of its own."""
    data = str(write_jsonl(tmp_path / "train.jsonl", pair_rows(8)))
    options = {"beta": 3.0, "length_normalize": True, "max_steps": 2, "learning_rate": 0.05, "use_cpu": True}
    options |= {"save_steps": 1, "report": False}
    penchant.train(model=str(tiny_model_folder), data=data, method="dpo", output_dir=tmp_path / "run", **options)
    return tmp_path / "run"


def test_a_run_folder_is_measured_by_its_own_settings(capsys, tmp_path, run_folder):
    data = str(write_jsonl(tmp_path / "p.jsonl", pair_rows(6)))
    given = ["evaluate", "--model", str(run_folder), "--data", data, "--no-kl"]
    capsys.readouterr()
    code, out, _ = run(capsys, *given)
    assert code == 0 and "settings   method=dpo, beta=3.0, label_smoothing=0.0, length_normalize=True" in out
    margins = {}
    for name, words in {"own": [], "same": ["--method", "dpo", "--beta", "3", "--length-normalize"],
                        "sums": ["--method", "dpo", "--beta", "3"]}.items():  # fmt: skip
        _, out, _ = run(capsys, *given, *words, "--json")
        margins[name] = json.loads(out)["checkpoints"][0]["margins"]["value"]
    assert margins["own"] == margins["same"] and abs(margins["sums"]) > 3 * abs(margins["own"]) > 0
    given[2:3] = [str(run_folder / f"checkpoint-{step}") for step in (1, 2)]
    _, out, _ = run(capsys, *given, "--json")
    first, last = json.loads(out)["checkpoints"]
    assert last["margins"]["value"] == pytest.approx(margins["own"])
    assert first["margins"]["value"] != pytest.approx(margins["own"])
    answers = write_jsonl(tmp_path / "answers.jsonl", [{"prompt": "Why?", "completions": ["Because.", "It is so."]}])
    ratings, cache = tmp_path / "ratings.jsonl", ["--cache", str(tmp_path / "cache")]
    given = ["judge", str(answers), "--judge", f"implicit:{run_folder}", "--output", str(ratings), *cache]
    scores = []
    for words in ([], ["--method", "dpo", "--beta", "3"]):
        code, _, err = run(capsys, *given, *words)
        assert code == 0, err
        scores.append(json.loads(ratings.read_text())["scores"])
    assert abs(scores[1][0]) > 3 * abs(scores[0][0]) > 0, "per token as the run was trained, or the sum as asked"


def test_rewards_per_token_of_a_table_need_lengths(capsys, tmp_path):
    row = {"policy_chosen_logps": -10.0, "policy_rejected_logps": -12.0}
    row |= {"ref_chosen_logps": -14.0, "ref_rejected_logps": -10.0}
    bare = write_jsonl(tmp_path / "bare.jsonl", [row, row])
    code, _, err = run(capsys, "evaluate", "--table", str(bare), "--length-normalize")
    assert code == 2 and "chosen_lengths, which the table lacks" in err
    full = write_jsonl(tmp_path / "full.jsonl", [row | {"chosen_lengths": 4, "rejected_lengths": 8}] * 2)
    _, out, _ = run(capsys, "evaluate", "--table", str(full), "--length-normalize", "--json")
    assert json.loads(out)["checkpoints"][0]["margins"]["value"] == pytest.approx(0.1 * (4 / 4 + 2 / 8))
    code, _, err = run(capsys, "evaluate", "--table", str(full), "--method", "simpo", "--length-normalize")
    assert code == 2 and "counts tokens itself" in err
    code, out, _ = run(capsys, "score", str(full), "--length-normalize", "--json")
    assert json.loads(out)["scores"][0]["loss"]["value"] == pytest.approx(math.log1p(math.exp(-0.1 * (4 / 4 + 2 / 8))))
    code, _, err = run(capsys, "score", str(full), "--length-normalize", "--method", "simpo")
    assert code == 2 and "divides by their lengths itself" in err
    code, _, err = run(capsys, "score", str(bare), "--length-normalize")
    assert code == 2 and "needs chosen_lengths, rejected_lengths" in err


@pytest.mark.parametrize("option", [["--dtype", "float64"], ["--no-kl"]])
def test_what_a_store_settles_already_is_refused(tmp_path, capsys, option):
    arguments = ["evaluate", "--store", str(tmp_path), "--model", "a", "--data", "b.jsonl", *option]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "and --store are both given" in capsys.readouterr().err
