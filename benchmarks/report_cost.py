"""What the report adds to a short run of SmolLM2-135M: the same run with it and without, in turn, alone on a machine.

Run from the repository: ``python benchmarks/report_cost.py RESULT.json``. 8 steps of 4 of the demo's pairs, 16 others
held out. Each run is a process of its own; its processor time is told beside the wall time, which other work disturbs.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from pathlib import Path

from commands import measure

from penchant.demo.assets import PAIRS, smollm2_path

ROUNDS = 2


def main() -> None:
    lines = PAIRS.read_text(encoding="utf-8").splitlines(keepends=True)
    found: dict[str, list[dict[str, float]]] = {"true": [], "false": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.jsonl").write_text("".join(lines[:32]), encoding="utf-8")
        (folder / "held_out.jsonl").write_text("".join(lines[100:116]), encoding="utf-8")
        for index in range(ROUNDS):
            for report, runs in found.items():
                out = folder / f"{report}{index}"
                command = ["train", "--model", smollm2_path(), "--data", str(folder / "train.jsonl")]
                command += ["--eval-data", str(folder / "held_out.jsonl"), "--max-steps", "8", "--batch-size", "4"]
                command += ["--max-length", "512", "--output-dir", str(out), "--report", report]
                took = measure(command, {"OMP_NUM_THREADS": "1"})
                facts = json.loads((out / "record" / "run.json").read_text(encoding="utf-8"))
                runs.append(took | {"measuring_s": facts["measuring_s"]})
    result = {"machine": platform.processor() or platform.machine(), "with": found["true"], "without": found["false"]}
    Path(sys.argv[1]).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
