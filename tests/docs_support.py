"""The files that the documentation's examples name."""

from __future__ import annotations

from pathlib import Path

from tests_support import labelled_rows, pair_rows, rated_rows, tiny_llama, trained_tokenizer, write_jsonl

BY_HAND = """\
import numpy as np


def dpo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    z = beta * ((policy_chosen - ref_chosen) - (policy_rejected - ref_rejected))
    return np.logaddexp(0, -z).mean()
"""

TRL_DPO = """\
model_name_or_path: MODEL
dataset_name: pairs.jsonl
loss_type: sigmoid
learning_rate: 1.0e-5
max_steps: 1
"""

RULES = """\
def better(prompt, first, second):
    return "tie" if len(first) == len(second) else "first" if len(first) < len(second) else "second"
"""


def write_supplies(folder: Path) -> Path:
    """Write them into an empty folder, and return it."""
    tokenizer = trained_tokenizer()
    tiny_llama(len(tokenizer)).save_pretrained(folder / "MODEL")
    tokenizer.save_pretrained(folder / "MODEL")
    write_jsonl(folder / "pairs.jsonl", pair_rows(24))
    write_jsonl(folder / "held_out.jsonl", [row | {"prompt": f"{row['prompt']} Again."} for row in pair_rows(10)])
    write_jsonl(folder / "rated.jsonl", rated_rows(24))
    write_jsonl(folder / "labelled.jsonl", labelled_rows(24))
    (folder / "prompts.txt").write_text("Name a river.\nWhat is a comet?\n", encoding="utf-8")
    (folder / "my_loss.py").write_text(BY_HAND, encoding="utf-8")
    (folder / "dpo.yaml").write_text(TRL_DPO, encoding="utf-8")
    (folder / "rules.py").write_text(RULES, encoding="utf-8")
    write_tables(folder)
    return folder


def write_tables(folder: Path) -> None:
    """Log-probs of pairs as some trainer may have logged them, in both formats and of two checkpoints."""
    import pyarrow
    from pyarrow import csv, parquet

    def table(shift: int) -> pyarrow.Table:
        columns = {
            "policy_chosen_logps": [-12.0 - i % 5 + shift for i in range(40)],
            "policy_rejected_logps": [-30.0 - i % 7 for i in range(40)],
            "ref_chosen_logps": [-14.0 - i % 3 for i in range(40)],
            "ref_rejected_logps": [-29.0 - i % 4 for i in range(40)],
            "chosen_lengths": [8 + i % 6 for i in range(40)],
            "rejected_lengths": [15 + i % 5 for i in range(40)],
        }
        return pyarrow.table(columns)

    for name, shift in {"logps": 0, "first": 0, "second": 2}.items():
        csv.write_csv(table(shift), folder / f"{name}.csv")
    parquet.write_table(table(0), folder / "logps.parquet")
