"""Two processes make the same update as one: the batch size counts pairs over all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from tests_support import gold_rows, list_rows, write_jsonl

import penchant
from penchant.objectives import METHODS

# one method for each set of inputs: what crosses processes depends on these alone
TRAINABLE = list({m.inputs: name for name, m in reversed(METHODS.items())}.values())

# the second epoch has another order; the budget cuts the two processes' shares into unlike numbers of micro-batches
COMMON = {"batch_size": 8, "max_steps": 5, "learning_rate": 5e-3, "micro_batch_tokens": 150}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "stored"), [*((method, False) for method in TRAINABLE), ("dpo", True), ("kto", True)]
)
def test_two_processes_equal_one(method, stored, tiny_model_folder, labelled_file, tmp_path):
    """With the reference live, and from a store that the two processes fill together."""
    from safetensors.torch import load_file

    pairs = write_jsonl(tmp_path / "pairs.jsonl", gold_rows(24))
    lists = write_jsonl(tmp_path / "lists.jsonl", list_rows(24))
    data = str({"pairs": pairs, "lists": lists, "answers": labelled_file}[METHODS[method].data])
    settings = {"model": str(tiny_model_folder), "data": data, "method": method} | COMMON
    one = penchant.train(**settings, output_dir=tmp_path / "one", use_cpu=True)
    if stored:
        settings["reference_store"] = str(tmp_path / "store")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    launch = [
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes=2",
        "--num_machines=1",
        "--mixed_precision=no",
    ]
    command = [sys.executable, *launch, "--dynamo_backend=no", "-m", "penchant", "train", *options]
    two = tmp_path / "two"
    subprocess.run(
        [*command, f"--output-dir={two}", "--use-cpu=true"],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
    )
    expected = load_file(one.output_dir / "adapter_model.safetensors")
    found = load_file(two / "adapter_model.safetensors")
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=2e-5)
    first = (two / "log.jsonl").read_text().splitlines()[0]
    line = json.loads(first)
    for name in ("loss", "rewards/margins", "logps/chosen", "logps/rejected", "grad_norm"):
        assert line[name] == pytest.approx(one.history[0][name], rel=1e-4, abs=1e-6), name
