"""The page of the reproductions: each one's text, its numbers as last measured, and its figure."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ORDER = (
    *("ipo_sampled", "ipo_deterministic", "dpo_consistency", "flipped_labels", "loss_shapes", "exo_modes", "chi_po"),
    *("dpo_counterexample", "displacement", "kto_contradictory", "reward_mismatch", "length_bias"),
    *("moving_reference", "orpo_numerics", "rankings"),
)


def as_markdown() -> str:
    return "\n".join(section(name) for name in ORDER)


def section(name: str) -> str:
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    title, _, body = text.partition("\n\n")
    result: dict[str, Any] = json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))
    lines = [f"| {row['what']} | {row['measured']:.6g} | {expected(row)} |" for row in result["numbers"]]
    return "\n".join(
        [
            f"## {title}\n\n{body}\n",
            f"![{title}](../examples/reproductions/results/{name}.svg)\n",
            "| what | measured | theory |\n| --- | --- | --- |",
            *lines,
            f"\n`python examples/reproductions/{name}.py`, {result['seconds']:.0f} s.\n",
        ]
    )


def expected(row: dict[str, Any]) -> str:
    return "measured only" if row["theory"] is None else f"{row['theory']:.6g} ± {row['within']:.1g}"
