"""What share of the processor's own matrix-product rate a DPO step reaches, counted on the flops that it cannot avoid.

    python benchmarks/utilisation.py        (random weights of SmolLM2-135M's shape, LoRA r=16, reference live)

Three numbers for each type and length: pairs per second; the utilisation, that is the least flops of those pairs over
what the processor's products of that type would do in the time (the best of x W', x W and x' W at the layer's shape,
measured in the same process just before); and the least flops over the flops executed, as PyTorch's own counter sees
them, with those of compiled attention added. The first tells a user what a run takes, the second and third tell slow
kernels from needless work. One process per point. Writes benchmarks/results/utilisation.json, which docs/benchmarks.md
shows.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

OUT = Path(__file__).parent / "results" / "utilisation.json"
LAYERS, HIDDEN, INNER, HEADS, KEY_HEADS, VOCABULARY, RANK = 30, 576, 1536, 9, 3, 49_152, 16
PAIRS, BUDGET, STEPS = 4, 2048, 5
POINTS = [
    {"dtype": dtype, "prompt": prompt, "answer": answer}
    for dtype in ("float32", "bfloat16")
    for prompt, answer in ((256, 128), (1024, 256))
]
POINTS = [point | {"engine": engine} for point in POINTS for engine in ("packed-tiled", "packed")]


def least_flops(prompt: int, answer: int, adapters: int) -> float:
    """A pair's flops that no way of computing avoids: the policy's two passes and the reference's one.

    The prompt once for both answers, causal attention, a head at answer tokens only, no gradient of frozen weights,
    none for the input of the first layer, nothing computed twice. ``adapters`` is their number of weights.
    """
    fed, scored = answer - 1, 2 * answer  # an answer's last token predicts nothing
    tokens = prompt + 2 * fed
    scores = prompt * (prompt + 1) / 2 + 2 * (fed * prompt + fed * (fed + 1) / 2)
    queries, keys = HIDDEN, HIDDEN * KEY_HEADS // HEADS
    trunk = LAYERS * (2 * HIDDEN * queries + 2 * HIDDEN * keys + 3 * HIDDEN * INNER)
    head = VOCABULARY * HIDDEN
    first = 2 * HIDDEN * (queries + 2 * keys)
    policy = (4 * trunk - first + 6 * adapters) * tokens + 12 * LAYERS * queries * scores + 4 * head * scored
    return policy + 2 * trunk * tokens + 4 * LAYERS * queries * scores + 2 * head * scored


def peak_rate(dtype: Any, tokens: int) -> float:
    """GFLOP/s of the best of a layer's three products, each the best of many."""
    import torch

    wide, narrow = torch.randn(tokens, INNER).to(dtype), torch.randn(tokens, HIDDEN).to(dtype)
    weight = torch.randn(INNER, HIDDEN).to(dtype)
    products = (lambda: narrow @ weight.T, lambda: wide @ weight, lambda: wide.T @ narrow)
    best = float("inf")
    for product in products:
        for _ in range(30):
            start = time.perf_counter()
            product()
            best = min(best, time.perf_counter() - start)
    return 2 * tokens * HIDDEN * INNER / best / 1e9


def product_flops(target: Any, left: Any, right: Any, **others: Any) -> int:
    """Flops of a product added in place, which PyTorch's counter does not know, by shape."""
    *batch, rows, inner = left
    return int(2 * math.prod(batch) * rows * inner * right[-1])


def attention_flops(name: str, build: Any, problem: Any) -> int:
    """Flops of the products of one call of causal.c, which PyTorch's counter does not see; fillers included."""
    pair, before, d = 4 // build.dtype.itemsize, problem.m - problem.n, problem.d
    total = 0
    for first in range(0, problem.n, 48):
        last = min(first + 48, problem.n)
        for row in range(first, last, 6):
            down, seen = min(6, last - row), before + min(row + 6, last)
            wide, words = -(-seen // build.lanes) * build.lanes, -(-seen // pair) * pair
            total += down * (wide + words if name == "forward" else 2 * wide + words)
        for key in range(0, before + last, 6) if name == "backward" else ():
            unseen = max(0, key - before - first) // pair
            total += 2 * min(6, before + last - key) * (-(-(last - first) // pair) - unseen) * pair
    return int(2 * problem.heads * d * total)


def measure(dtype: str, prompt: int, answer: int, engine: str) -> dict[str, Any]:
    """The three numbers of one point, and what they are made of."""
    import torch
    from peft import LoraConfig, get_peft_model
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import LlamaConfig, LlamaForCausalLM

    from penchant.logps import AdapterOff, choose_engine, native

    torch.set_float32_matmul_precision("medium")
    torch.manual_seed(0)
    sizes = {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS}
    heads = {"num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS, "vocab_size": VOCABULARY}
    base = LlamaForCausalLM(LlamaConfig(**sizes, **heads, tie_word_embeddings=True)).to(getattr(torch, dtype))
    model = get_peft_model(base, LoraConfig(r=RANK, target_modules="all-linear", task_type="CAUSAL_LM"))
    chosen, reference = choose_engine(model, 0, asked=engine), AdapterOff(model)

    def ids(count: int) -> list[int]:
        return torch.randint(3, VOCABULARY, (count,)).tolist()

    groups = [(ids(prompt), [ids(answer), ids(answer)]) for _ in range(PAIRS)]
    per_part = max(1, BUDGET // (prompt + 2 * answer))

    def step() -> None:
        for first in range(0, PAIRS, per_part):
            batch = chosen.lay_out(groups[first : first + per_part], "cpu")
            with chosen.engaged(model):
                gaps = (chosen.logps(model, batch) - reference.logps(chosen, batch)).view(-1, 2)
                (-torch.nn.functional.logsigmoid(0.1 * (gaps[:, 0] - gaps[:, 1])).sum() / PAIRS).backward()

    rate = peak_rate(getattr(torch, dtype), per_part * (prompt + 2 * answer))
    in_place = {torch.ops.aten.addmm_: product_flops, torch.ops.aten.baddbmm_: product_flops}
    in_attention: list[int] = []
    run = native.Library.run

    def counted(self: Any, name: str, problem: Any) -> None:
        in_attention.append(attention_flops(name, self.build, problem))
        run(self, name, problem)

    with (
        FlopCounterMode(display=False, custom_mapping=in_place) as counter,
        mock.patch.object(native.Library, "run", counted),
    ):
        step()
    taken = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    adapters = sum(weight.numel() for name, weight in model.named_parameters() if "lora_" in name)
    least, seconds = PAIRS * least_flops(prompt, answer, adapters), statistics.median(taken)
    return {
        "attention": f"compiled for {chosen.native}" if chosen.native else "tiles",
        "pairs_per_second": round(PAIRS / seconds, 3),
        "peak_gflops": round(rate, 1),
        "least_gflop_per_pair": round(least / PAIRS / 1e9, 1),
        "utilisation": round(least / seconds / 1e9 / rate, 3),
        "least_over_executed": round(least / (counter.get_total_flops() + sum(in_attention)), 3),
    }


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(**json.loads(sys.argv[1]))))
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    results = []
    for point in POINTS:
        done = subprocess.run([sys.executable, __file__, json.dumps(point)], capture_output=True, text=True, check=True)
        results.append(point | json.loads(done.stdout.splitlines()[-1]))
        print(results[-1], flush=True)
    kept = {"commit": commit.stdout.strip(), "cores": os.cpu_count(), "results": results}
    OUT.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
