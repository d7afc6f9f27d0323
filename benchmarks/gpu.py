"""The engine on one GPU: is it exact there, how fast, in how much memory; TRL's trainer beside it.

    python benchmarks/gpu.py --out benchmarks/results/gpu.json

Random weights only. A section that fails (TRL's, where TRL is missing) leaves its traceback in the results, the others
still run, and the exit code is 1. ``--small`` runs every section on tiny sizes, on a CPU if need be: a test of this
script, no measurement.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import json
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback

from penchant.logps import Engine, choose_engine
from penchant.records import TokenPair

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SMALL = "--small" in sys.argv
STEPS, WARM_UP, PAIRS = (2, 1, 2) if SMALL else (7, 3, 8)
SHAPES = ((12, 6, 4, 0),) if SMALL else ((512, 256, 192, 0), (128, 256, 192, 0), (1152, 256, 192, 1024))
WORDS = 400
LORA = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
TINY = {"vocab_size": WORDS, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16}
TINY |= {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2}
TINY |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen3": {},
    "mistral": {"sliding_window": 16},
    "gemma2": {"sliding_window": 16, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 2.0},
    "gemma3_text": {"sliding_window": 16, "query_pre_attn_scalar": 16},
    "gpt_oss": {"num_local_experts": 4, "sliding_window": 16, "num_experts_per_tok": 2},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "gptj": {"n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
}
NO_FLOAT64 = {"gemma2", "gpt_oss"}  # transformers' eager attention gives NaN there, its experts refuse it
BILLION = {"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16}
BILLION |= {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": True}


def environment() -> dict[str, Any]:
    names = ("torch", "transformers", "peft", "accelerate", "trl", "datasets")
    versions = {name: importlib.metadata.version(name) for name in names if find_spec(name)}
    versions["python"] = sys.version.split()[0]
    if DEVICE == "cpu":
        return {"device": "cpu", "versions": versions}
    card = torch.cuda.get_device_properties(0)
    return {"device": card.name, "memory_gb": card.total_memory / 1e9, "cuda": torch.version.cuda, "versions": versions}


def draw(prompt: int, chosen: int, rejected: int, pairs: int, vocabulary: int, shared: int = 0) -> list[Any]:
    """Random groups, one prompt and two answers each; so many tokens of the prompts are the same."""
    generator = torch.Generator().manual_seed(0)

    def tokens(count: int) -> list[int]:
        return torch.randint(3, vocabulary, (count,), generator=generator).tolist()

    beginning = tokens(shared)
    return [(beginning + tokens(prompt - shared), [tokens(chosen), tokens(rejected)]) for _ in range(pairs)]


def model_of(family: str, sizes: dict[str, Any], dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **sizes)
    return AutoModelForCausalLM.from_config(config, dtype=dtype).to(DEVICE).train()


def values_and_slopes(model: Any, engine: Engine, groups: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs, and gradients of an uneven sum of them by every weight, both in float64."""
    with engine.engaged(model):
        logps = engine.logps(model, engine.lay_out(groups, DEVICE))
        weights = torch.linspace(-1.0, 2.0, len(logps), dtype=logps.dtype, device=DEVICE)
        slopes = torch.autograd.grad((weights * logps).sum(), list(model.parameters()), allow_unused=True)
    flat = [torch.zeros_like(p) if s is None else s for p, s in zip(model.parameters(), slopes, strict=True)]
    return logps.detach().double(), torch.cat([s.flatten().double() for s in flat])


def exactness() -> dict[str, Any]:
    """Each family's own engine and plain rows, by type, against plain rows in float64 (float32 where it has none)."""
    groups = {"": draw(60, 50, 33, 3, WORDS) + draw(1, 1, 5, 2, WORDS), ", begin alike": draw(60, 50, 33, 3, WORDS, 40)}
    results: dict[str, Any] = {}
    for family, changes in FAMILIES.items():
        results[family] = guarded(lambda f=family, c=changes: one_family(f, TINY | c, groups))
        print(family, json.dumps(results[family])[:400], flush=True)
    return results


def one_family(family: str, sizes: dict[str, Any], groups: dict[str, list[Any]]) -> dict[str, Any]:
    types = [torch.float64, torch.float32, torch.bfloat16][family in NO_FLOAT64 :]
    exact = model_of(family, sizes, torch.float32).to(types[0])
    truths = {kind: values_and_slopes(exact, Engine(), some) for kind, some in groups.items()}
    found: dict[str, Any] = {}
    for dtype in types:
        model = copy.deepcopy(exact).to(dtype)
        engine = choose_engine(model, 0)
        name = str(dtype).removeprefix("torch.")
        found[name] = {"engine": engine.description, "rows": engine.rows, "streamed": engine.streamed}
        for (way, used), (kind, truth) in product((("plain", Engine()), ("chosen", engine)), truths.items()):
            values, slopes = values_and_slopes(model, used, groups[kind])
            gap = (values - truth[0]).abs()
            found[name][way + kind] = {
                "value_error": (gap / (1 + truth[0].abs())).max().item(),
                "nats_rms": gap.square().mean().sqrt().item(),
                "gradient_error": ((slopes - truth[1]).norm() / truth[1].norm()).item(),
            }
    return found


def big_model() -> Any:
    """A Llama of a billion random bfloat16 weights with an adapter."""
    sizes = TINY | {"initializer_range": 0.02} if SMALL else BILLION
    torch.manual_seed(0)
    with torch.device(DEVICE):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **sizes), dtype=torch.bfloat16)


def loop_logps(model: Any, rows: list[tuple[list[int], list[int]]]) -> torch.Tensor:
    """What one writes with transformers alone: right padding, all logits, log_softmax, gather, mask."""
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.tensor([p + a + [0] * (width - len(p) - len(a)) for p, a in rows], device=DEVICE)
    position = torch.arange(width, device=DEVICE)
    ends = torch.tensor([len(p) + len(a) for p, a in rows], device=DEVICE)[:, None]
    starts = torch.tensor([len(p) for p, _ in rows], device=DEVICE)[:, None]
    logits = model(input_ids=ids, attention_mask=(position < ends).long(), use_cache=False).logits
    logps = torch.log_softmax(logits[:, :-1].float(), -1).gather(-1, ids[:, 1:, None])[..., 0]
    return (logps * ((position >= starts) & (position < ends))[:, 1:]).sum(-1)


def by_loop(model: Any, groups: list[Any]) -> torch.Tensor:
    chosen = loop_logps(model, [(prompt, answers[0]) for prompt, answers in groups])
    rejected = loop_logps(model, [(prompt, answers[1]) for prompt, answers in groups])
    return torch.stack([chosen, rejected], 1).flatten()


def train_step(model: Any, optimizer: Any, engine: Engine | None, groups: list[Any]) -> float:
    """One DPO step, reference with the adapter off; an engine stays engaged through the backward pass."""
    with nullcontext() if engine is None else engine.engaged(model):

        def logps() -> torch.Tensor:
            return by_loop(model, groups) if engine is None else engine.logps(model, engine.lay_out(groups, DEVICE))

        with torch.no_grad(), model.disable_adapter():
            reference = logps()
        gaps = logps() - reference
        loss = -torch.nn.functional.logsigmoid(0.1 * (gaps[0::2] - gaps[1::2])).mean()
        loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def timed(step: Callable[[], Any]) -> dict[str, Any]:
    """Seconds of each step after the warm-up, and the most memory allocated over those."""
    for _ in range(WARM_UP):
        step()
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(STEPS):
        start = now()
        step()
        seconds.append(now() - start)
    return {"seconds": seconds, "median": statistics.median(seconds), "peak_gb": peak()}


def now() -> float:
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak() -> float | None:
    return torch.cuda.max_memory_allocated() / 1e9 if DEVICE == "cuda" else None


def speed() -> dict[str, Any]:
    """A training step of the billion, by each way in turn, on each shape."""
    model = get_peft_model(big_model(), LORA)
    chosen = choose_engine(model, 0)
    ways = {"transformers loop": None, "plain": Engine(), "plain, head streamed": Engine(streamed=True)}
    ways |= {"packed, logits": Engine("packed"), "packed, head streamed": Engine("packed", True)}
    results: dict[str, Any] = {"engine": chosen.description, "pairs": PAIRS}
    if DEVICE == "cuda":
        results["weights_gb"] = torch.cuda.memory_allocated() / 1e9
    vocabulary = model.get_input_embeddings().weight.shape[0]
    for shape in SHAPES:
        groups = draw(*shape[:3], PAIRS, vocabulary, shape[3])
        for name, engine in ways.items():
            optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
            found = guarded(lambda e=engine, o=optimizer, g=groups: timed(lambda: train_step(model, o, e, g)))
            results[f"{name}, prompt {shape[0]}{f' of which {shape[3]} alike' if shape[3] else ''}"] = found
            print(name, shape, json.dumps(found)[:300], flush=True)
    return results


class Timed(TrainerCallback):
    """Seconds of every optimiser step, and the peak of memory after the warm-up."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if len(self.seconds) == WARM_UP and DEVICE == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self.start = now()

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.seconds.append(now() - self.start)

    def result(self) -> dict[str, Any]:
        kept = self.seconds[WARM_UP:]
        return {"seconds": kept, "median": statistics.median(kept), "peak_gb": peak()}


def word_tokenizer() -> Any:
    """One token a word, so that texts of a given length in tokens can be made."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<pad>", "<s>", "</s>", *(f"w{index}" for index in range(3, WORDS))]
    inner = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def trainers() -> dict[str, Any]:
    """Whole trainers on the same rows: penchant's, and TRL's with its own settings but no checkpointing."""
    results: dict[str, Any] = {}
    for shape in SHAPES:
        groups = draw(*shape[:3], PAIRS * (STEPS + WARM_UP), WORDS, shape[3])
        for name, run in (("penchant", run_penchant), ("trl", run_trl), ("penchant again", run_penchant)):
            results[f"{name}, prompt {shape[0]}"] = guarded(lambda r=run, g=groups: r(big_model(), g))
            print(name, shape, json.dumps(results[f"{name}, prompt {shape[0]}"])[-600:], flush=True)
            if DEVICE == "cuda":
                torch.cuda.empty_cache()
    return results


def run_penchant(model: Any, groups: list[Any], **settings: Any) -> dict[str, Any]:
    from penchant.training.config import PreferenceConfig
    from penchant.training.trainer import PreferenceTrainer

    rows = [
        TokenPair(prompt, chosen, rejected, source=f"row {number}")
        for number, (prompt, (chosen, rejected)) in enumerate(groups, 1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        common = {"output_dir": folder, "method": "dpo", "batch_size": PAIRS, "report_to": "none"}
        common |= {"save_strategy": "no", "micro_batch_tokens": 16384, "logging_steps": 1, "use_cpu": DEVICE == "cpu"}
        config = PreferenceConfig(**(common | {"max_steps": STEPS + WARM_UP} | settings))
        callback = Timed()
        trainer = PreferenceTrainer(
            get_peft_model(model, LORA), config, rows, processing_class=word_tokenizer(), callbacks=[callback]
        )
        trainer.train()
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        return callback.result() | {"engine": trainer.engine.description, "losses": losses}


def run_trl(model: Any, groups: list[Any]) -> dict[str, Any]:
    import trl
    from datasets import Dataset

    def text(tokens: list[int]) -> str:
        return " ".join(f"w{token}" for token in tokens)

    rows = [{"prompt": text(p), "chosen": " " + text(c), "rejected": " " + text(r)} for p, (c, r) in groups]
    with tempfile.TemporaryDirectory() as folder:
        config = trl.DPOConfig(
            output_dir=folder, per_device_train_batch_size=PAIRS, max_steps=STEPS + WARM_UP, max_length=1024,
            report_to="none", save_strategy="no", bf16=True, gradient_checkpointing=False, logging_steps=1,
            use_cpu=DEVICE == "cpu",
        )  # fmt: skip
        callback = Timed()
        trainer = trl.DPOTrainer(
            model, args=config, train_dataset=Dataset.from_list(rows), peft_config=LORA,
            processing_class=word_tokenizer(), callbacks=[callback],
        )  # fmt: skip
        trainer.train()
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        return callback.result() | {"losses": losses}


def end_to_end() -> dict[str, Any]:
    """A few steps in float32 on a small model, whole and cut into micro-batches: the losses must be the same."""
    groups = draw(24, 12, 8, 4 * PAIRS, WORDS)
    settings = {"max_steps": STEPS + WARM_UP, "learning_rate": 1e-3, "seed": 0}
    return {
        f"micro-batches of {tokens} tokens": run_penchant(
            model_of("llama", TINY, torch.float32), groups, micro_batch_tokens=tokens, **settings
        )
        for tokens in (16384, 64)
    }


def guarded(measure: Callable[[], Any]) -> Any:
    """What a section found, or its traceback."""
    try:
        return measure()
    except Exception:  # noqa: BLE001  (kept in the results, printed, and told by the exit code)
        return {"error": traceback.format_exc()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--sections", nargs="*", default=["exactness", "end_to_end", "speed", "trainers"])
    arguments = parser.parse_args()
    results: dict[str, Any] = {"environment": environment()}
    print(results["environment"], flush=True)
    for section in arguments.sections:
        start = time.perf_counter()
        results[section] = guarded(globals()[section])
        print(f"{section}: {time.perf_counter() - start:.0f} s", flush=True)
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    errors = json.dumps(results).count('"error": "Traceback')
    print(f"{errors} errors")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
