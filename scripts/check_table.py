"""Measures `penchant check` on the variants under tests/whiteboard and writes the table into docs/check.md.

python scripts/check_table.py        # prints what was missed, too
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

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


def measure(variants: list[Variant], folder: Path, sandboxes: dict[str, Sandbox]) -> list[str]:
    """The names of the variants whose diagnosis was not right, with what it was."""
    missed = []
    for variant in variants:
        verdict = graded(variant.method, variant.source, folder, sandboxes)
        if not is_right(verdict, variant.expected):
            wanted = " + ".join("/".join(sorted(codes)) for codes in variant.expected)
            missed.append(f"{variant.name}: {wanted}, found {verdict.kind} {', '.join(verdict.codes + verdict.notes)}")
    return missed


def table(folder: Path) -> tuple[str, list[str]]:
    """The table as Markdown, and what was missed."""
    sandboxes: dict[str, Sandbox] = {}
    sets = {
        "one mistake": singles(TEMPLATES),
        "two mistakes": pairs(TEMPLATES, PAIRS),
        "held out, one mistake": singles(HELD_OUT),
        "held out, two mistakes": pairs(HELD_OUT, HELD_OUT_PAIRS),
        "fresh, one mistake": singles(FRESH),
        "fresh, two mistakes": pairs(FRESH, FRESH_PAIRS),
        "latest, one mistake or two": list(LATEST),
    }
    lines = ["| variants | number | right diagnosis | share |", "| --- | --- | --- | --- |"]
    missed = []
    for title, variants in sets.items():
        wrong = measure(variants, folder, sandboxes)
        missed += wrong
        right = len(variants) - len(wrong)
        lines.append(f"| {title} | {len(variants)} | {right} | {100 * right / len(variants):.1f} % |")
        print(lines[-1], *wrong, sep="\n", flush=True)
    for title, sources in (
        ("correct", CORRECT),
        ("held out, correct", CORRECT_HELD_OUT),
        ("latest, correct", list(LATEST_RIGHT)),
        ("every method from its steps", [(name, written(name)) for name in checkable() if name not in LEFT_OUT]),
    ):
        calm = [(m, s) for m, s in sources if graded(m, s, folder, sandboxes).kind == "right"]
        missed += [f"{title}: called wrong:\n{s}" for m, s in sources if (m, s) not in calm]
        lines.append(f"| {title} | {len(sources)} | {len(calm)} | {100 * len(calm) / len(sources):.1f} % |")
        print(lines[-1], flush=True)
    for sandbox in sandboxes.values():
        sandbox.close()
    return "\n".join(lines), missed


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        text, missed = table(Path(folder))
    page = ROOT / "docs" / "check.md"
    block = f"<!-- check_table -->\n{text}\n<!-- end -->"
    page.write_text(re.sub(r"<!-- check_table -->.*?<!-- end -->", lambda _: block, page.read_text(), flags=re.S))
    print(text, *missed, sep="\n")


if __name__ == "__main__":
    main()
