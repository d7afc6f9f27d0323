"""Twenty optimiser steps beside TRL's DPOTrainer: the same rows, order and start, float32, the same losses."""

from __future__ import annotations

import pytest
import torch
from tests_support import tiny_llama

from penchant.records import TokenPair
from penchant.training.config import PreferenceConfig
from penchant.training.trainer import PreferenceTrainer

trl = pytest.importorskip("trl")

STEPS, PAIRS, BETA, ANSWER = 20, 4, 0.1, 9
COMMON = {
    "num_train_epochs": 1,
    "learning_rate": 2e-3,
    "lr_scheduler_type": "linear",
    "warmup_steps": 0,
    "max_grad_norm": 0.0,
    "train_sampling_strategy": "sequential",
    "logging_steps": 1,
    "report_to": "none",
    "save_strategy": "no",
    "use_cpu": True,
}


def token_rows(equal_lengths: bool) -> list[TokenPair]:
    """Random rows; TRL's IPO divides by the answers' lengths, so there all answers are equally long."""
    generator = torch.Generator().manual_seed(1)

    def draw(low: int, high: int) -> list[int]:
        count = int(torch.randint(low, high + 1, (), generator=generator))
        return torch.randint(3, 60, (count,), generator=generator).tolist()

    span = (ANSWER, ANSWER) if equal_lengths else (2, 16)
    return [TokenPair(draw(1, 12), draw(*span), draw(*span), f"row:{i}") for i in range(STEPS * PAIRS)]


def trl_losses(rows, tokenizer, folder, loss_type):
    from datasets import Dataset

    data = Dataset.from_list(
        [{"prompt_ids": r.prompt_ids, "chosen_ids": r.chosen_ids, "rejected_ids": r.rejected_ids} for r in rows]
    )
    config = trl.DPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=PAIRS,
        gradient_checkpointing=False,
        bf16=False,
        beta=BETA,
        loss_type=loss_type,
        max_length=64,
        **COMMON,
    )
    model = tiny_llama(len(tokenizer))
    model.name_or_path = model.config._name_or_path = "tiny"
    text = Dataset.from_list([{"prompt": "Name a river", "chosen": " Yes.", "rejected": " No."}])
    trainer = trl.DPOTrainer(
        model, ref_model=tiny_llama(len(tokenizer)), args=config, train_dataset=text, processing_class=tokenizer
    )
    trainer.train_dataset = data  # token ids as its own preparation lays them out
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def our_losses(rows, tokenizer, folder, method, constants):
    config = PreferenceConfig(
        output_dir=str(folder), method=method, constants=constants, batch_size=PAIRS, lora=False, **COMMON
    )
    trainer = PreferenceTrainer(tiny_llama(len(tokenizer)), config, rows, processing_class=tokenizer)
    assert trainer.engine.packed and trainer.engine.streamed
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


@pytest.mark.parametrize(
    ("loss_type", "method", "beta", "scale"),
    [("sigmoid", "dpo", BETA, 1.0), ("hinge", "hinge", BETA, 1.0), ("ipo", "ipo", BETA / ANSWER, ANSWER**2)],
)
def test_twenty_steps_have_the_losses_of_trl(tmp_path, tiny_tokenizer, loss_type, method, beta, scale):
    """IPO's sum over n tokens with beta/n is n² times TRL's mean over tokens, and Adam does not see the factor."""
    rows = token_rows(equal_lengths=loss_type == "ipo")
    theirs = trl_losses(rows, tiny_tokenizer, tmp_path / "trl", loss_type)
    ours = our_losses(rows, tiny_tokenizer, tmp_path / "penchant", method, {"beta": beta})
    assert len(theirs) == len(ours) == STEPS
    assert max(theirs) - min(theirs) > 1e-2 * abs(theirs[0]), "nothing was learnt, so nothing was compared"
    assert [loss / scale for loss in ours] == pytest.approx(theirs, abs=1e-4 * max(1.0, abs(theirs[0])))
