"""Many steps on a tiny model: memory stays flat, steps stay as fast, files stay bounded.

    python benchmarks/soak.py [STEPS] [RESULT.json]

100,000 steps of one pair unless told otherwise, all weights of one small layer, a log line every second step, so that
the lines kept in memory reach their bound, and a checkpoint every 5,000. Memory (VmRSS), seconds of wall clock and of
the processor are noted every 2,000 steps and written down each time, so that a run that is stopped leaves its record.
What counts begins after the lines in memory have reached their bound, a tenth of the run or more. The seconds of the
processor tell a slowdown of ours from a busy machine.
"""

from __future__ import annotations

import json
import os
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
from penchant.training.run_folder import KEPT_LINES


def resident() -> int:
    """Bytes of this process, as Linux counts them."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


class Marks(TrainerCallback):
    """Notes memory and time every so many steps."""

    def __init__(self, every: int, folder: Path, result: Path | None) -> None:
        self.noted: list[dict[str, float]] = []
        self._every, self._folder, self._result = every, folder, result

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._since, self._used = time.perf_counter(), time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self._every:
            return
        now, used = time.perf_counter(), time.process_time()
        seconds = {"seconds": now - self._since, "processor_seconds": used - self._used}
        self.noted.append({"step": state.global_step, "bytes": resident(), **seconds, "load": os.getloadavg()[0]})
        print(self.noted[-1], flush=True)
        if self._result:
            self._result.write_text(json.dumps(self.summary(state), indent=1) + "\n")
        self._since, self._used = time.perf_counter(), time.process_time()

    def summary(self, state: Any) -> dict[str, Any]:
        """Growth of memory from the first mark that counts to the last, and the marks."""
        counted = [mark for mark in self.noted if mark["step"] >= max(state.max_steps // 10, 2 * KEPT_LINES)]
        found: dict[str, Any] = {"steps_asked": state.max_steps, "steps": state.global_step}
        if len(counted) > 2:
            found["memory_growth"] = counted[-1]["bytes"] / counted[0]["bytes"] - 1
        files = {path.name: path.stat().st_size for path in self._folder.glob("*.json*")}
        return found | {"lines_in_memory": len(state.log_history), "log_bytes": files, "marks": self.noted}


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
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, num_key_value_heads=1, **sizes))


def pair_rows(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"Number {i}?", "chosen": f"It is {i}.", "rejected": f"Not {i} at all."} for i in range(count)]


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    result = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    torch.set_num_threads(1)
    folder, tokenizer = Path(tempfile.mkdtemp()) / "run", tiny_tokenizer()
    marks = Marks(max(1, steps // 50), folder, result)
    penchant.train(
        model=LoadedModel(tiny_llama(len(tokenizer)), tokenizer, "tiny", "tiny"),
        data=pair_rows(24),
        output_dir=folder,
        batch_size=1,
        lora=False,
        max_steps=steps,
        logging_steps=2,
        save_steps=max(1, steps // 20),
        save_total_limit=2,
        learning_rate=1e-5,
        use_cpu=True,
        callbacks=[marks],
        console=Console(quiet=True),
    )


if __name__ == "__main__":
    main()
