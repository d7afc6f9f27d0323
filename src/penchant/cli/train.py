"""``penchant train``: parse the options and call :func:`penchant.train`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from penchant.cli.options import parse_value, read_config
from penchant.errors import InputError

_APART = ("config", "options", "stages", "from_trl")


def train(
    *,
    model: str | None = None,
    data: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    method: str | None = None,
    output_dir: str | None = None,
    eval_data: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    eval_split: float | None = None,
    format: str | None = None,
    config: Path | None = None,
    from_trl: Path | None = None,
    resume: bool | None = None,
    trust_remote_code: bool | None = None,
    beta: float | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    num_train_epochs: float | None = None,
    max_steps: int | None = None,
    max_length: int | None = None,
    truncation: str | None = None,
    chat_template: str | None = None,
    reference: str | None = None,
    stages: bool = False,
    lora: bool | None = None,
    lora_r: int | None = None,
    dtype: str | None = None,
    memory: str | None = None,
    seed: int | None = None,
    **options: str,
) -> None:
    """Train a model on preference data.

    Any field of transformers' TrainingArguments and any constant of the method is an option too, with dashes or
    underscores and always a value: --gamma 1.0 --lr-scheduler-type linear --save-steps 50 --tf32 true.

    Parameters
    ----------
    model
        A folder, a .gguf file, or a hub name.
    data
        One or more files (JSONL, JSON, Parquet) of preference pairs, or of labelled answers for kto.
    method
        A name in the table of "penchant methods": dpo, ipo, kto, simpo, orpo ... [default: dpo]
    output_dir
        The run folder. [default: runs/METHOD]
    eval_data
        Files to evaluate on after each epoch.
    eval_split
        Share of the prompts in the data to set aside for evaluation instead.
    format
        The data's layout, if it should not be recognised from its fields.
    config
        A YAML file of options; what stands on the command line wins.
    from_trl
        A YAML file of TRL's DPOConfig, KTOConfig, CPOConfig or ORPOConfig; every difference in meaning is printed.
    resume
        Go on from the last checkpoint in the output folder.
    trust_remote_code
        Let code that comes with the model run.
    beta
        The method's beta. [default: the method's]
    learning_rate
        Peak learning rate. [default: the method's preset]
    batch_size
        Pairs per optimiser step, over all processes; cutting them to fit memory is not your business. [default: 16]
    num_train_epochs
        Passes over the data. [default: 1]
    max_steps
        Optimiser steps, instead of epochs.
    max_length
        Most tokens of prompt and answer. [default: 1024]
    truncation
        What happens to longer rows: drop, keep_start (cut the answer) or keep_end (cut the prompt). [default: drop]
    chat_template
        auto (the tokenizer's, if it has one) or none (plain text). [default: auto]
    reference
        What the policy is compared with: initial (itself before training), adapter-off, adapter:FOLDER, store:FOLDER,
        none, or another model's folder or name. [default: initial]
    stages
        Train on the data files one after the other, each stage from, and compared with, the model before (sDPO).
    lora
        Train an adapter (--lora) or all weights (--no-lora). [default: --lora]
    lora_r
        Rank of the adapter. [default: 16]
    dtype
        Type of the weights: auto, float32, bfloat16, float16 or float64. [default: auto, float32 on CPU]
    memory
        auto, or the most that may be used (8GB): chooses how many tokens go through the model at once. [default: 1024
        tokens on a CPU, auto on a GPU]
    seed
        Fixes the order of the data and the adapter's start. [default: 42]
    """
    given = {name: value for name, value in locals().items() if value is not None and name not in _APART}
    extra = {name.replace("-", "_"): parse_value(value) for name, value in options.items()}
    merged: dict[str, Any] = (read_config(config) if config else {}) | given | extra
    if from_trl:
        translated = _translated(from_trl, merged.get("method"))
        if "batch_size" in merged:
            for name in ("per_device_train_batch_size", "gradient_accumulation_steps"):
                translated.pop(name, None)  # the same thing in TRL's words
        merged = translated | merged
    for required in ("model", "data"):
        if not merged.get(required):
            raise InputError(f"--{required} is missing", fix=f"Give --{required}, or a --config file that holds it")
    for name in ("callbacks", "console", "command"):
        if name in merged:
            raise InputError(f"{name} can be given from Python alone")
    require_training()
    import penchant

    if stages:
        from penchant.training.stages import train_in_stages

        merged.setdefault("output_dir", "runs/stages")
        train_in_stages(**merged, command=command_line())
    else:
        penchant.train(**merged, command=command_line())


def _translated(path: Path, method: Any) -> dict[str, Any]:
    """Options from TRL's, with what is different said."""
    require_training()
    from penchant.training.from_trl import KINDS, translate

    options, notes = translate(read_config(path), method if method in KINDS else None)
    for note in notes:
        print(f"from TRL   {note}")
    return options


def command_line() -> str:
    """The command that is running, as it can be typed; ``python -m penchant`` is the same command."""
    name = Path(sys.argv[0]).name
    return shlex.join(["penchant" if name == "__main__.py" else name, *sys.argv[1:]])


def require_training() -> None:
    """See that the training extra is installed.

    Raises:
        InputError: with the command that installs it.
    """
    import importlib.util

    missing = [
        name for name in ("torch", "transformers", "peft", "accelerate", "yaml") if not importlib.util.find_spec(name)
    ]
    if missing:
        fix = 'Run pip install "penchant[train]"'
        raise InputError(f"training needs {', '.join(missing)}", fix=fix)


def require_models() -> None:
    """See that models can be loaded, and have transformers load them without progress bars.

    Raises:
        InputError: see :func:`require_training`.
    """
    require_training()
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
