"""Time and memory of ``penchant convert``, as a command of its own on one core and on two.

Run: python benchmarks/convert.py [--rows 1000000] [--output benchmarks/results/convert.json]

The rows are those of lint.py. Every row is read, checked, and written as TRL's columns and back as plain pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import commands
import lint


def measure(source: Path, target: Path, to: str, cores: int) -> dict[str, object]:
    """One conversion, bound to cores; megabytes are those that are read."""
    megabytes = source.stat().st_size / 1e6
    target.unlink(missing_ok=True)
    taken = commands.measure(["convert", str(source), str(target), "--to", to], cores=cores)
    rates = {
        "megabytes_per_second": round(megabytes / taken["seconds"], 1),
        "megabytes_per_processor_second": round(megabytes / taken["cpu_seconds"], 1),
    }
    return {"to": to, "cores": cores, "megabytes": round(megabytes, 1)} | rates | taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        first, second, third = (Path(folder) / f"{name}.jsonl" for name in ("pairs", "trl", "back"))
        # In a process of its own: what is resident here would count as the peak of every process that is started.
        script = str(Path(lint.__file__))
        subprocess.run([sys.executable, script, "--rows", str(options.rows), "--write", str(first)], check=True)
        ways = ((first, second, "trl"), (second, third, "pairs"))
        results = [measure(*way, cores) for way in ways for cores in (1, 2)]
        assert sum(1 for _ in third.open("rb")) == options.rows
    facts = {"rows": options.rows, "python": platform.python_version(), "load_before": round(load, 1)}
    print(json.dumps(facts | {"results": results}, indent=2))
    if options.output:
        options.output.write_text(json.dumps(facts | {"results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
