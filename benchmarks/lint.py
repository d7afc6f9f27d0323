"""Time and memory of ``penchant lint`` with the rules on text, as a process of its own.

Run: python benchmarks/lint.py [--rows 1000000] [--output benchmarks/results/lint.json]

The rows are real shapes, not real texts: prompts of about 60 words, answers of about 120, drawn from a vocabulary with
Zipf's law; one row in a thousand is a duplicate, one in a thousand contradicts another.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPEATS = 3
"""Commands per line; the median is reported beside all of them, because the first reads a cold file."""


def write_rows(path: Path, rows: int) -> None:
    """Pairs as JSON Lines."""
    generator = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(generator.choice(letters, generator.integers(2, 10))) for _ in range(20_000)]
    stream = (words[rank % len(words)] for rank in _ranks(generator))

    def text(mean: int) -> str:
        sentences = []
        for _ in range(max(1, int(generator.gamma(2, mean / 24)))):
            sentences.append(" ".join(next(stream) for _ in range(12)).capitalize() + ".")
        return (" " if generator.random() < 0.7 else "\n\n").join(sentences)

    previous: dict[str, str] = {}
    with path.open("w") as file:
        for number in range(rows):
            row = {"prompt": text(60), "chosen": text(120), "rejected": text(120)}
            if number % 1000 == 999:
                row = previous
            elif number % 1000 == 499:
                row = previous | {"chosen": previous["rejected"], "rejected": previous["chosen"]}
            file.write(json.dumps(row) + "\n")
            previous = row


def _ranks(generator: np.random.Generator):
    while True:
        yield from generator.zipf(1.2, 65536).tolist()


def measure(path: Path, cores: int) -> dict[str, object]:
    """Wall time and peak resident memory of one command, bound to some cores."""
    command = [sys.executable, "-m", "penchant", "lint", str(path), "--json", "--fail-on", "never"]
    allowed = set(sorted(os.sched_getaffinity(0))[:cores])
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),  # noqa: PLW1509
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {process.returncode}")
    seconds = time.perf_counter() - start
    megabytes = path.stat().st_size / 1e6
    return {
        "cores": cores,
        "megabytes": round(megabytes, 1),
        "seconds": round(seconds, 2),
        "megabytes_per_second": round(megabytes / seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_rss_mb": round(usage.ru_maxrss / 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.jsonl"
        write_rows(path, options.rows)
        for cores in (1, 2):
            runs = sorted((measure(path, cores) for _ in range(REPEATS)), key=lambda run: float(str(run["seconds"])))
            results.append(runs[REPEATS // 2] | {"all_seconds": [run["seconds"] for run in runs]})
            print(results[-1], flush=True)
    if options.output:
        facts = {"rows": options.rows, "python": platform.python_version(), "numpy": np.__version__}
        options.output.write_text(json.dumps(facts | {"results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
