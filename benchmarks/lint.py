"""Time and memory of ``penchant lint`` with the rules on text, as a process of its own on one core.

Run: python benchmarks/lint.py [--rows 1000000] [--output benchmarks/results/lint.json]

The texts are drawn: prompts of about 60 words, answers of about 120, in sentences of twelve; one row in a thousand is a
duplicate, one in a thousand contradicts the row before it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

REPEATS = 3
"""Commands per line; the median is reported beside all of them, because the first reads a cold file."""


def write_rows(path: Path, rows: int) -> None:
    """Pairs as JSON Lines."""
    generator = random.Random(0)
    words = [
        "".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=generator.randint(2, 10))) for _ in range(20_000)
    ]
    sentences = [" ".join(generator.choices(words, k=12)).capitalize() + "." for _ in range(200_000)]

    def text(mean: int) -> str:
        count = max(1, round(generator.gammavariate(2, mean / 24)))
        return (" " if generator.random() < 0.7 else "\n\n").join(generator.choices(sentences, k=count))

    row: dict[str, str] = {}
    with path.open("w") as file:
        for number in range(rows):
            if number % 1000 == 499:
                row = row | {"chosen": row["rejected"], "rejected": row["chosen"]}
            elif number % 1000 != 999:
                row = {"prompt": text(60), "chosen": text(120), "rejected": text(120)}
            file.write(json.dumps(row) + "\n")


def as_parquet(path: Path) -> Path:
    """The same rows as Parquet, in row groups of 16,384."""
    target = path.with_suffix(".parquet")
    schema = pa.schema(dict.fromkeys(("prompt", "chosen", "rejected"), pa.string()))
    with path.open() as file, pa.parquet.ParquetWriter(target, schema) as writer:
        while lines := list(itertools.islice(file, 16384)):
            writer.write_table(pa.Table.from_pylist([json.loads(line) for line in lines], schema))
    return target


def measure(path: Path, megabytes: float) -> dict[str, object]:
    """Wall time and peak resident memory of one command, bound to one core; megabytes are those of the JSON Lines."""
    command = [sys.executable, "-m", "penchant", "lint", str(path), "--json", "--fail-on", "never"]
    core = min(os.sched_getaffinity(0))
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {process.returncode}")
    seconds = time.perf_counter() - start
    return {
        "file": path.suffix,
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
        megabytes = path.stat().st_size / 1e6
        for file in (path, as_parquet(path)):
            runs = sorted(
                (measure(file, megabytes) for _ in range(REPEATS)), key=lambda run: float(str(run["seconds"]))
            )
            results.append(runs[REPEATS // 2] | {"all_seconds": [run["seconds"] for run in runs]})
            print(results[-1], flush=True)
    if options.output:
        facts = {"rows": options.rows, "megabytes": round(megabytes, 1), "python": platform.python_version()}
        options.output.write_text(json.dumps(facts | {"results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
