"""Measures `penchant check` on the variants under tests/whiteboard and prints the table of docs/check.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from whiteboard.templates import TEMPLATES
from whiteboard.variants import graded, is_right, pairs, singles


def main(verbose: bool) -> None:
    sandboxes: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        for title, variants in (("alone", singles(TEMPLATES)), ("pairs", pairs(TEMPLATES, 160))):
            right = 0
            for variant in variants:
                try:
                    verdict = graded(variant.method, variant.source, Path(folder), sandboxes)
                    good = is_right(verdict, variant.expected)
                    what = f"{verdict.kind} {verdict.codes} {verdict.notes} also={[f.also for f in verdict.findings if f.also]} {verdict.sentence[:150] if verdict.kind in ('failed','right') else ''}"
                except Exception as error:
                    good, what = False, repr(error)
                right += good
                if verbose and not good:
                    print("MISS", variant.name, [sorted(e) for e in variant.expected], "->", what)
            print(title, right, len(variants))


if __name__ == "__main__":
    main("-v" in sys.argv)
