"""Two processes make the same update as one: the batch size counts pairs over all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from accelerate.data_loader import prepare_data_loader, skip_first_batches
from accelerate.state import GradientState
from safetensors.torch import load_file
from tests_support import gold_rows, labelled_rows, list_rows, pair_rows, token_weighted, write_jsonl
from torch.utils.data import DataLoader

import penchant
from penchant.objectives import METHODS
from penchant.records import TokenPair
from penchant.training.fillers import marked, weights_of

# one method for each set of inputs: what crosses processes depends on these alone
TRAINABLE = list({m.inputs: name for name, m in reversed(METHODS.items())}.values())

# the second epoch has another order; the budget cuts the two processes' shares into unlike numbers of micro-batches
COMMON = {"batch_size": 8, "max_steps": 5, "learning_rate": 5e-3, "micro_batch_tokens": 150}


def on_two(settings, folder):
    """A run of two processes that must end well."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    # not accelerate launch: with --cpu it runs one process, whatever --num_processes says
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "penchant", "train"]
    on_cpu = ["--use-cpu=true"] if torch.accelerator.is_available() else []  # chosen by itself where nothing else is
    done = subprocess.run(
        [sys.executable, *launch, *options, f"--output-dir={folder}", *on_cpu],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((folder / "environment.json").read_text())["processes"] == 2
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def data_of(tmp_path, tiny_tokenizer):
    """A file with so many rows of the kind that a method takes."""
    made = {"lists": list_rows, "answers": labelled_rows}
    made["pairs"] = lambda rows: token_weighted(gold_rows(rows), tiny_tokenizer)

    def write(method, rows, **others):
        return str(write_jsonl(tmp_path / "rows.jsonl", (made | others)[METHODS[method].data](rows)))

    return write


def check_weights(one, two, **tolerance):
    names = {"adapter_model.safetensors", "model.safetensors"}
    (name,) = names & {path.name for path in one.iterdir()}
    expected, found = load_file(one / name), load_file(two / name)
    assert expected.keys() == found.keys()
    for key, weight in expected.items():
        torch.testing.assert_close(found[key], weight, **tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "stored"), [*((method, False) for method in TRAINABLE), ("dpo", True), ("kto", True)]
)
def test_two_processes_equal_one(method, stored, tiny_model_folder, data_of, tmp_path):
    """With the reference live, and from a store that the two processes fill together."""
    settings = {"model": str(tiny_model_folder), "data": data_of(method, 24), "method": method} | COMMON
    one = penchant.train(**settings, output_dir=tmp_path / "one", use_cpu=True)
    if stored:
        settings["reference_store"] = str(tmp_path / "store")
    line = on_two(settings, tmp_path / "two")[0]
    check_weights(one.output_dir, tmp_path / "two", rtol=1e-3, atol=2e-5)
    for name in ("loss", "rewards/margins", "logps/chosen", "logps/rejected", "grad_norm"):
        assert line[name] == pytest.approx(one.history[0][name], rel=1e-4, abs=1e-6), name


@pytest.mark.slow
@pytest.mark.parametrize("rows", [21, 17])
@pytest.mark.parametrize("lora", ["true", "false"], ids=["lora", "full"])
@pytest.mark.parametrize("method", ["dpo", "kto", "plackett_luce", "dr_dpo", "bco"])
def test_a_last_step_that_does_not_divide(method, lora, rows, tiny_model_folder, data_of, tmp_path):
    """The last of three steps has 5 rows, 4 and 1 of them on either process; or 1 row, and one process has none."""
    data = data_of(method, rows, pairs=pair_rows)
    settings = {"model": str(tiny_model_folder), "data": data, "method": method, "optim": "sgd", "report": "false"}
    settings |= {"batch_size": 8, "learning_rate": 1e-3, "eval_data": data, "eval_strategy": "epoch"}
    plain = settings | {"lora": lora == "true", "report": False}
    one = penchant.train(**plain, output_dir=tmp_path / "one", use_cpu=True)
    lines = on_two(settings | {"lora": lora}, tmp_path / "two")
    check_weights(one.output_dir, tmp_path / "two", rtol=1e-5, atol=1e-5)
    assert [line.keys() for line in lines] == [line.keys() for line in one.history]
    coupled = METHODS[method].couples_rows  # evaluated batch by batch, which are others on two processes
    for line, alone in zip(lines, one.history, strict=True):
        for name in {"loss", "eval_loss", "rewards/chosen", "eval_rewards/chosen", "grad_norm"} & line.keys():
            if not (coupled and name == "eval_loss"):
                assert line[name] == pytest.approx(alone[name], rel=1e-4, abs=1e-6), name


@pytest.mark.slow
def test_the_run_s_mean_loss_counts_the_steps_after_the_last_line_on_all_processes(
    tiny_model_folder, data_of, tmp_path
):
    settings = {"model": str(tiny_model_folder), "data": data_of("dpo", 24), "logging_steps": 4} | COMMON
    one = penchant.train(**settings, output_dir=tmp_path / "one", use_cpu=True)
    line = on_two(settings, tmp_path / "two")[-1]
    assert line["train_loss"] == pytest.approx(one.history[-1]["train_loss"], rel=1e-4)


@pytest.mark.parametrize(("left", "own"), [(5, (4, 1)), (1, (1, 0)), (7, (4, 3)), (0, (4, 4)), (4, (4, 0))])
def test_rows_that_fill_up_a_last_step_are_marked(left, own):
    rows = [TokenPair([1], [2], [3], f"row {number}") for number in range(4)]
    for process, expected in enumerate(own):
        ends = SimpleNamespace(end_of_dataloader=True)
        of = SimpleNamespace(num_processes=2, process_index=process, gradient_state=ends)
        assert weights_of(marked(rows, of, 16 + left), "cpu").tolist() == [1.0] * expected + [0.0] * (4 - expected)
        ends.end_of_dataloader = False
        assert marked(rows, of, 16 + left) == rows


def test_a_loader_that_skips_steps_marks_them_too():
    """accelerate does not count the rows that it repeats after a resume."""
    rows = [TokenPair([1], [2], [3], f"row {number}") for number in range(5)]
    loader = skip_first_batches(
        prepare_data_loader(DataLoader(rows, 2, collate_fn=list), num_processes=2, process_index=1), 1
    )
    state = GradientState()
    of = SimpleNamespace(num_processes=2, process_index=1, gradient_state=state)
    (step,) = [marked(rows, of, 5) for rows in loader]
    assert weights_of(step, "cpu").tolist() == [0.0, 0.0]
