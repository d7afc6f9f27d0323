"""The loop at a size that can show something, on SmolLM2-135M-Instruct; its numbers go into a file.

python examples/on_policy/at_size.py [FOLDER] [--model MODEL] [--results FILE]

40 of the demo's prompts with 4 answers each, 24 steps of DPO, compared on the demo's 60 held-out questions. Answers are
drawn in bfloat16, training is in float32. Killed and called again, it goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from penchant.demo.assets import HELD_OUT, PAIRS, smollm2_path

PROMPTS, HELD_OUT_PROMPTS = 40, 60
SETTINGS = {
    "SAMPLES": "4",
    "MATCHES": "1",
    "TOKENS": "128",
    "BATCH": "32",
    "DTYPE": "bfloat16",
    "TRAIN": "--learning-rate 5e-5 --batch-size 4 --max-steps 24 --save-steps 4 --max-length 512",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/on_policy"))
    parser.add_argument("--model", help="another copy of the model [default: that of the demo]")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results/smollm2.json")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    prompts, held_out = given.folder / "prompts.jsonl", given.folder / "held_out.jsonl"
    write_prompts(PAIRS, prompts, PROMPTS)
    write_prompts(HELD_OUT, held_out, HELD_OUT_PROMPTS)
    script = Path(__file__).parent / "on_policy.sh"
    command = ["sh", script, given.model or smollm2_path(), prompts, held_out, given.folder]
    environment = os.environ | SETTINGS | {"PYTHON": sys.executable}
    subprocess.run([str(part) for part in command], env=environment, check=True)
    given.results.parent.mkdir(parents=True, exist_ok=True)
    given.results.write_text(json.dumps(numbers_of(given.folder), indent=2) + "\n", encoding="utf-8")


def write_prompts(source: Path, target: Path, count: int) -> None:
    """The first prompts, each once."""
    found = dict.fromkeys(row["prompt"] for row in lines_of(source))
    target.write_text("".join(json.dumps({"prompt": one}) + "\n" for one in list(found)[:count]), encoding="utf-8")


def numbers_of(folder: Path) -> dict[str, Any]:
    """What the loop's files say; models are named without their folders."""
    answers, log = lines_of(folder / "answers.jsonl"), lines_of(folder / "run/log.jsonl")
    comparison = json.loads((folder / "compare/comparison.json").read_text(encoding="utf-8"))
    held_out = [lines_of(folder / f"compare/{side}.jsonl") for side in ("first", "second")]
    return {
        "settings": {"prompts": PROMPTS} | SETTINGS,
        "answers": len(answers),
        "ended": share_ended(answers),
        "pairs": len(lines_of(folder / "pairs.jsonl")),
        "losses": [line["loss"] for line in log if "loss" in line],
        "accuracies": [line["rewards/accuracies"] for line in log if "loss" in line],
        "comparison": comparison | {"first": "trained", "second": "before"},
        "held_out_ended": {"trained": share_ended(held_out[0]), "before": share_ended(held_out[1])},
    }


def share_ended(answers: list[dict[str, Any]]) -> float:
    """The share that the model ended itself."""
    return sum(row["ended"] for row in answers) / len(answers)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
