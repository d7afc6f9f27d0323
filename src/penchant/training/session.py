"""From the first step, or the last checkpoint, to the end, or to whatever stops a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import IntervalStrategy

from penchant.errors import InputError
from penchant.evaluation.statistics import wilson_of_sum
from penchant.training.checkpoints import checkpoints, disk_errors, remove_after
from penchant.training.stopping import EXIT, SaveOnTerm
from penchant.training.trainer import PreferenceTrainer


def train_from(trainer: PreferenceTrainer, folder: Path, checkpoint: Path | None, say: Callable[[str], None]) -> None:
    """Train, and evaluate at the end if the last step was not evaluated.

    Raises:
        InputError: if the disk is full, or the best model is to be known by a metric that there is not.
        SystemExit: with 143, after SIGTERM.
    """
    term = SaveOnTerm(trainer.accelerator)
    trainer.add_callback(term)
    trainer.add_callback(_EvaluateOwed(trainer))
    try:
        with disk_errors(folder):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except KeyError as error:
        if "metric_for_best_model" not in str(error):
            raise
        what = f"transformers refuses the settings: {error.args[0]}"
        raise InputError(what, where="metric_for_best_model") from error
    except KeyboardInterrupt:
        say(f"\nstopped at step {trainer.state.global_step}; {_then(folder)}")
        raise
    if term.stopped:
        say(f"stopped    by SIGTERM at step {trainer.state.global_step}; {_then(folder)}")
        raise SystemExit(EXIT)
    best = trainer.args.load_best_model_at_end and trainer.state.best_model_checkpoint
    if best and trainer.state.best_global_step != trainer.state.global_step:
        trainer.evaluation_loop(trainer.get_eval_dataloader(), "best")  # the report's rows are of the weights loaded
    elif trainer.eval_dataset is not None and "eval_loss" not in last_metrics(trainer.state.log_history):
        trainer.evaluate()


class _EvaluateOwed(TrainerCallback):
    """Makes up for the evaluation of an epoch in whose last step a run was stopped."""

    def __init__(self, trainer: PreferenceTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        epochs = state.epoch or 0.0
        ended = epochs > 0 and math.isclose(epochs, round(epochs))
        done = any(line["step"] == state.global_step and "eval_loss" in line for line in state.log_history)
        if args.eval_strategy == IntervalStrategy.EPOCH and ended and not done:
            self._trainer.evaluate()


def clear_after(trainer: PreferenceTrainer, folder: Path, checkpoint: Path | None) -> None:
    """Take away, on one process and before any goes on, the checkpoints after the one that a run goes on from."""
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        remove_after(folder, checkpoint)
    trainer.accelerator.wait_for_everyone()


def _then(folder: Path) -> str:
    saved = checkpoints(folder)
    return f"--resume goes on from {saved[0].name}" if saved else "no checkpoint was saved (--save-steps saves them)"


def saved_history(trainer: PreferenceTrainer) -> list[dict[str, float]]:
    """The log up to the weights that are saved: the last ones, or the best checkpoint's."""
    state = trainer.state
    history: list[dict[str, float]] = state.log_history
    if not (trainer.args.load_best_model_at_end and state.best_model_checkpoint):
        return history
    return [line for line in history if line["step"] <= state.best_global_step]


def results(history: list[dict[str, float]], held_out: Sequence[Any], unit: str) -> dict[str, str]:
    """What the last evaluation found, for the card.

    Args:
        history: The log.
        held_out: The held-out rows, tokenised.
        unit: What they are: pairs, lists or answers.

    Returns:
        The loss, and the reward accuracy with Wilson's 95 % interval where the rows are pairs of a prompt each; a mean
        over the pairs of lists, or over pairs that share prompts, stands without one: the report has it by prompt.
    """
    line = next((one for one in reversed(history) if "eval_loss" in one), None)
    if line is None or not held_out:
        return {}
    found = {"held-out loss": f"{line['eval_loss']:.4f}"}
    share = line.get("eval_rewards/accuracies")
    if share is not None:
        count = len(held_out)
        alone = unit == "pairs" and len({hash(tuple(row.prompt_ids)) for row in held_out}) == count
        shown = str(wilson_of_sum(share * count, count)) if alone else f"{share:.0%}"
        what = f"{count} pairs" if unit == "pairs" else f"the pairs of answers in {count} {unit}"
        margin = line.get("eval_rewards/margins", 0.0)
        found["held-out reward accuracy"] = f"{shown} of {what}; mean margin {margin:.4f}"
    return found


def last_metrics(history: list[dict[str, float]]) -> dict[str, float]:
    for line in reversed(history):
        if "eval_loss" in line or "loss" in line:
            return dict(line)
    return {}
