"""Predicted against measured peak memory: a model of SmolLM2-135M's shape with random weights, on a CPU.

    python benchmarks/plan.py [RESULT.json]

Every combination runs in a process of its own, which reports by how much its resident memory grew at most from before
the model was made until two optimiser steps were done (VmHWM), and what the plan says. Random weights: memory does not
depend on their values.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COMBINATIONS = [
    {"lora": True, "dtype": "float32", "budget": 1024, "checkpointing": False},
    {"lora": True, "dtype": "float32", "budget": 3072, "checkpointing": False},
    {"lora": True, "dtype": "bfloat16", "budget": 1024, "checkpointing": False},
    {"lora": True, "dtype": "bfloat16", "budget": 3072, "checkpointing": False},
    {"lora": False, "dtype": "float32", "budget": 1024, "checkpointing": False},
    {"lora": False, "dtype": "float32", "budget": 3072, "checkpointing": False},
    {"lora": False, "dtype": "bfloat16", "budget": 1024, "checkpointing": False},
    {"lora": True, "dtype": "float32", "budget": 3072, "checkpointing": True},
    {"lora": False, "dtype": "float32", "budget": 3072, "checkpointing": True},
]
PROMPT, ANSWER, ROWS = 256, 128, 12


class Tokenizer:
    """As much of one as training asks for."""

    pad_token_id, eos_token_id, bos_token_id = 0, 2, 1

    def save_pretrained(self, *_: Any) -> None: ...


def drawn_rows() -> list[Any]:
    import torch

    from penchant.records import TokenPair

    lengths = (PROMPT, ANSWER, ANSWER)
    return [
        TokenPair(*(torch.randint(3, 49000, (length,)).tolist() for length in lengths), f"row {number}")
        for number in range(ROWS)
    ]


def drawn_model(setting: dict[str, Any], config: Any) -> Any:
    """Random weights in SmolLM2-135M's shape, with an adapter where the setting says so."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from penchant.models import DTYPES
    from penchant.training.adapters import add_adapter

    shape = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM._from_config(shape, dtype=DTYPES[setting["dtype"]])
    return add_adapter(model, config) if setting["lora"] else model


def measure(setting: dict[str, Any]) -> dict[str, Any]:
    """One combination, in this process."""
    import tempfile

    import torch

    from penchant.training import PreferenceConfig, PreferenceTrainer
    from penchant.training.plan import make_plan
    from penchant.training.plan_rows import rows_of

    torch.manual_seed(0)
    rows = drawn_rows()
    config = PreferenceConfig(
        output_dir=tempfile.mkdtemp(),
        lora=setting["lora"],
        batch_size=6,
        micro_batch_tokens=setting["budget"],
        max_steps=2,
        activation_checkpointing=setting["checkpointing"],
        use_cpu=True,
        report_to="none",
    )
    before = resident("VmRSS")
    model = drawn_model(setting, config)
    trainer = PreferenceTrainer(model, config, rows, processing_class=Tokenizer())
    trainer.train()
    measured = resident("VmHWM") - before
    plan = make_plan(
        model,
        rows_of(rows),
        lora=setting["lora"],
        rank=16,
        dtype=setting["dtype"],
        batch_size=6,
        micro_batch_tokens=setting["budget"],
        epochs=1,
        second_model=not setting["lora"],
        checkpointing=setting["checkpointing"],
    )
    return setting | {
        "engine": trainer.engine.description,
        "predicted_gb": plan.peak / 1e9,
        "measured_gb": measured / 1e9,
        "off": plan.peak / measured - 1,
        "parts_gb": {name: value / 1e9 for name, value in plan.memory.items()},
    }


def resident(field: str) -> int:
    """This process's memory in bytes, as Linux counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def main() -> None:
    results = []
    for setting in COMBINATIONS:
        command = [sys.executable, __file__, "--one", json.dumps(setting)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        found = json.loads(done.stdout.strip().splitlines()[-1])
        results.append(found)
        print(
            f"{setting}: predicted {found['predicted_gb']:.2f} GB, "
            f"measured {found['measured_gb']:.2f}, {found['off']:+.0%}",
            flush=True,
        )
        if len(sys.argv) > 1:
            Path(sys.argv[1]).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(json.loads(sys.argv[2]))))
    else:
        main()
