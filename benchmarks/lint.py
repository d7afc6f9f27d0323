"""Time and memory of ``penchant lint`` with the rules on text, as a command of its own on one core and on two.

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
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import commands

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
    import pyarrow as pa
    import pyarrow.parquet

    target = path.with_suffix(".parquet")
    schema = pa.schema(dict.fromkeys(("prompt", "chosen", "rejected"), pa.string()))
    with path.open() as file, pa.parquet.ParquetWriter(target, schema) as writer:
        while lines := list(itertools.islice(file, 16384)):
            writer.write_table(pa.Table.from_pylist([json.loads(line) for line in lines], schema))
    return target


def measure(path: Path, megabytes: float, cores: int) -> dict[str, object]:
    """Time and peak resident memory of one command, bound to cores; megabytes are those of the JSON Lines."""
    taken = commands.measure(["lint", str(path), "--json", "--fail-on", "never"], cores=cores)
    rates = {
        "megabytes_per_second": round(megabytes / taken["seconds"], 1),
        "megabytes_per_processor_second": round(megabytes / taken["cpu_seconds"], 1),
    }
    return {"file": path.suffix, "cores": cores} | rates | taken


def examination_alone(rows: int) -> None:
    """Peak resident memory of the rules themselves, in MB: rows are made on the fly, so no file is held."""
    from penchant.data import ReadRow
    from penchant.doctor import examine
    from penchant.records import PreferencePair

    def made() -> Iterator[ReadRow]:
        words = "word " * 100
        for number in range(rows):
            source = f"pairs.jsonl:{number + 1}"
            pair = PreferencePair(f"{number} {words}?", f"{number} yes {words}.", f"{number} no {words}.", source)
            yield ReadRow(source, None, pair, None, "pairs")

    assert examine(made()).report.rows == rows
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def measure_all(rows: int, output: Path | None) -> None:
    """Both files (only JSON Lines use a second core), some times each, and the rules alone."""
    load = os.getloadavg()[0]
    results: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.jsonl"
        again = [sys.executable, __file__, "--rows", str(rows)]
        # In a process of its own: what is resident here would count as the peak of every process that is started.
        subprocess.run([*again, "--write", str(path)], check=True)
        megabytes = path.stat().st_size / 1e6
        for file, cores in ((path, 1), (path, 2), (path.with_suffix(".parquet"), 1)):
            results.append(commands.median_of(REPEATS, partial(measure, file, megabytes, cores)))
            print(results[-1], flush=True)
    alone = float(subprocess.run([*again, "--alone"], check=True, capture_output=True, text=True).stdout)
    print(f"rules alone: {alone:.0f} MB")
    if output:
        facts = {"rows": rows, "megabytes": round(megabytes, 1), "python": platform.python_version()}
        facts["load_before"] = round(load, 1)
        output.write_text(
            json.dumps(facts | {"rules_alone_peak_rss_mb": round(alone, 1), "results": results}, indent=2) + "\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--alone", action="store_true", help="measure the memory of the rules themselves, and no more")
    parser.add_argument("--write", type=Path, help="write the rows to this .jsonl file, and no more")
    options = parser.parse_args()
    if options.alone:
        examination_alone(options.rows)
    elif options.write:
        write_rows(options.write, options.rows)
        as_parquet(options.write)
    else:
        measure_all(options.rows, options.output)


if __name__ == "__main__":
    main()
