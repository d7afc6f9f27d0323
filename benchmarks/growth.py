"""How a step's cost grows with the lengths of prompts and answers, what prompts share, the vocabulary and the batch.

    python benchmarks/growth.py        (random weights of SmolLM2-135M's shape, LoRA r=16, bfloat16)

One process per point, so peaks are its own. Writes benchmarks/results/growth.json, which docs/benchmarks.md shows. A
budget of 2048 tokens cuts steps into micro-batches, so that memory stays flat where only the batch grows.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

BASE = {"prompt": 256, "shared": 0, "answer": 128, "vocabulary": 49_152, "pairs": 4, "layers": 30}
POINTS = [
    *({"prompt": p} for p in (128, 512, 1024, 2048, 4096)),
    *({"answer": a} for a in (32, 128, 512, 1024)),
    *({"vocabulary": v} for v in (49_152, 152_000, 262_144)),
    *({"pairs": b} for b in (1, 4, 16)),
    *({"shared": s, "prompt": 1024, "pairs": 12} for s in (0, 256, 768, 1000)),
]
BUDGET = 2048


def measure(prompt: int, shared: int, answer: int, vocabulary: int, pairs: int, layers: int) -> dict[str, float]:
    """Seconds of a policy step (the second of two) with its reference pass, and the peak of this process."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    from penchant.logps import AdapterOff, choose_engine

    torch.set_float32_matmul_precision("medium")
    torch.manual_seed(0)
    sizes = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
    config = LlamaConfig(vocab_size=vocabulary, num_hidden_layers=layers, tie_word_embeddings=True, **sizes)
    lora = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(LlamaForCausalLM(config).to(torch.bfloat16), lora)
    engine, reference = choose_engine(model, 0), AdapterOff(model)

    def ids(count: int) -> list[int]:
        return torch.randint(3, vocabulary, (count,)).tolist()

    beginning = ids(shared)
    groups = [(beginning + ids(prompt - shared), [ids(answer), ids(answer)]) for _ in range(pairs)]
    per_part = max(1, (BUDGET - shared) // (prompt - shared + 2 * answer))
    for _ in range(2):
        start = time.perf_counter()
        for first in range(0, pairs, per_part):
            batch = engine.lay_out(groups[first : first + per_part], "cpu")
            with engine.engaged(model):
                gaps = (engine.logps(model, batch) - reference.logps(engine, batch)).view(-1, 2)
                (-torch.nn.functional.logsigmoid(0.1 * (gaps[:, 0] - gaps[:, 1])).sum() / pairs).backward()
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"pairs_per_second": pairs / seconds, "peak_gb": peak}


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(**json.loads(sys.argv[1]))))
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    results = []
    for change in POINTS:
        point = BASE | change
        done = subprocess.run([sys.executable, __file__, json.dumps(point)], capture_output=True, text=True, check=True)
        kept = {"changed": next(iter(change)), "commit": commit.stdout.strip()}
        results.append(point | kept | json.loads(done.stdout.splitlines()[-1]))
        shown = ", ".join(f"{name} {value}" for name, value in change.items())
        print(f"{shown:22} {results[-1]['pairs_per_second']:.2f} pairs/s  {results[-1]['peak_gb']:.1f} GB", flush=True)
    out = Path(__file__).parent / "results" / "growth.json"
    out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
