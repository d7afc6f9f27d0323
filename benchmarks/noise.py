"""Which arrangement of precision lowers the rounding noise of implicit-reward margins, and what it costs.

    python benchmarks/noise.py MODEL      (SmolLM2-135M-Instruct; needs the demo's pairs)

64 short pairs, LoRA r=16 whose weights are moved by 2e-5 in random directions, as a first step of Adam moves them.
Margins (policy against adapter off) by every arrangement are held against the same weights computed in float32.
Writes benchmarks/results/noise.json, which docs/benchmarks.md shows.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from scipy.stats import bootstrap

import penchant.logps.engine as engines
from penchant.data import read_preferences
from penchant.demo.assets import PAIRS
from penchant.logps import AdapterOff
from penchant.logps.native import native_library
from penchant.models import load_model
from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs

COUNT, STEP = 64, 2e-5
COMPILED = "lean layers, compiled attention (what a run uses)"
WIDENED = "all in float32, weights widened layer by layer"
OUT = Path(__file__).parent / "results" / "noise.json"


@contextmanager
def hooks(model: Any, *, outputs: bool) -> Iterator[None]:
    """A float32 residual stream; with ``outputs``, every linear layer's output in float32 too."""

    def widen(module: Any, given: Any, output: torch.Tensor) -> torch.Tensor:
        return output.float()

    def narrow(module: Any, given: Any, output: torch.Tensor) -> torch.Tensor:
        return output.bfloat16()

    def exact_product(module: Any, given: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(given[0].bfloat16().float(), module.weight.float())

    kept = []
    for name, module in model.named_modules():
        if name.endswith("embed_tokens") or (name.endswith(("o_proj", "down_proj")) and not outputs):
            kept.append(module.register_forward_hook(widen))
        elif "norm" in name:
            kept.append(module.register_forward_hook(narrow))
        elif outputs and name.endswith("base_layer"):
            kept.append(module.register_forward_pre_hook(lambda module, given: (given[0].bfloat16(),)))
            kept.append(module.register_forward_hook(exact_product))
    try:
        yield
    finally:
        for hook in kept:
            hook.remove()


@contextmanager
def widened(model: Any) -> Iterator[None]:
    """Everything computed in float32 from weights that stay in bfloat16: each is widened when its layer runs."""

    def before(module: Any, given: Any) -> None:
        module.narrow = {name: value.data for name, value in module.named_parameters(recurse=False)}
        for value in module.parameters(recurse=False):
            value.data = value.data.float()

    def after(module: Any, given: Any, output: Any) -> None:
        for name, value in module.named_parameters(recurse=False):
            value.data = module.narrow[name]

    leaves = [m for m in model.modules() if next(m.parameters(recurse=False), None) is not None]
    kept = [m.register_forward_pre_hook(before) for m in leaves] + [m.register_forward_hook(after) for m in leaves]
    try:
        yield
    finally:
        for hook in kept:
            hook.remove()


@torch.no_grad()
def margins(
    model: Any, rows: list[Any], arrangement: Any, *, lean: bool, native: str = "", streamed: bool = True
) -> tuple[np.ndarray, float]:
    """Policy minus reference, first answer minus second, in nats; and the seconds it took."""
    engine, reference, found = engines.Engine("packed", streamed, native), AdapterOff(model), []
    layers = engines.lean_layers
    engines.lean_layers = layers if lean else lambda base: nullcontext()
    start = time.perf_counter()
    try:
        with engine.engaged(model), arrangement:
            for row in rows:
                batch = engine.lay_out([(row.prompt_ids, row.answers)], "cpu")
                found.append(engine.logps(model, batch) - reference.logps(engine, batch))
    finally:
        engines.lean_layers = layers
    values = torch.stack(found)
    return (values[:, 0] - values[:, 1]).double().numpy(), time.perf_counter() - start


def rms(values: np.ndarray, axis: int = -1) -> Any:
    return np.sqrt(np.mean(values**2, axis=axis))


def main() -> None:
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("medium")
    loaded = load_model(sys.argv[1], dtype="bfloat16")
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(loaded.model, lora).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.add_(STEP * (torch.randint(0, 2, value.shape) * 2 - 1).to(value.dtype))
    read = read_preferences([str(PAIRS)], unpaired=False, format=None).rows[:COUNT]
    rows = encode_pairs(read, PromptStyle.of(loaded.tokenizer, "auto"), EncodeSettings(512, "drop")).rows
    exact, exact_seconds = margins(copy.deepcopy(model).float(), rows, nullcontext(), lean=True)
    arrangements = {
        COMPILED: (nullcontext(), True),
        "lean layers, attention in tiles": (nullcontext(), True),
        "PEFT's own layers": (nullcontext(), False),
        "float32 residual stream": (hooks(model, outputs=False), False),
        "float32 residual stream and linear outputs": (hooks(model, outputs=True), False),
        WIDENED: (widened(model), False),
    }
    results = [{"arrangement": "float32 weights", "noise": 0.0, "low": 0.0, "high": 0.0, "seconds": exact_seconds}]
    for name, (arrangement, lean) in arrangements.items():
        native = native_library(torch.bfloat16).build.name if name == COMPILED else ""
        found, seconds = margins(model, rows, arrangement, lean=lean, native=native, streamed=name != WIDENED)
        interval = bootstrap((found - exact,), rms, rng=0, n_resamples=2000).confidence_interval
        results.append({"arrangement": name, "noise": float(rms(found - exact)), "low": float(interval.low)})
        results[-1] |= {"high": float(interval.high), "seconds": seconds}
        print(results[-1], flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    kept = {"commit": commit.stdout.strip(), "pairs": len(rows), "signal": float(rms(exact)), "results": results}
    OUT.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
