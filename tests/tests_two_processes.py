"""Trainings on two processes that share weights, compared with one process that holds them whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests_support import labelled_rows, list_rows, pair_rows, tiny_llama, write_jsonl

from penchant.objectives import METHODS

FOLLOWED = {"loss", "eval_loss", "rewards/margins", "rewards/chosen", "eval_rewards/chosen", "grad_norm"}

# 21 rows in steps of 8: the last has 5 of them, 4 and 1 on either process; of 17 it has 1, and one process has none
CASES = {
    "dpo, full": {"method": "dpo", "lora": False, "rows": 17, "report": True, "sample_prompts": 1, "evaluates": True},
    "dpo, full, tied": {"method": "dpo", "lora": False, "rows": 21, "tied": True, "activation_checkpointing": True},
    "dpo, full, stored": {"method": "dpo", "lora": False, "rows": 21, "stored": True},
    "dpo, lora": {"method": "dpo", "lora": True, "rows": 24, "report": True, "sample_prompts": 1},
    "dpo, lora, tied": {"method": "dpo", "lora": True, "rows": 17, "tied": True, "activation_checkpointing": True},
    "kto, full": {"method": "kto", "lora": False, "rows": 17, "evaluates": True},
    "kto, lora": {"method": "kto", "lora": True, "rows": 21},
    "plackett_luce, full": {"method": "plackett_luce", "lora": False, "rows": 21},
    "plackett_luce, lora": {"method": "plackett_luce", "lora": True, "rows": 17},
    "simpo, full": {"method": "simpo", "lora": False, "rows": 21},
    "dr_dpo, lora": {"method": "dr_dpo", "lora": True, "rows": 17},
    "tdpo, full": {"method": "tdpo", "lora": False, "rows": 21},
}


def on_two(cases, folder, script="shard_on_cpu.py"):
    """Trainings of two processes that share weights, one after the other, which must all end well."""
    file = folder / "cases.json"
    file.write_text(json.dumps(cases))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "training" / script), str(file)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def settings_of(name, top, tokenizer):
    """A case's settings, with its model and its data made; the same for one process and for two."""
    case = dict(CASES[name])
    model = top / ("tied" if case.pop("tied", False) else "untied")
    if not model.exists():
        tiny_llama(len(tokenizer), tie_word_embeddings=model.name == "tied").save_pretrained(model)
        tokenizer.save_pretrained(model)
    kind, rows = METHODS[case["method"]].data, case.pop("rows")
    made = {"pairs": pair_rows, "answers": labelled_rows, "lists": list_rows}[kind]
    data = str(write_jsonl(top / f"{kind}-{rows}.jsonl", made(rows)))
    evaluation = {"eval_data": data, "eval_strategy": "epoch"} if case.pop("evaluates", False) else {}
    store = {"reference_store": str(top / "store")} if case.pop("stored", False) else {}
    common = {"model": str(model), "data": data, "optim": "sgd", "batch_size": 8, "learning_rate": 1e-3}
    return common | {"micro_batch_tokens": 150, "report": False} | evaluation | case, store


def check_same(one, two):
    """Two run folders with the same weights under the same names, and the same log lines."""
    (file,) = {"adapter_model.safetensors", "model.safetensors"} & {path.name for path in one.iterdir()}
    expected, found = load_file(one / file), load_file(two / file)
    assert expected.keys() == found.keys()
    for key, weight in expected.items():
        torch.testing.assert_close(found[key], weight, rtol=1e-5, atol=1e-5)
    mine, theirs = ([json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] for run in (one, two))
    assert [line.keys() for line in mine] == [line.keys() for line in theirs]
    for line, other in zip(mine, theirs, strict=True):
        for name in FOLLOWED & line.keys():
            assert other[name] == pytest.approx(line[name], rel=1e-5, abs=1e-6), name


def check_goes_on(settings, folder, script="shard_on_cpu.py"):
    """A run that lost all after its first checkpoint and goes on ends, to the bit, as if it had not been stopped."""
    run = folder / "run"
    settings |= {"optim": "adamw_torch", "save_steps": 2, "report": False, "output_dir": str(run)}
    on_two([settings], folder, script)
    (file,) = {"adapter_model.safetensors", "model.safetensors"} & {path.name for path in run.iterdir()}
    whole = load_file(run / file)
    assert load_file(run / "checkpoint-2" / file).keys() == whole.keys()
    for path in [run / file, *run.glob("checkpoint-3")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    on_two([settings | {"resume": True}], folder, script)
    again = load_file(run / file)
    assert all(torch.equal(again[key], weight) for key, weight in whole.items())
