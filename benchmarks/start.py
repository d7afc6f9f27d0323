"""From the command to the first step: processor time, seconds and peak memory by the number of rows.

    python benchmarks/start.py --trl trl-env/bin/python --model MODEL --data dpo_en_demo.json

MODEL is a folder with SmolLM2-135M-Instruct as safetensors. The rows are those of the data, over and over, each prompt
with its number in front so that none is like another. Each point is a process of its own that ends where its first step
would begin: imports, reading, the checks of the rows, tokens, model, adapter and, with penchant, the engine's check of
itself; no tokens from a cache. How it grows with the rows is measured with a random model of two narrow layers and
MODEL's tokenizer. ``--points penchant:10000`` measures some points and leaves the other results. Writes
benchmarks/results/start.json, which docs/benchmarks.md shows.
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
GROWTH = ("penchant, small model", "penchant, small model, cached")
POINTS = [("trl", 10_000), ("penchant", 10_000)]
POINTS += [(GROWTH[0], rows) for rows in (100, 1_000, 10_000, 100_000)] + [(GROWTH[1], 100_000)]


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
            used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            cpu = sum(one.ru_utime + one.ru_stime for one in used)
            print(
                "FIRST " + json.dumps({"at": time.time(), "cpu": cpu, "peak_gb": used[0].ru_maxrss / 1e6}), flush=True
            )
            os._exit(0)

    return FirstStep()


def run_penchant(model: str, rows: str, folder: str, cache: str) -> None:
    import penchant

    penchant.train(
        model=model,
        data=rows,
        output_dir=folder,
        max_length=1024,
        batch_size=2,
        use_cpu=True,
        token_cache=cache,
        callbacks=[first_step()],
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


def make_small(model: str, folder: Path) -> str:
    """A random model of two narrow layers with another's tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(model)
    config.update({"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16})
    config.update({"num_attention_heads": 2, "num_key_value_heads": 1, "layer_types": None})
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    return str(folder)


def measure(python: str, side: str, model: str, rows: Path, cache: str) -> dict[str, float]:
    """Of a process from its start to its first step: processor time, seconds and peak resident memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, __file__, "--side", side, "--model", model, "--data", str(rows)]
        command += ["--folder", f"{folder}/run", "--cache", cache]
        start = time.time()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if line.startswith("FIRST ")]
    if not said:
        raise SystemExit(f"{side} ended without a first step:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    found = json.loads(said[0].removeprefix("FIRST "))
    seconds = {"cpu_s": round(found["cpu"], 2), "seconds": round(found["at"] - start, 2)}
    return seconds | {"peak_gb": round(found["peak_gb"], 3), "load": round(os.getloadavg()[0], 1)}


def keep(points: list[dict[str, Any]]) -> None:
    """Put points in the place of those that were measured before."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    known = json.loads(OUT.read_text())["results"] if OUT.exists() else []
    by_point = {(one["side"], one["rows"]): one for one in known}
    by_point |= {(one["side"], one["rows"]): one | {"commit": commit.stdout.strip()} for one in points}
    OUT.write_text(json.dumps(machine | {"results": list(by_point.values())}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl", default=sys.executable, help="a Python with TRL 1.16")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--repeats", type=int, default=3, help="of the 10,000 rows")
    parser.add_argument("--points", help="SIDE:ROWS;...; all if left out")
    parser.add_argument("--rows", help="a folder that keeps the rows for another time")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side == "trl":
        run_trl(given.model, given.data, given.folder)
    elif given.side:
        run_penchant(given.model, given.data, given.folder, given.cache)
    else:
        measure_points(given)


def measure_points(given: argparse.Namespace) -> None:
    """Measure the points that are asked for, one after another."""
    wanted = POINTS
    if given.points:
        wanted = [(side, int(rows)) for side, rows in (one.rsplit(":", 1) for one in given.points.split(";"))]
    with tempfile.TemporaryDirectory() as folder:
        small = make_small(given.model, Path(folder) / "small") if any(side in GROWTH for side, _ in wanted) else ""
        for side, count in wanted:
            rows = Path(given.rows or folder) / f"{count}.jsonl"
            if not rows.exists():
                write_rows(given.data, count, rows)
            python = given.trl if side == "trl" else sys.executable
            model, cache = small if side in GROWTH else given.model, "none"
            if side == GROWTH[1]:
                cache = f"{folder}/cache"
                measure(python, side, model, rows, cache)  # which fills it
            runs = [measure(python, side, model, rows, cache) for _ in range(given.repeats if count == 10_000 else 1)]
            runs.sort(key=lambda run: run["cpu_s"])
            found = {"side": side, "rows": count} | runs[len(runs) // 2]
            print(found, flush=True)
            keep([found | {"all_cpu_s": [run["cpu_s"] for run in runs]}])


if __name__ == "__main__":
    main()
