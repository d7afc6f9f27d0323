"""One side of a comparison: a trainer that takes one optimiser step whenever a line arrives on standard input.

Started by against_trl.py, each side in its own Python environment, so that both models stay loaded while steps of the
two sides alternate. Prints one JSON line per step.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

PAIRS_PER_STEP = 2
LORA = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")


class StepOnRequest(TrainerCallback):
    """Waits before each optimiser step, and says what the step took."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if not sys.stdin.readline():
            control.should_training_stop = True
        self.start = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        seconds = time.perf_counter() - self.start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print("STEP " + json.dumps({"seconds": seconds, "peak_gb": peak}), flush=True)


def trl_trainer(setting: str, model_path: str, rows: list[dict[str, Any]]) -> Any:
    """TRL's trainer for a setting, on conversational rows."""
    import trl
    from datasets import Dataset

    low = setting not in ("dpo-float32", "dpo-defaults")
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.bfloat16 if low else torch.float32)
    common: dict[str, Any] = {
        "output_dir": "/tmp/trl-benchmark",
        "per_device_train_batch_size": PAIRS_PER_STEP,
        "num_train_epochs": 20,
        "max_length": 1024,
        "train_sampling_strategy": "sequential",
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": True,
    }
    if setting != "dpo-defaults":
        common |= {"gradient_checkpointing": False, "bf16": low}
    more = {"peft_config": LORA, "callbacks": [StepOnRequest()]}
    more["processing_class"] = AutoTokenizer.from_pretrained(model_path)
    if setting.startswith("dpo"):
        config = trl.DPOConfig(**common, precompute_ref_log_probs=setting == "dpo-cached")
        return trl.DPOTrainer(model, args=config, train_dataset=Dataset.from_list(rows), **more)
    if setting == "kto":
        from trl.experimental.kto import KTOConfig, KTOTrainer

        singles = []
        for index, row in enumerate(rows):
            answer = row["chosen"] if index % 2 == 0 else row["rejected"]
            singles.append({"prompt": row["prompt"], "completion": answer, "label": index % 2 == 0})
        config = KTOConfig(**common)
        return KTOTrainer(model, args=config, train_dataset=Dataset.from_list(singles), **more)
    if setting == "orpo":
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        return ORPOTrainer(model, args=ORPOConfig(**common), train_dataset=Dataset.from_list(rows), **more)
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    config = CPOConfig(**common, loss_type="simpo", cpo_alpha=0.0)
    return CPOTrainer(model, args=config, train_dataset=Dataset.from_list(rows), **more)


def penchant_trainer(setting: str, model_path: str, rows: list[dict[str, Any]]) -> Any:
    """penchant's trainer for the same setting and rows."""
    from penchant.data import read_preferences
    from penchant.tokens import EncodeSettings, PromptStyle, encode_answers, encode_pairs
    from penchant.training.config import PreferenceConfig
    from penchant.training.trainer import PreferenceTrainer

    method = setting.partition("-")[0]
    low = setting not in ("dpo-float32",)
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.bfloat16 if low else torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    given = rows
    if method == "kto":
        given = [
            {"prompt": row["prompt"], "completion": row["chosen" if i % 2 == 0 else "rejected"], "label": i % 2 == 0}
            for i, row in enumerate(rows)
        ]
    read = read_preferences(given, unpaired=method == "kto", format=None)
    encode = encode_answers if method == "kto" else encode_pairs
    encoded = encode(read.rows, PromptStyle.of(tokenizer, "auto"), EncodeSettings(1024, "drop")).rows
    config = PreferenceConfig(
        output_dir="/tmp/penchant-benchmark",
        method=method,
        batch_size=PAIRS_PER_STEP,
        micro_batch_tokens=4096,
        num_train_epochs=20,
        train_sampling_strategy="sequential",
        report_to="none",
        use_cpu=True,
        reference_store=tempfile.mkdtemp() if setting == "dpo-cached" else None,
    )
    model = get_peft_model(model, LORA)
    return PreferenceTrainer(model, config, encoded, processing_class=tokenizer, callbacks=[StepOnRequest()])


def main() -> None:
    side, setting, model_path, rows_path = sys.argv[1:]
    with Path(rows_path).open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    torch.manual_seed(0)
    if side == "trl":
        trainer = trl_trainer(setting, model_path, rows)
        print("READY", flush=True)
        trainer.train()
        return
    from penchant.training.precision import fast_float32

    with fast_float32():
        trainer = penchant_trainer(setting, model_path, rows)
        print("READY", flush=True)
        trainer.train()


if __name__ == "__main__":
    main()
