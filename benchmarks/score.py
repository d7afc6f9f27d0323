"""Time and memory of ``penchant score`` on a table of a million pairs, as a process of its own on one core.

Run: python benchmarks/score.py [--rows 1000000] [--output benchmarks/results/score.json]
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from functools import partial
from pathlib import Path

import commands
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

REPEATS = 5
"""Commands per line; the median is reported beside all of them, because the first reads a cold file."""


def table(rows: int) -> pa.Table:
    """Log-probs and lengths as a trainer would log them, at full precision."""
    generator = np.random.default_rng(0)
    columns = {
        f"{model}_{side}_logps": -generator.gamma(8, 15, rows)
        for model in ("policy", "ref")
        for side in ("chosen", "rejected")
    }
    return pa.table(columns | {f"{s}_lengths": generator.integers(1, 500, rows) for s in ("chosen", "rejected")})


def write(data: pa.Table, path: Path) -> None:
    if path.suffix == ".csv":
        pa.csv.write_csv(data, path)
    elif path.suffix == ".parquet":
        pa.parquet.write_table(data, path)
    else:
        with path.open("w") as file:
            for batch in data.to_batches(max_chunksize=65536):
                file.writelines(json.dumps(row) + "\n" for row in batch.to_pylist())


def measure(path: Path, method: str) -> dict[str, object]:
    """Wall time and peak resident memory of one command, bound to one core."""
    limits = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    taken = commands.measure(["score", str(path), "--method", method, "--json"], limits)
    return {"file": path.suffix, "megabytes": round(path.stat().st_size / 1e6, 1), "method": method} | taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        data = table(options.rows)
        for suffix in (".csv", ".jsonl", ".parquet"):
            path = Path(folder) / f"logps{suffix}"
            write(data, path)
            for method in ("dpo", "all"):
                results.append(commands.median_of(REPEATS, partial(measure, path, method)))
                print(results[-1], flush=True)
    if options.output:
        facts = {"rows": options.rows, "python": platform.python_version(), "pyarrow": pa.__version__}
        options.output.write_text(json.dumps(facts | {"results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
