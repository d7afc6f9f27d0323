"""The tables of docs/benchmarks.md, from the results files."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
WHAT = {
    "dpo-cached": "DPO, bfloat16 weights, reference computed before (TRL's best setting)",
    "dpo-defaults": "DPO, reference live; TRL's defaults (float32 weights, bfloat16 autocast, checkpointing)",
    "dpo-float32": "DPO, float32, reference live",
    "simpo": "SimPO, bfloat16 weights",
    "orpo": "ORPO, bfloat16 weights",
    "kto": "KTO, bfloat16 weights, reference live",
}


def against_trl(file: str = "against_trl.json") -> str:
    """Rows per second and their ratio over all counted steps, the median of the steps' ratios, and peak memory."""
    settings = json.loads((RESULTS / file).read_text())["settings"]
    lines = [
        "| setting | TRL rows/s | penchant rows/s | faster | median step | TRL GB | penchant GB | memory | commit |",
        "|" + " --- |" * 9,
    ]
    for name, what in WHAT.items():
        result = settings[name]
        speed, peak = result["rows_per_second"], result["peak_gb"]
        lines.append(
            f"| {what} | {speed['trl']:.3f} | {speed['penchant']:.3f} | {speed['penchant'] / speed['trl']:.1f}x | "
            f"{result['median_ratio']:.1f}x | {peak['trl']:.1f} | {peak['penchant']:.1f} | "
            f"{result['peak_ratio']:.2f} | {result['commit']} |"
        )
    return "\n".join(lines)


def growth() -> str:
    """Pairs per second and peak memory, one thing changed at a time."""
    lines = ["| changed | prompt | shared | answers | vocabulary | pairs | pairs/s | peak GB |", "|" + " --- |" * 8]
    for point in json.loads((RESULTS / "growth.json").read_text()):
        lines.append(
            f"| {point['changed']} | {point['prompt']} | {point['shared']} | {point['answer']} | "
            f"{point['vocabulary']:,} | {point['pairs']} | {point['pairs_per_second']:.2f} | {point['peak_gb']:.1f} |"
        )
    return "\n".join(lines)


def start() -> str:
    """From the command to the first step, by the number of rows; and what a row costs in memory."""
    results = sorted(json.loads((RESULTS / "start.json").read_text())["results"], key=lambda one: one["rows"])
    lines = ["| rows | side | processor s | all runs | peak GB |", "|" + " --- |" * 5]
    for found in results:
        runs = ", ".join(f"{seconds:.0f}" for seconds in found["all_cpu_s"])
        lines.append(
            f"| {found['rows']:,} | {found['side']} | {found['cpu_s']:.0f} | {runs} | {found['peak_gb']:.2f} |"
        )
    small = [one for one in results if one["side"] == "penchant, small model" and one["rows"] >= 1000]
    few, many = small[0], small[-1]
    per_row = (many["peak_gb"] - few["peak_gb"]) * 1e6 / (many["rows"] - few["rows"])
    lines += ["", f"From {few['rows']:,} to {many['rows']:,} rows the peak grows by {per_row:.1f} KB a row."]
    return "\n".join(lines)


def utilisation() -> str:
    """A step against the processor's own matrix-product rate."""
    lines = [
        "| type | attention | prompt | answers | pairs/s | products, GFLOP/s | least GFLOP a pair | utilisation "
        "| least/executed |",
        "|" + " --- |" * 9,
    ]
    for found in json.loads((RESULTS / "utilisation.json").read_text())["results"]:
        lines.append(
            f"| {found['dtype']} | {found['attention']} | {found['prompt']} | {found['answer']} | "
            f"{found['pairs_per_second']:.2f} | "
            f"{found['peak_gflops']:.0f} | {found['least_gflop_per_pair']:.0f} | {found['utilisation']:.0%} | "
            f"{found['least_over_executed']:.0%} |"
        )
    return "\n".join(lines)


def noise() -> str:
    """Rounding noise of margins by arrangement of precision, with bootstrap intervals."""
    measured = json.loads((RESULTS / "noise.json").read_text())
    lines = ["| arrangement | noise, nats (95 %) | seconds |", "|" + " --- |" * 3]
    for found in measured["results"]:
        interval = f"{found['noise']:.2g} [{found['low']:.2g}, {found['high']:.2g}]"
        lines.append(f"| {found['arrangement']} | {interval} | {found['seconds']:.0f} |")
    signal = f"{measured['pairs']} pairs; root mean square margin in float32: {measured['signal']:.2g} nats."
    return "\n".join([*lines, "", signal])


def lint() -> str:
    """What the rules on text cost: time and memory per file format, and the rules' own memory."""
    measured = json.loads((RESULTS / "lint.json").read_text())
    what = f"{measured['rows']:,} pairs, {measured['megabytes'] / 1e3:.2f} GB as JSON Lines"
    alone = f"The rules alone, with rows made on the fly, peak at {measured['rules_alone_peak_rss_mb']:.0f} MB."
    return "\n".join([f"{what}:", "", *_commands(measured, "file"), "", alone])


def convert() -> str:
    """What converting costs, one way and back."""
    measured = json.loads((RESULTS / "convert.json").read_text())
    what = f"{measured['rows']:,} pairs, {measured['results'][0]['megabytes']:.0f} MB as JSON Lines:"
    return "\n".join([what, "", *_commands(measured, "to")])


def score() -> str:
    """What scoring a table of log-probs costs, by file format, for one method and for all that fit its columns."""
    measured = json.loads((RESULTS / "score.json").read_text())
    lines = [
        f"{measured['rows']:,} pairs, on one core, pyarrow {measured['pyarrow']}:",
        "",
        "| file | MB | `--method` | wall seconds | processor seconds | all runs | peak MB |",
        "|" + " --- |" * 7,
    ]
    for found in measured["results"]:
        runs = ", ".join(f"{seconds:.2f}" for seconds in found["all_seconds"])
        lines.append(
            f"| `{found['file']}` | {found['megabytes']:.0f} | {found['method']} | {found['seconds']:.2f} | "
            f"{found['cpu_seconds']:.2f} | {runs} | {found['peak_rss_mb']:.0f} |"
        )
    return "\n".join(lines)


def _commands(measured: dict[str, Any], name: str) -> list[str]:
    columns = ("cores", "wall seconds", "MB/s", "processor seconds", "MB/s of processor time", "load", "peak MB")
    lines = [f"| {name} | {' | '.join(columns)} |", "|" + " --- |" * (1 + len(columns))]
    for found in measured["results"]:
        lines.append(
            f"| `{found[name]}` | {found.get('cores', 1)} | {found['seconds']:.0f} | "
            f"{found['megabytes_per_second']:.0f} | {found['cpu_seconds']:.1f} | "
            f"{found['megabytes_per_processor_second']:.0f} | {measured['load_before']} | {found['peak_rss_mb']:.0f} |"
        )
    return lines


def tokenise(name: str = "tokenise") -> str:
    """Seconds to prepare the same rows, beside TRL."""
    measured = json.loads((RESULTS / f"{name}.json").read_text())
    names = {
        "penchant": "penchant",
        "penchant_by_encode_batch": "penchant, every text given to the library's `encode_batch`",
        "penchant_cached": "penchant, from the token cache",
        "trl": "TRL, as it comes: one process",
        "trl_two_processes": "TRL with `dataset_num_proc=2`",
    }
    lines = ["| side | processor seconds | wall seconds | TRL's processor time over it | TRL's wall time over it |"]
    lines.append("|" + " --- |" * 5)
    if measured["rows"] < 1000:
        del names["penchant_cached"]  # so few are not kept
    for name, title in names.items():
        processor = statistics.median(measured["processor_seconds"][name])
        wall = statistics.median(measured["seconds"][name])
        over, of_wall = measured["trl_over_in_processor_time"][name], measured["trl_over"][name]
        lines.append(f"| {title} | {processor:.2f} | {wall:.2f} | {over:.1f} | {of_wall:.1f} |")
    runs = len(measured["seconds"]["trl"])
    told = "one run" if runs == 1 else f"medians of {runs} runs"
    return "\n".join([f"{measured['rows']:,} rows, {told}, load {measured['load_before']} before:", "", *lines])


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


def plan() -> str:
    """Planned and measured peaks of training on a CPU: what is held, and resident memory with the allocator's room."""
    lines = ["| training | type | activations | tokens in a pass | held, planned | held, measured | off |"]
    lines[0] += " resident, planned | resident, measured | off |"
    lines.append("|" + " --- |" * 10)
    for one in json.loads((RESULTS / "plan.json").read_text()):
        planned, held = one["plan_gb"] - one["parts_gb"]["allocator"], one["held_gb"]
        found = f"{held:.2f} | {planned / held - 1:+.0%}" if held else "- | -"
        lines.append(
            f"| {'adapter' if one['lora'] else 'full'} | {one['dtype']} | "
            f"{'made again' if one['checkpointing'] else 'kept'} | {one['budget']} | {planned:.2f} | {found} | "
            f"{one['plan_gb']:.2f} | {one['resident_gb']:.2f} | {one['off']:+.0%} |"
        )
    return "\n".join(lines)


def trend(marks: list[dict[str, float]], *, load: bool) -> tuple[float, float]:
    """Share by which a step takes more of the processor at the end than at the beginning, and its standard error.

    Args:
        marks: What a long run noted, at equal distances.
        load: Whether the machine's load is a part of the least squares: other processes make a step slower too.
    """
    time = np.linspace(0, 1, len(marks))
    causes = [time, *([np.array([mark["load"] for mark in marks])] if load else [])]
    design = np.column_stack([np.ones(len(marks)), *(cause - cause[0] for cause in causes)])
    spent = np.array([mark["processor_seconds"] for mark in marks])
    solution, (left,), *_ = np.linalg.lstsq(design, spent, rcond=None)
    spread = left / (len(marks) - design.shape[1]) * np.linalg.inv(design.T @ design)[1, 1]
    return float(solution[1] / solution[0]), float(np.sqrt(spread) / solution[0])


def _changes(change: tuple[float, float]) -> str:
    return f"{change[0]:+.0%} (standard error {change[1]:.0%})"


def _loads(marks: list[dict[str, float]]) -> str:
    loads = [mark["load"] for mark in marks]
    return f"{min(loads):.1f} to {max(loads):.1f}"


def soak() -> str:
    """What a long run does to memory, time and files."""
    found = json.loads((RESULTS / "soak.json").read_text())
    marks, steps = found["marks"], found["steps"]
    counted = [mark for mark in marks if mark["step"] >= found["steps_asked"] // 10]
    first, last = counted[0], counted[-1]
    each = 1e3 * sum(mark["processor_seconds"] for mark in counted[1:]) / (last["step"] - first["step"])
    ended = "all of them" if steps == found["steps_asked"] else "stopped for want of time"
    lines = [
        f"{steps:,} steps of {found['steps_asked']:,} asked for, {ended}.",
        f"Memory at step {first['step']:,}: {first['bytes'] / 1e6:.1f} MB, at step {last['step']:,}: "
        f"{last['bytes'] / 1e6:.1f} MB ({found['memory_growth']:+.2%}). "
        f"Processor time of a step: {each:.0f} ms on average; over these steps {_changes(trend(counted, load=False))}, "
        f"with the machine's load ({_loads(counted)}) held fixed {_changes(trend(counted, load=True))}. "
        f"Log lines in memory: {found['lines_in_memory']:,}; `log.jsonl`: "
        f"{found['log_bytes']['log.jsonl'] / (steps / 2):.0f} bytes a line.",
    ]
    return "\n".join(lines)
