"""``penchant train`` from the data file to the run folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging as transformers_logging

from penchant.data import read_preferences
from penchant.errors import InputError
from penchant.models import LoadedModel, load_model
from penchant.objectives import Method, get_method
from penchant.tokens import EncodeSettings, Encoding, PromptStyle, encode_answers, encode_pairs
from penchant.training.config import PreferenceConfig, split_options
from penchant.training.precision import fast_float32
from penchant.training.progress import ProgressBar
from penchant.training.run_folder import JsonLog, check_free, command_line, write_card, write_start
from penchant.training.show import show_first
from penchant.training.trainer import PreferenceTrainer


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished run.

    Attributes:
        output_dir: The run folder.
        model: The trained model (with its adapter, if one was trained).
        tokenizer: Its tokenizer.
        metrics: The last evaluation's metrics, or the last training step's where there was none.
        history: Every log line, in order.
    """

    output_dir: Path
    model: Any
    tokenizer: Any
    metrics: dict[str, float]
    history: list[dict[str, float]]


def train(
    *,
    model: str | LoadedModel,
    data: Any,
    method: str = "dpo",
    output_dir: str | Path | None = None,
    eval_data: Any = None,
    eval_split: float = 0.0,
    format: str | None = None,
    resume: bool = False,
    trust_remote_code: bool = False,
    callbacks: Sequence[Any] = (),
    console: Console | None = None,
    command: str | None = None,
    **options: Any,
) -> TrainResult:
    """Train a model on preference data and leave a run folder.

    Args:
        model: A folder, a GGUF file, a hub name, or a model that :func:`penchant.models.load_model` loaded.
        data: One file, several, or an iterable of rows.
        method: A method of the catalogue (``penchant methods`` lists them).
        output_dir: The run folder; left out, ``runs/<method>``.
        eval_data: Data to evaluate on, in the same layouts.
        eval_split: Share of the data set aside for evaluation, if no ``eval_data`` is given.
        format: The data's layout, if it should not be recognised.
        resume: Go on from the last checkpoint in ``output_dir``.
        trust_remote_code: Whether code that comes with the model may run.
        callbacks: transformers callbacks.
        console: Where to print; left out, standard output.
        command: The command to write on the model card; left out, the one that is running.
        **options: Fields of :class:`PreferenceConfig`, and the constants of the method (``beta``, ``lambda_``, ...).

    Raises:
        InputError: if anything given is wrong; nothing is written then.
    """
    console, command = console or Console(), command or command_line()
    chosen = get_method(method)
    folder = Path(output_dir or f"runs/{chosen.name}")
    check_free(folder, resume=resume)
    settings = split_options(options)
    config = PreferenceConfig(output_dir=str(folder), method=method, **_with_eval(settings, eval_data, eval_split))
    say = _printer(console, config)
    say(f"method     {chosen.name}: {chosen.formula}  {_constants(config)}")
    rows = read_preferences(data, unpaired=not chosen.needs_pairs, format=format)
    say(f"data       {rows.summary()}")
    held_out = read_preferences(eval_data, unpaired=not chosen.needs_pairs, format=format) if eval_data else None
    if held_out:
        say(f"eval data  {held_out.summary()}")
    with fast_float32() as fast:
        loaded = model if isinstance(model, LoadedModel) else _load(str(model), config, trust_remote_code)
        say(f"model      {loaded.description}{'; oneDNN float32 products' if fast else ''}")
        style = PromptStyle.of(loaded.tokenizer, config.chat_template)
        train_rows, eval_rows = _encode(chosen, rows.rows, held_out.rows if held_out else None, style, config, say)
        eval_rows, train_rows = (eval_rows, train_rows) if held_out else _split(train_rows, eval_split, config.seed)
        trainer = _trainer(loaded, config, train_rows, eval_rows, console, folder, callbacks)
        facts = _facts(trainer, style, len(train_rows))
        for name, value in facts.items():
            say(f"{name:<10} {value}")
        facts = {"base model": loaded.description, "data": rows.summary()} | facts
        if trainer.is_world_process_zero():
            show_first(console, train_rows[0], loaded.tokenizer)
        if not resume:
            trainer.check_reference(train_rows[:4])
        if trainer.is_world_process_zero():
            write_start(folder, config, facts, command)
        trainer.train(resume_from_checkpoint=resume or None)
        if eval_rows and "eval_loss" not in _last_metrics(trainer.state.log_history):
            trainer.evaluate()
    trainer.save_model(str(folder))
    if trainer.is_world_process_zero():
        write_card(folder, config, facts, command)
    say(f"saved      {folder}")
    history = trainer.state.log_history
    return TrainResult(folder, trainer.model, loaded.tokenizer, _last_metrics(history), history)


def _load(model: str, config: PreferenceConfig, trust_remote_code: bool) -> LoadedModel:
    dtype = config.dtype
    if dtype == "auto":
        dtype = "float32" if config.device.type == "cpu" else "bfloat16"
    return load_model(model, dtype=dtype, trust_remote_code=trust_remote_code)


def _encode(
    method: Method, rows: Any, held_out: Any, style: PromptStyle, config: PreferenceConfig, say: Callable[[str], None]
) -> tuple[list[Any], list[Any]]:
    """Token rows for training and evaluation, with every loss of rows said."""
    settings = EncodeSettings(config.max_length, config.truncation)
    encoded: list[list[Any]] = []
    for part in (rows, held_out):
        if not part:
            encoded.append([])
            continue
        result: Encoding[Any] = (encode_pairs if method.needs_pairs else encode_answers)(part, style, settings)
        say("tokens     " + "; ".join(result.report(settings)))
        encoded.append(result.rows)
    return encoded[0], encoded[1]


def _split(rows: list[Any], share: float, seed: int) -> tuple[list[Any], list[Any]]:
    """Set a share of the prompts aside: all rows of one prompt go to the same side."""
    if not 0 <= share < 1:
        raise InputError("eval_split must be in [0, 1)", got=str(share))
    if share == 0:
        return [], rows
    prompts = sorted({tuple(row.prompt_ids) for row in rows})
    order = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(seed)).tolist()
    count = round(share * len(prompts))
    if not 0 < count < len(prompts):
        raise InputError(f"eval_split {share} of {len(prompts)} prompts leaves one side empty", fix="Give --eval-data")
    aside = {prompts[index] for index in order[:count]}
    return [r for r in rows if tuple(r.prompt_ids) in aside], [r for r in rows if tuple(r.prompt_ids) not in aside]


def _trainer(
    loaded: LoadedModel,
    config: PreferenceConfig,
    train_rows: list[Any],
    eval_rows: list[Any],
    console: Console,
    folder: Path,
    callbacks: Sequence[Any],
) -> PreferenceTrainer:
    model = _add_adapter(loaded.model, config) if config.lora else loaded.model
    unit = "pairs" if get_method(config.method).needs_pairs else "answers"
    trainer = PreferenceTrainer(
        model,
        config,
        train_rows,
        eval_rows or None,
        processing_class=loaded.tokenizer,
        callbacks=[ProgressBar(console, unit), JsonLog(folder), *callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _add_adapter(model: Any, config: PreferenceConfig) -> Any:
    from peft import LoraConfig, get_peft_model

    targets = config.lora_target_modules
    lora = LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=targets if targets == "all-linear" else targets.split(","),
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(config.seed)
    try:
        return get_peft_model(model, lora)
    except ValueError as error:
        raise InputError(f"no adapter can be added: {error}", where="--lora-target-modules", got=targets) from error


def _with_eval(settings: dict[str, Any], eval_data: Any, eval_split: float) -> dict[str, Any]:
    """When to evaluate: as the user says; else every epoch if there is something to evaluate on.

    Raises:
        InputError: if evaluation is asked for and there is nothing to evaluate on.
    """
    if not (eval_data or eval_split):
        asked = [name for name in ("eval_steps", "eval_strategy", "eval_on_start") if settings.get(name)]
        if asked and settings.get("eval_strategy") != "no":
            raise InputError(f"{asked[0]} is given, but no evaluation data", fix="Give --eval-data or --eval-split")
        return settings
    return {"eval_strategy": "steps" if settings.get("eval_steps") else "epoch"} | settings


def _facts(trainer: PreferenceTrainer, style: PromptStyle, rows: int) -> dict[str, str]:
    """What the summary and the model card say of the training."""
    config = trainer.args
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    what = (
        f"LoRA r={config.lora_r}, alpha={config.lora_alpha} on {config.lora_target_modules}"
        if config.lora
        else "all weights"
    )
    unit = "pairs" if trainer.method.needs_pairs else "answers"
    return {
        "training": f"{what}; {trained:,} trained parameters, learning rate {config.learning_rate:g}",
        "reference": trainer.reference.description if trainer.reference else "none (the method has no reference)",
        "engine": trainer.engine.description,
        "prompts": style.describe(),
        "steps": f"{config.batch_size} {unit} per optimiser step over {config.world_size} process(es), {rows} {unit}",
    }


def _constants(config: PreferenceConfig) -> str:
    return "  ".join(f"{name}={value}" for name, value in config.full_constants.items())


def _printer(console: Console, config: PreferenceConfig) -> Callable[[str], None]:
    """Prints on the main process only, and keeps transformers to warnings."""
    transformers_logging.disable_progress_bar()
    # peft 0.21 asks transformers 5.23 for a property by its old name; nothing a user could change
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
    main = config.process_index == 0
    return lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True) if main else None


def _last_metrics(history: list[dict[str, float]]) -> dict[str, float]:
    for line in reversed(history):
        if "eval_loss" in line or "loss" in line:
            return dict(line)
    return {}
