"""Measures `penchant check` on the variants under tests/whiteboard and writes the table into docs/check.md.

python scripts/check_table.py        # prints what was missed, too
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from whiteboard.blind import BLIND
from whiteboard.blind_right import BLIND_RIGHT
from whiteboard.correct import CORRECT, CORRECT_HELD_OUT
from whiteboard.fresh import FRESH
from whiteboard.held_out import HELD_OUT
from whiteboard.latest import RIGHT as LATEST_RIGHT
from whiteboard.latest import WRONG as LATEST
from whiteboard.templates import TEMPLATES
from whiteboard.variants import Variant, graded, is_right, pairs, singles
from whiteboard.written import written

from penchant.whiteboard.sandbox import Sandbox
from penchant.whiteboard.subjects import checkable

LEFT_OUT = ("log_sigmoid", "focal_dpo", "discopop")  # as written, the steps of these two under- and overflow
PAIRS, HELD_OUT_PAIRS, FRESH_PAIRS = 160, 60, 120
AT_ONCE = 30
"""Variants that one process grades before it starts its libraries afresh."""


def sets() -> dict[str, list[Variant]]:
    """What is measured, row by row; a variant that expects nothing is right."""
    wrong = {
        "one mistake": singles(TEMPLATES),
        "two mistakes": pairs(TEMPLATES, PAIRS),
        "held out, one mistake": singles(HELD_OUT),
        "held out, two mistakes": pairs(HELD_OUT, HELD_OUT_PAIRS),
        "fresh, one mistake": singles(FRESH),
        "fresh, two mistakes": pairs(FRESH, FRESH_PAIRS),
        "latest, one mistake or two": list(LATEST),
        "blind, one mistake or two": list(BLIND),
    }
    right = {
        "correct": CORRECT,
        "held out, correct": CORRECT_HELD_OUT,
        "latest, correct": LATEST_RIGHT,
        "blind, correct": BLIND_RIGHT,
        "every method from its steps": [(name, written(name)) for name in checkable() if name not in LEFT_OUT],
    }
    return wrong | {
        title: [Variant(f"{title}/{number}", *source, ()) for number, source in enumerate(sources)]
        for title, sources in right.items()
    }


def missed(variants: list[Variant]) -> list[str]:
    """The names of the variants whose diagnosis was not right, with what it was."""
    found, sandboxes = [], dict[str, Sandbox]()
    with tempfile.TemporaryDirectory() as folder:
        for variant in variants:
            verdict = graded(variant.method, variant.source, Path(folder), sandboxes)
            good = is_right(verdict, variant.expected) if variant.expected else verdict.kind == "right"
            if not good:
                wanted = " + ".join("/".join(sorted(codes)) for codes in variant.expected) or "right"
                found.append(f"{variant.name}: {wanted}, found {verdict.kind} {', '.join(verdict.codes)}")
        for sandbox in sandboxes.values():
            sandbox.close()
    return found


def main() -> None:
    rows = ["| variants | number | right diagnosis | share |", "| --- | --- | --- | --- |"]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = {
            title: [pool.submit(missed, variants[at : at + AT_ONCE]) for at in range(0, len(variants), AT_ONCE)]
            for title, variants in sets().items()
        }
        for title, variants in sets().items():
            misses = [line for job in jobs[title] for line in job.result()]
            right = len(variants) - len(misses)
            rows.append(f"| {title} | {len(variants)} | {right} | {100 * right / len(variants):.1f} % |")
            print(rows[-1], *misses, sep="\n", flush=True)
    page = ROOT / "docs" / "check.md"
    block = "\n".join(["<!-- check_table -->", *rows, "<!-- end -->"])
    page.write_text(re.sub(r"<!-- check_table -->.*?<!-- end -->", lambda _: block, page.read_text(), flags=re.S))


if __name__ == "__main__":
    main()
