"""What of transformers' settings has no effect here, or another one than it says: refused, each with its reason.

``tests/training/test_unsupported.py`` holds the other half: every field of TrainingArguments is refused here or named
there with what reads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from transformers.trainer_pt_utils import AcceleratorConfig

from penchant.errors import InputError, shorten
from penchant.training.hub import check_hub

_OWN_METRICS = "evaluation computes its own metrics"
_OWN_LOOP = "evaluation gathers sums and not predictions"
REFUSED = {
    "label_smoothing_factor": "it smooths next-token labels; preference labels are smoothed by --label-smoothing",
    "neftune_noise_alpha": "noise in the embeddings would make policy and reference differ before the first step",
    "auto_find_batch_size": "--batch-size is exact here; lower --micro-batch-tokens to save memory",
    "average_tokens_across_devices": "every row of a step weighs the same, on whichever process it is",
    "torch_compile_mode": "the default is taken: give --torch-compile true alone",
    "torch_compile_backend": "inductor is taken: give --torch-compile true alone",
    "torch_empty_cache_steps": "a step frees its micro-batches itself; lower --micro-batch-tokens to save memory",
    "use_liger_kernel": "the engine streams the head and checks it; other kernels would come after its check",
    "liger_kernel_config": "the engine streams the head and checks it; other kernels would come after its check",
    "include_num_input_tokens_seen": "tokens are not counted by transformers' rule here",
    "logging_nan_inf_filter": "a loss that is not finite stops the run, or is left out with --on-non-finite skip",
    "batch_eval_metrics": _OWN_METRICS,
    "include_for_metrics": _OWN_METRICS,
    "prediction_loss_only": _OWN_METRICS,
    "bf16_full_eval": "evaluation computes as training does; --dtype sets the type of the weights",
    "fp16_full_eval": "evaluation computes as training does; --dtype sets the type of the weights",
    "eval_accumulation_steps": _OWN_LOOP,
    "eval_do_concat_batches": _OWN_LOOP,
    "eval_use_gather_object": _OWN_LOOP,
    "do_predict": "there is no prediction; penchant sample writes answers, penchant evaluate scores data",
    "label_names": "rows are token pairs and have no columns",
    "length_column_name": "rows are token pairs and have no columns",
    "remove_unused_columns": "rows are token pairs and have no columns",
    "dataloader_pin_memory": "rows are made into tensors in the step itself",
    "resume_from_checkpoint": "--resume goes on from the last whole checkpoint in --output-dir",
    "enable_jit_checkpoint": "SIGTERM always saves a checkpoint and ends the run",
    "hub_always_push": "a run is pushed once, when it has ended",
    "parallelism_config": "processes share rows (DDP), or weights too with --fsdp or --deepspeed",
    "local_rank": "the launcher tells each process its rank (LOCAL_RANK)",
}
"""Any value but the default is refused."""

_ACCELERATOR = {
    "split_batches": "--batch-size counts all rows of a step, over all processes",
    "even_batches": "every process takes as many rows; those that fill a last step up weigh nothing",
    "dispatch_batches": "every process reads its own rows",
    "gradient_accumulation_kwargs": "--micro-batch-tokens cuts a step, and its update stays the same",
    "non_blocking": "rows are made into tensors in the step itself",
    "use_seedable_sampler": "the order of the rows is the same on any number of processes",
}
_READ_OPTIM_ARGS = (
    *("sgd", "adagrad", "rmsprop", "ademamix", "anyprecision", "adamw_torch_4bit", "adamw_torch_8bit"),
    *("galore", "apollo", "grokadamw", "stable_adamw"),
)
_NO_ADAM = ("sgd", "adagrad", "adafactor", "rmsprop", "rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit")
_NO_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")


_Idle = tuple[tuple[str, ...], Callable[[Any], bool], str]
_IDLE: tuple[_Idle, ...] = (
    (
        ("optim_args",),
        lambda config: any(part in config.optim.value for part in _READ_OPTIM_ARGS),
        "this optimiser reads none",
    ),
    (
        ("optim_target_modules",),
        lambda config: config.optim.value.startswith(("galore", "apollo")),
        "only GaLore and APOLLO choose layers",
    ),
    (
        ("adam_beta1", "adam_beta2", "adam_epsilon"),
        lambda config: config.optim.value not in _NO_ADAM,
        "this optimiser is not of Adam's kind",
    ),
    (
        ("warmup_steps",),
        lambda config: not config.warmup_steps or config.lr_scheduler_type.value not in _NO_WARMUP,
        "this lr_scheduler_type has no warm-up (constant_with_warmup has one)",
    ),
    (("fp16",), lambda config: config.device.type != "cpu", "a CPU computes in the type of the weights: --dtype"),
    (
        ("activation_checkpointing_kwargs",),
        lambda config: bool(config.activation_checkpointing),
        "give --activation-checkpointing true with it",
    ),
    (
        ("greater_is_better",),
        lambda config: config.metric_for_best_model is not None,
        "give --metric-for-best-model with it",
    ),
    (
        ("save_total_limit", "save_only_model", "save_on_each_node"),
        lambda config: config.save_strategy != "no",
        "no checkpoints are written: give --save-steps with it",
    ),
    (("run_name",), lambda config: bool(config.report_to), "give --report-to with it"),
    (
        ("project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
        lambda config: "trackio" in config.report_to,
        "give --report-to trackio with it",
    ),
)
"""Settings that only some others give an effect: names, when they have it, and what is missing where they do not."""


def check_supported(config: Any) -> None:
    """See that every setting does what it says.

    Raises:
        InputError: naming the first that has no effect, or another one.
    """
    usual = {field.name: field.default for field in dataclasses.fields(config)} | {
        "include_num_input_tokens_seen": "no"
    }

    def given(name: str) -> bool:
        value = getattr(config, name)
        return bool(value != usual[name] and (value or usual[name] is True))

    for name, reason in REFUSED.items():
        if given(name):
            raise InputError(f"{name} is not supported", got=shorten(getattr(config, name)), fix=reason.capitalize())
    for names, has_effect, reason in _IDLE:
        for name in filter(given, names):
            if not has_effect(config):
                raise InputError(f"{name} has no effect", got=shorten(getattr(config, name)), fix=reason.capitalize())
    check_hub(config)
    _check_optimiser(config.optim.value)
    _check_loading(config)


def _check_optimiser(name: str) -> None:
    if name in ("lomo", "adalomo") or name.endswith("layerwise"):
        what = f"optim {name} changes weights within the backward pass, and a step takes several"
        raise InputError(what, fix="Take one that waits for the whole gradient")
    if name.startswith("schedule_free"):
        what = f"optim {name} measures and saves other weights than it trains, and a run here has one set"
        raise InputError(what, fix="Take adamw_torch_fused with --lr-scheduler-type constant")


def _check_loading(config: Any) -> None:
    """One batch of the data loader is one process's share of a step, whatever accelerate could make of it."""
    usual = AcceleratorConfig()
    for name, reason in _ACCELERATOR.items():
        value = getattr(config.accelerator_config, name)
        if value != getattr(usual, name):
            what = f"{name} of accelerator_config is not supported"
            raise InputError(what, got=shorten(value), fix=reason.capitalize())
    if str(config.train_sampling_strategy) not in ("random", "sequential"):
        got = str(config.train_sampling_strategy)
        raise InputError("train_sampling_strategy must be random or sequential", got=got)
