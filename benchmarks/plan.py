"""Predicted against measured peak memory on a CPU: a model of SmolLM2-135M's width, six layers of it, random weights.

    python benchmarks/plan.py RESULT.json [NUMBER ...]
    python benchmarks/plan.py RESULT.json --predict

Every combination runs in a process of its own. A small run loads what is loaded once; then two optimiser steps of six
pairs are measured in two ways: the most bytes held in allocated blocks (glibc's ``mallinfo2``, twice a millisecond),
and the most by which resident memory grew (VmHWM). With numbers, these combinations are measured alone, and the rest of
the file is kept. ``--predict`` makes the plans again, from the config alone, and measures nothing.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from itertools import product
from pathlib import Path
from typing import Any

COMBINATIONS = [
    {"lora": lora, "dtype": dtype, "checkpointing": checkpointing, "budget": budget}
    for lora, dtype, checkpointing, budget in product(
        (True, False), ("float32", "bfloat16"), (False, True), (1024, 1536)
    )
]
PROMPT, ANSWER, ROWS = 256, 128, 6
LAYERS = 6


class Tokenizer:
    """As much of one as training asks for."""

    pad_token_id, eos_token_id, bos_token_id = 0, 2, 1

    def save_pretrained(self, *_: Any) -> None: ...


class Blocks(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]


class Held:
    """The most bytes in allocated blocks while the block runs, sampled from another thread."""

    def __init__(self) -> None:
        self._ask = ctypes.CDLL(None).mallinfo2
        self._ask.restype = Blocks
        self.most, self._done = 0, threading.Event()

    def now(self) -> int:
        found = self._ask()
        return int(found.uordblks + found.hblkhd)

    def __enter__(self) -> Held:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.0005):
            self.most = max(self.most, self.now())


def shape(layers: int) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
        tie_word_embeddings=True,
    )


def drawn_rows() -> list[Any]:
    import torch

    from penchant.records import TokenPair

    lengths = (PROMPT, ANSWER, ANSWER)
    return [
        TokenPair(*(torch.randint(3, 49000, (length,)).tolist() for length in lengths), f"row {number}")
        for number in range(ROWS)
    ]


def made(setting: dict[str, Any], layers: int) -> Any:
    """The model; weights that were never written to would not be resident, so all of them are."""
    import torch
    from transformers import LlamaForCausalLM

    from penchant.models import DTYPES

    model = LlamaForCausalLM._from_config(shape(layers), dtype=DTYPES[setting["dtype"]])
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.02)
    return model


def train(setting: dict[str, Any], model: Any, rows: list[Any]) -> None:
    """Two steps."""
    from penchant.training import PreferenceConfig, PreferenceTrainer
    from penchant.training.adapters import add_adapter

    config = PreferenceConfig(
        output_dir=tempfile.mkdtemp(),
        lora=setting["lora"],
        batch_size=len(rows),
        micro_batch_tokens=setting["budget"],
        max_steps=2,
        activation_checkpointing=setting["checkpointing"],
        use_cpu=True,
        report_to="none",
    )
    model = add_adapter(model, config) if setting["lora"] else model
    PreferenceTrainer(model, config, rows, processing_class=Tokenizer()).train()


def settled() -> None:
    """Free blocks given back to the system, and VmHWM begun again."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def measure(setting: dict[str, Any]) -> dict[str, Any]:
    """One combination, in this process: from before the model is made, but not while it is made."""
    import torch

    torch.manual_seed(0)
    rows, held = drawn_rows(), Held()
    train(setting, made(setting, 1), rows[:1])
    settled()
    resident_before, held_before, used_before = resident("VmRSS"), held.now(), resource.getrusage(resource.RUSAGE_SELF)
    model = made(setting, LAYERS)
    settled()
    with held:
        train(setting, model, rows)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return setting | {
        "held_gb": (held.most - held_before) / 1e9,
        "resident_gb": (resident("VmHWM") - resident_before) / 1e9,
        "user_seconds": used.ru_utime - used_before.ru_utime,
        "system_seconds": used.ru_stime - used_before.ru_stime,
        "page_faults": used.ru_minflt - used_before.ru_minflt,
        "load": os.getloadavg()[0],
    }


def predicted(setting: dict[str, Any]) -> dict[str, Any]:
    """The plan, from the config alone."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    from penchant.training.plan import Rows, make_plan

    with torch.device("meta"):
        model = LlamaForCausalLM(shape(LAYERS))
        if setting["lora"]:
            model = get_peft_model(model, LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    plan = make_plan(
        model,
        Rows.of([(PROMPT, [ANSWER, ANSWER], 0)] * ROWS),
        lora=setting["lora"],
        rank=16,
        dtype=setting["dtype"],
        batch_size=ROWS,
        micro_batch_tokens=setting["budget"],
        epochs=1,
        second_model=not setting["lora"],
        checkpointing=setting["checkpointing"],
        glibc=True,
    )
    parts = {name: value / 1e9 for name, value in plan.memory.items()}
    return {"plan_gb": plan.peak / 1e9, "parts_gb": parts}


def resident(field: str) -> int:
    """This process's memory in bytes, as Linux counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def measured(setting: dict[str, Any]) -> dict[str, Any]:
    """One combination, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", json.dumps(setting)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def write(path: Path, found: dict[int, dict[str, Any]]) -> None:
    path.write_text(json.dumps([found[number] for number in sorted(found)], indent=1) + "\n")


def main() -> None:
    path, chosen = Path(sys.argv[1]), sys.argv[2:]
    kept = json.loads(path.read_text()) if path.exists() else []
    found = {COMBINATIONS.index({name: one[name] for name in COMBINATIONS[0]}): one for one in kept}
    if chosen != ["--predict"]:
        for number in map(int, chosen) if chosen else range(len(COMBINATIONS)):
            found[number] = measured(COMBINATIONS[number])
            print(found[number], flush=True)
            write(path, found)
    for one in found.values():
        one.update(predicted({name: one[name] for name in COMBINATIONS[0]}))
        one["off"] = one["plan_gb"] / one["resident_gb"] - 1
    write(path, found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(json.loads(sys.argv[2]))))
    else:
        main()
