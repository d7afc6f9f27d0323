"""penchant against TRL 1.16: the same rows, model and adapter, optimiser steps alternating.

    python -m venv trl-env && trl-env/bin/pip install torch==2.13.0 trl==1.16.0 peft datasets
    python benchmarks/against_trl.py --trl trl-env/bin/python --model MODEL --data dpo_en_demo.json

MODEL is a folder with SmolLM2-135M-Instruct as safetensors. The first step of each side is left out. Each side is a
process of its own that waits while the other one computes. Writes benchmarks/results/against_trl.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROWS_A_STEP = 2
SETTINGS = ("dpo-cached", "dpo-defaults", "dpo-float32", "simpo", "orpo", "kto")


class Side:
    def __init__(self, python: str, side: str, setting: str, model: str, rows: str) -> None:
        command = [python, str(HERE / "side.py"), side, setting, model, rows]
        environment = os.environ | {"TOKENIZERS_PARALLELISM": "false"}
        if side == "trl":
            environment.pop("PYTHONPATH", None)
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment
        )
        self._until("READY")

    def step(self) -> dict[str, float]:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self._until("STEP"))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _until(self, word: str) -> str:
        for line in self.process.stdout:
            if line.startswith(word):
                return line[len(word) :]
        self.log.seek(0)
        raise RuntimeError(f"the process ended:\n{self.log.read()[-3000:]}")


def rows_that_fit(data: str, model: str, count: int) -> list[dict[str, Any]]:
    """The first rows whose prompt and longer answer fit 1024 tokens, as conversations."""
    from transformers import AutoTokenizer

    from penchant.data import read_preferences
    from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs

    style = PromptStyle.of(AutoTokenizer.from_pretrained(model), "auto")
    read = {row.source: row for row in read_preferences([data], unpaired=False, format=None).rows}
    kept = []
    for encoded in encode_pairs(list(read.values()), style, EncodeSettings(1024, "drop")).rows[:count]:
        row = read[encoded.source]
        messages = [{"role": "user", "content": row.prompt}] if isinstance(row.prompt, str) else list(row.prompt)
        sides = {side: [{"role": "assistant", "content": getattr(row, side)}] for side in ("chosen", "rejected")}
        kept.append({"prompt": messages} | sides)
    return kept


def compare(setting: str, arguments: argparse.Namespace, rows_path: str) -> dict[str, Any]:
    """Alternate steps of both sides; the first of each is a warm-up."""
    sides = {
        name: Side(python, name, setting, arguments.model, rows_path)
        for name, python in (("trl", arguments.trl), ("penchant", sys.executable))
    }
    try:
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for _ in range(arguments.steps + 1):
            for name, side in sides.items():
                taken[name].append(side.step())
                print(f"{setting:14} {name:9} {taken[name][-1]}", flush=True)
    finally:
        for side in sides.values():
            side.stop()
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(taken["trl"][1:], taken["penchant"][1:], strict=True)]
    seconds = {name: sum(step["seconds"] for step in steps[1:]) for name, steps in taken.items()}
    peaks = {name: steps[-1]["peak_gb"] for name, steps in taken.items()}
    return {
        "setting": setting,
        "steps": taken,
        "rows_per_second": {name: ROWS_A_STEP * arguments.steps / total for name, total in seconds.items()},
        "median_ratio": statistics.median(ratios),
        "peak_gb": peaks,
        "peak_ratio": peaks["penchant"] / peaks["trl"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl", required=True, help="a Python with TRL 1.16")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--settings", nargs="*", default=SETTINGS)
    parser.add_argument("--out", default=str(HERE / "results" / "against_trl.json"))
    arguments = parser.parse_args()
    rows = rows_that_fit(arguments.data, arguments.model, 12)
    out = Path(arguments.out)
    known = json.loads(out.read_text()) if out.exists() else {"settings": {}}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    known |= {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "rows": len(rows)}
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    for setting in arguments.settings:
        known["settings"][setting] = compare(setting, arguments, file.name) | {"commit": commit.stdout.strip()}
        out.write_text(json.dumps(known, indent=1) + "\n")
    for name, result in known["settings"].items():
        speed, peak = result["rows_per_second"], result["peak_gb"]
        print(
            f"{name:14} TRL {speed['trl']:.3f}/s {peak['trl']:.1f} GB, penchant {speed['penchant']:.3f}/s "
            f"{peak['penchant']:.1f} GB: {speed['penchant'] / speed['trl']:.1f}x, "
            f"median step {result['median_ratio']:.1f}x, {result['peak_ratio']:.2f} of the memory"
        )


if __name__ == "__main__":
    main()
