"""Options sorted and checked before anything is built from them: each by its type, its range, and its effect."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from penchant.errors import InputError, shorten, suggest
from penchant.objectives.catalogue import shown
from penchant.training.config import PreferenceConfig
from penchant.vocabulary import CHOICES, CONSTANTS

RUN_OPTIONS = (
    "model",
    "data",
    "method",
    "output_dir",
    "eval_data",
    "eval_split",
    "format",
    "resume",
    "trust_remote_code",
)
"""Options of a run that are not settings of the trainer."""

_AT_LEAST = {
    "adam_epsilon": 0.0,
    "dataloader_num_workers": 0,
    "eval_steps": 1e-9,
    "logging_steps": 1e-9,
    "lora_alpha": 1,
    "lora_layers": 1,
    "lora_r": 1,
    "max_grad_norm": 0.0,
    "max_length": 2,
    "max_steps": 1,
    "num_train_epochs": 1e-9,
    "reference_every": 1,
    "sample_prompts": 0,
    "save_steps": 1e-9,
    "save_total_limit": 1,
    "seed": 0,
    "warmup_steps": 0.0,
    "weight_decay": 0.0,
    **dict.fromkeys(("batch_size", "micro_batch_size", "micro_batch_tokens", "gradient_accumulation_steps"), 1),
    **dict.fromkeys(("per_device_train_batch_size", "per_device_eval_batch_size"), 1),
}
FIXED_ON_RESUME = (
    *(
        "model",
        "data",
        "format",
        "method",
        "batch_size",
        "chat_template",
        "dtype",
        "eval_split",
        "learning_rate",
        "lora",
    ),
    *("lora_r", "lora_alpha", "lora_dropout", "lora_layers", "lora_target_modules", "max_length", "seed", "truncation"),
    *("z_ref", "length_normalize", "weighted", "margins", "beta_end", "turns"),
    *("reference", "reference_bits", "reference_every", "reference_mix"),
    *("optim", "optim_args", "optim_target_modules", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon"),
    *("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "max_grad_norm", "disable_dropout", "bf16", "fp16"),
    *("data_seed", "train_sampling_strategy", "dataloader_drop_last"),
    *map(shown, CONSTANTS),
    *(set(CHOICES) - {"reduction"}),
)
"""What a resumed run may not change: it would no longer be the run that its folder describes."""

LENGTH = ("num_train_epochs", "max_steps")
"""What it may change and its folder then says: how far it goes."""

_COVERED = ("method", "constants", "per_device_train_batch_size", "gradient_accumulation_steps")
_OF_EVALUATION = (
    *("eval_steps", "eval_strategy", "eval_on_start", "eval_delay", "do_eval"),
    *("per_device_eval_batch_size", "metric_for_best_model"),
)
_ADAPTER_ONLY = ("lora_r", "lora_alpha", "lora_dropout", "lora_layers", "lora_target_modules")


def split_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Sort options into PreferenceConfig's fields, with the method's constants gathered under ``constants``.

    Raises:
        InputError: if an option is unknown (with the nearest name), of the wrong type, out of range, or without effect.
    """
    fields = {field.name: field for field in dataclasses.fields(PreferenceConfig) if field.init}
    names = {shown(name): name for name in (*CONSTANTS, *(set(CHOICES) - {"reduction"}))}
    given = options.get("constants") or {}
    if not isinstance(given, Mapping):
        raise InputError("constants must map names to values", got=shorten(given))
    settings: dict[str, Any] = {}
    constants = dict(given)
    for name, value in options.items():
        if shown(name) in names:
            constants[names[shown(name)]] = value
        elif name not in fields:
            raise InputError(f"no option {name!r}", fix=suggest(name, {*fields, *names, *RUN_OPTIONS}))
        elif name != "constants":
            settings[name] = _checked(name, value, _annotation(fields[name].type))
    if settings.get("lora") is False:
        idle = [name for name in _ADAPTER_ONLY if name in settings]
        if idle:
            raise InputError(f"{idle[0]} has no effect without an adapter", fix="Leave it out, or train with lora")
    return settings | {"constants": constants}


def make_config(
    folder: Path, method: str | Callable[..., Any], options: Mapping[str, Any], *, evaluates: bool
) -> PreferenceConfig:
    """The settings of a run from its options; with evaluation data it evaluates every epoch unless told when.

    Raises:
        InputError: if an option is wrong, or transformers refuses them together.
    """
    settings = split_options(options)
    asked = [name for name in _OF_EVALUATION if settings.get(name) not in (None, "no", False, 0)]
    if evaluates:
        settings = {"eval_strategy": "steps" if "eval_steps" in settings else "epoch"} | settings
    elif asked:
        raise InputError(f"{asked[0]} is given, but no evaluation data", fix="Give --eval-data or --eval-split")
    try:
        return PreferenceConfig(output_dir=str(folder), method=method, **settings)
    except InputError:
        raise
    except (ValueError, TypeError, ImportError, KeyError, AttributeError, OverflowError, OSError) as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"transformers refuses the settings: {cause}") from error


def resolved_options(config: PreferenceConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that make this run again: what penchant settled, and what the user gave."""
    own = [name for name in vars(PreferenceConfig)["__annotations__"] if name not in _COVERED]
    known = {field.name for field in dataclasses.fields(PreferenceConfig)}
    names = dict.fromkeys([*own, *(name for name in given if name in known and name not in _COVERED)])
    idle: tuple[str, ...] = () if config.lora else _ADAPTER_ONLY
    idle += ("save_steps",) if config.save_strategy == "no" else ()
    idle += ("micro_batch_tokens",) if config.memory is not None else ()
    values = {name: getattr(config, name) for name in names if name not in idle}
    plain = {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}
    constants = {shown(name): value for name, value in config.full_constants.items()}
    return constants | {name: value for name, value in plain.items() if value is not None}


def _annotation(kind: Any) -> str:
    """A field's type as text, whether its module evaluates annotations (transformers) or keeps them (penchant)."""
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)


def _checked(name: str, value: Any, annotation: str) -> Any:
    """The value, if it is of the field's type and in its range."""
    kinds = {kind.strip() for kind in annotation.split("|")}
    if value is None and "None" in kinds:
        return value
    if value is False and any("Strategy" in kind for kind in kinds):
        return "no"  # YAML reads the word no as false
    if ("float" in kinds and "str" not in kinds) or kinds <= {"int", "None"}:
        return _number(name, value, whole="float" not in kinds)
    if "bool" in kinds and "str" not in kinds and not isinstance(value, bool):
        raise InputError(f"{name} must be true or false", got=shorten(value))
    if kinds <= {"str", "None"} and not isinstance(value, str):
        raise InputError(f"{name} must be a word", got=shorten(value))
    return value


def _number(name: str, value: Any, *, whole: bool) -> Any:
    kind = "a whole number" if whole else "a number"
    fits = isinstance(value, int) if whole else isinstance(value, int | float)
    if not fits or isinstance(value, bool) or not math.isfinite(value):
        raise InputError(f"{name} must be {kind}", got=shorten(value))
    least = _AT_LEAST.get(name)
    if name == "max_steps" and value == -1:
        return value  # transformers' own default: as many as the epochs take
    if least is not None and value < least:
        bound = "above 0" if 0 < least < 1 else f"at least {least:g}"
        raise InputError(f"{name} must be {bound}", got=shorten(value))
    if name == "seed" and value >= 2**32:
        raise InputError("seed must be below 2^32", got=shorten(value))
    return value
