"""From the command to the first step: seconds and peak memory by the number of rows, penchant beside TRL 1.16.

    python benchmarks/start.py --trl trl-env/bin/python --model MODEL --data dpo_en_demo.json

MODEL is a folder with SmolLM2-135M-Instruct as safetensors. The rows are those of the data, over and over, each prompt
with its number in front so that none is like another. Each point is a process of its own that ends where its first step
would begin: imports, reading, the checks of the rows, tokens, model, adapter and, with penchant, the engine's check of
itself. Writes benchmarks/results/start.json, which docs/benchmarks.md shows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "results" / "start.json"
POINTS = [("penchant", 100), ("penchant", 1_000), ("trl", 10_000), ("penchant", 10_000), ("penchant", 100_000)]


def write_rows(data: str, count: int, path: Path) -> None:
    """As many conversations as asked, all prompts different."""
    from penchant.data import read_preferences

    pairs = read_preferences([data], unpaired=False, format=None).rows
    kept = [[{"role": "user", "content": p.prompt}] if isinstance(p.prompt, str) else list(p.prompt) for p in pairs]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            pair, turns = pairs[number % len(pairs)], kept[number % len(pairs)]
            first = turns[0] | {"content": f"{number}. {turns[0]['content']}"}
            sides = {s: [{"role": "assistant", "content": getattr(pair, s)}] for s in ("chosen", "rejected")}
            file.write(json.dumps({"prompt": [first, *turns[1:]]} | sides) + "\n")


def first_step() -> Any:
    """A callback that says what the process has taken, and ends it."""
    from transformers import TrainerCallback

    class FirstStep(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print("FIRST " + json.dumps({"at": time.time(), "peak_gb": peak}), flush=True)
            os._exit(0)

    return FirstStep()


def run_penchant(model: str, rows: str, folder: str) -> None:
    import penchant

    penchant.train(
        model=model, data=rows, output_dir=folder, max_length=1024, batch_size=2, use_cpu=True, callbacks=[first_step()]
    )


def run_trl(model: str, rows: str, folder: str) -> None:
    import trl
    from datasets import load_dataset
    from peft import LoraConfig

    config = trl.DPOConfig(
        output_dir=folder, max_length=1024, per_device_train_batch_size=2, report_to="none", use_cpu=True
    )
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    data = load_dataset("json", data_files=rows, split="train", cache_dir=f"{folder}/cache")
    trl.DPOTrainer(model, args=config, train_dataset=data, peft_config=lora, callbacks=[first_step()]).train()


def measure(python: str, side: str, model: str, rows: Path) -> dict[str, float]:
    """Seconds from the start of the process to its first step, and its peak resident memory there."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, __file__, "--side", side, "--model", model, "--data", str(rows), "--folder", f"{folder}/run"]
        start = time.time()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if line.startswith("FIRST ")]
    if not said:
        raise SystemExit(f"{side} ended without a first step:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    found = json.loads(said[0].removeprefix("FIRST "))
    return {"seconds": round(found["at"] - start, 2), "peak_gb": round(found["peak_gb"], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl", help="a Python with TRL 1.16")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        {"penchant": run_penchant, "trl": run_trl}[given.side](given.model, given.data, given.folder)
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for side, count in POINTS:
            rows = Path(folder) / f"{count}.jsonl"
            if not rows.exists():
                write_rows(given.data, count, rows)
            repeats = given.repeats if count == 10_000 else 1
            python = given.trl if side == "trl" else sys.executable
            runs = [measure(python or sys.executable, side, given.model, rows) for _ in range(repeats)]
            runs.sort(key=lambda run: run["seconds"])
            all_seconds = [run["seconds"] for run in runs]
            results.append({"side": side, "rows": count} | runs[repeats // 2] | {"all_seconds": all_seconds})
            print(results[-1], flush=True)
            OUT.write_text(json.dumps(machine | {"commit": commit.stdout.strip(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
