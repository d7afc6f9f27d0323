"""The tables of docs/benchmarks.md, from the results files."""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
WHAT = {
    "dpo-cached": "DPO, bfloat16 weights, reference computed before (TRL's best setting)",
    "dpo-defaults": "DPO, reference live; TRL's defaults (float32 weights, bfloat16 autocast, checkpointing)",
    "dpo-float32": "DPO, float32, reference live",
    "simpo": "SimPO, bfloat16 weights",
    "orpo": "ORPO, bfloat16 weights",
    "kto": "KTO, bfloat16 weights, reference live",
}


def against_trl() -> str:
    """Rows per second, the median of the steps' ratios, and peak resident memory of both sides."""
    settings = json.loads((RESULTS / "against_trl.json").read_text())["settings"]
    lines = [
        "| setting | TRL rows/s | penchant rows/s | faster | TRL GB | penchant GB | of the memory | commit |",
        "|" + " --- |" * 8,
    ]
    for name, what in WHAT.items():
        result = settings[name]
        speed, peak = result["rows_per_second"], result["peak_gb"]
        lines.append(
            f"| {what} | {speed['trl']:.3f} | {speed['penchant']:.3f} | {result['median_ratio']:.1f}x | "
            f"{peak['trl']:.1f} | {peak['penchant']:.1f} | {result['peak_ratio']:.2f} | {result['commit']} |"
        )
    return "\n".join(lines)


def growth() -> str:
    """Pairs per second and peak memory, one thing changed at a time."""
    lines = ["| changed | prompt | answers | vocabulary | pairs | pairs/s | peak GB |", "|" + " --- |" * 7]
    for point in json.loads((RESULTS / "growth.json").read_text()):
        lines.append(
            f"| {point['changed']} | {point['prompt']} | {point['answer']} | {point['vocabulary']:,} | "
            f"{point['pairs']} | {point['pairs_per_second']:.2f} | {point['peak_gb']:.1f} |"
        )
    return "\n".join(lines)


def lint() -> str:
    """What the rules on text cost: time and memory per file format, and the rules' own memory."""
    measured = json.loads((RESULTS / "lint.json").read_text())
    lines = ["| file | seconds | MB/s of JSON Lines | peak GB |", "|" + " --- |" * 4]
    for result in measured["results"]:
        speed, peak = result["megabytes_per_second"], result["peak_rss_mb"] / 1e3
        lines.append(f"| `{result['file']}` | {result['seconds']:.1f} | {speed:.0f} | {peak:.1f} |")
    what = f"{measured['rows']:,} pairs, {measured['megabytes'] / 1e3:.2f} GB as JSON Lines"
    alone = f"The rules alone, with rows made on the fly, peak at {measured['rules_alone_peak_rss_mb']:.0f} MB."
    return "\n".join([f"{what}, on one core:", "", *lines, "", alone])


def gpu_speed() -> str:
    """Median seconds of a step and peak memory on a GPU: steps by each way, and whole trainers."""
    results = json.loads((RESULTS / "gpu.json").read_text())
    lines = ["| step | prompt | seconds | slowest | peak GB |", "|" + " --- |" * 5]
    for section, kind in (("speed", ""), ("trainers", ", whole trainer")):
        for name, found in results[section].items():
            if isinstance(found, dict):
                way, prompt = name.split(", prompt ")
                slowest = max(found["seconds"])
                lines.append(
                    f"| {way}{kind} | {prompt} | {found['median']:.3f} | {slowest:.3f} | {found['peak_gb']:.1f} |"
                )
    return "\n".join(lines)


def gpu_exactness() -> str:
    """By number type, the largest error over the families of log-probs (by their size) and gradients (norms)."""
    families = json.loads((RESULTS / "gpu.json").read_text())["exactness"]
    lines = ["| type | families | rows | log-probs | gradients |", "|" + " --- |" * 5]
    for dtype in ("float64", "float32", "bfloat16"):
        kept = [family[dtype] for family in families.values() if dtype in family]
        tiers = [one["rows"] for one in kept]
        chosen = "chosen: " + ", ".join(f"{tiers.count(t)} {t}" for t in dict.fromkeys(tiers))
        for way, what in (("plain", "plain"), ("chosen", chosen)):
            value, slope = (max(one[way][key] for one in kept) for key in ("value_error", "gradient_error"))
            lines.append(f"| {dtype} | {len(kept)} | {what} | {value:.1e} | {slope:.1e} |")
    return "\n".join(lines)
