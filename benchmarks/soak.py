"""Many steps on a tiny model: memory stays flat, steps stay as fast, files stay bounded.

    python benchmarks/soak.py [STEPS] [RESULT.json]

100,000 steps unless told otherwise, a log line every second step, so that the lines kept in memory reach their bound.
Memory (VmRSS), seconds of wall clock and of the processor are noted ten times; the first tenth warms up. The seconds of
the processor tell a slowdown of ours from a busy machine.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback

import penchant
from penchant.models import LoadedModel


def resident() -> int:
    """Bytes of this process, as Linux counts them."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


class Tenths(TrainerCallback):
    """Notes memory and time ten times in a run."""

    def __init__(self) -> None:
        self.noted: list[dict[str, float]] = []
        self._since, self._used = time.perf_counter(), time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % max(1, state.max_steps // 10) == 0:
            now, used = time.perf_counter(), time.process_time()
            seconds = {"seconds": now - self._since, "processor_seconds": used - self._used}
            self.noted.append({"step": state.global_step, "bytes": resident(), **seconds})
            print(self.noted[-1], flush=True)
            self._since, self._used = now, used


def tiny_tokenizer() -> Any:
    """Bytes as tokens."""
    bytes_alone = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(sorted(alphabet()))}, merges=[]))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=bytes_alone, eos_token="<end>", pad_token="<pad>")


def alphabet() -> list[str]:
    found: list[str] = pre_tokenizers.ByteLevel.alphabet()
    return found


def tiny_llama(vocabulary: int) -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, num_key_value_heads=2, **sizes))


def pair_rows(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"Number {i}?", "chosen": f"It is {i}.", "rejected": f"Not {i} at all."} for i in range(count)]


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    torch.set_num_threads(1)
    tenths = Tenths()
    tokenizer = tiny_tokenizer()
    folder = Path(tempfile.mkdtemp()) / "run"
    done = penchant.train(
        model=LoadedModel(tiny_llama(len(tokenizer)), tokenizer, "tiny", "tiny"),
        data=pair_rows(24),
        output_dir=folder,
        batch_size=4,
        max_steps=steps,
        logging_steps=2,
        save_steps=max(1, steps // 20),
        save_total_limit=2,
        learning_rate=1e-5,
        use_cpu=True,
        callbacks=[tenths],
        console=Console(quiet=True),
    )
    after = tenths.noted[1:]
    result = {
        "steps": steps,
        "memory_growth": after[-1]["bytes"] / after[0]["bytes"] - 1,
        "slowdown": after[-1]["processor_seconds"] / after[0]["processor_seconds"] - 1,
        "lines_in_memory": len(done.history),
        "log_bytes": sum(path.stat().st_size for path in folder.glob("*.jsonl")),
        "tenths": tenths.noted,
    }
    print(json.dumps(result, indent=1))
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
