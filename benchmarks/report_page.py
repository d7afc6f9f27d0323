"""How large the report of a run with 100,000 evaluated pairs is, how long it takes to make, and how soon it is open.

Run from the repository, with Chromium and selenium: ``python benchmarks/report_page.py RESULT.json``.
Opened means that every text is there and every chart on the first screens is drawn; the page is opened five times.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from report import browser
from report.runs import log_lines, rows, token_row, write_run

from penchant.report import record, write_report

PAIRS, STEPS = 100_000, 10_000


def measure() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = [token_row(kind, " word", 600) for kind in ("best", "worst") for _ in range(4)]
        samples = [record.Sample("Why? " * 20, "Because. " * 100, "Because it is so. " * 50) for _ in range(8)]
        run = write_run(folder / "run", of_rows=rows(PAIRS), tokens=tokens, samples=samples, log=log_lines(STEPS))
        start = time.perf_counter()
        page = write_report([run])
        made = time.perf_counter() - start
        opened = []
        with browser.chromium(folder / "profile") as driver:
            for _ in range(5):
                driver.get("about:blank")
                start = time.perf_counter()
                driver.get(page.as_uri())
                driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 0))")
                opened.append(time.perf_counter() - start)
                assert driver.execute_script("return document.querySelectorAll('canvas').length") > 0
        return {
            "pairs": PAIRS,
            "steps": STEPS,
            "bytes": page.stat().st_size,
            "made_s": round(made, 2),
            "opened_s": {"median": round(statistics.median(opened), 3), "most": round(max(opened), 3)},
            "machine": platform.processor() or platform.machine(),
        }


if __name__ == "__main__":
    found = measure()
    print(json.dumps(found, indent=2))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
