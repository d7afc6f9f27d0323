"""Every field of TrainingArguments does what it says, or is refused with the reason."""

from __future__ import annotations

import dataclasses

import pytest
from transformers import TrainingArguments

from penchant.errors import InputError
from penchant.training import PreferenceConfig
from penchant.training.options import make_config
from penchant.training.unsupported import REFUSED

HONOURED = {
    "how long, on what, and where": ("output_dir", "num_train_epochs", "max_steps", "use_cpu", "seed", "data_seed"),
    "the step, which config.py settles": (
        *("per_device_train_batch_size", "gradient_accumulation_steps", "train_sampling_strategy"),
    ),
    "the optimiser and its schedule, which transformers makes": (
        *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "optim", "optim_args"),
        *("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "optim_target_modules", "max_grad_norm"),
    ),
    "precision and memory: accelerate's autocast, checkpointing.py, kernels": (
        *("bf16", "fp16", "tf32", "full_determinism", "torch_compile", "use_cache"),
        *("activation_checkpointing", "activation_checkpointing_kwargs"),
        *("gradient_checkpointing", "gradient_checkpointing_kwargs"),
    ),
    "transformers' callbacks, loggers and trackers": (
        *("logging_strategy", "logging_steps", "logging_first_step", "log_on_each_node", "log_level"),
        *("log_level_replica", "disable_tqdm", "report_to", "run_name", "project", "trackio_space_id"),
        *("trackio_bucket_id", "trackio_static_space_id", "debug", "skip_memory_metrics"),
    ),
    "when to evaluate, and in which batches": (
        *("eval_strategy", "eval_steps", "eval_delay", "eval_on_start", "per_device_eval_batch_size", "do_eval"),
        *("load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
    ),
    "a run trains": ("do_train",),
    "checkpoints, and going on from them": (
        *("save_only_model", "save_strategy", "save_steps", "save_on_each_node", "save_total_limit"),
        *("ignore_data_skip", "restore_callback_states_from_checkpoint"),
    ),
    "hub.py": ("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy", "hub_revision"),
    "the data loader": (
        *("dataloader_drop_last", "dataloader_num_workers", "dataloader_persistent_workers", "dataloader_in_order"),
        *("dataloader_prefetch_factor", "dataloader_multiprocessing_context"),
    ),
    "several processes": (
        *("accelerator_config", "fsdp", "fsdp_config", "deepspeed", "ddp_find_unused_parameters"),
        *("ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph", "ddp_backend", "ddp_timeout"),
    ),
}


def config(tmp_path, **settings):
    return PreferenceConfig(output_dir=str(tmp_path), use_cpu=True, **settings)


def test_every_field_of_transformers_is_honoured_or_refused():
    """A version of transformers that brings a new one fails here, until someone has looked at what reads it."""
    honoured = [name for names in HONOURED.values() for name in names]
    assert len(honoured) == len(set(honoured))
    assert set(honoured) & set(REFUSED) == set()
    known = {field.name for field in dataclasses.fields(TrainingArguments) if field.init}
    assert known - set(honoured) - set(REFUSED) == set()
    assert (set(honoured) | set(REFUSED)) - known == set()


VALUES = {
    "average_tokens_across_devices": False,
    "eval_do_concat_batches": False,
    "label_names": ["labels"],
    "include_for_metrics": ["loss"],
    "length_column_name": "words",
    "liger_kernel_config": {"rope": True},
    "local_rank": 1,
    "parallelism_config": object(),
    "resume_from_checkpoint": "nowhere",
    "torch_compile_backend": "eager",
    "torch_compile_mode": "max-autotune",
    "label_smoothing_factor": 0.1,
    "neftune_noise_alpha": 5.0,
    "torch_empty_cache_steps": 1,
    "eval_accumulation_steps": 2,
}


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "dataloader_pin_memory"])
def test_what_has_no_effect_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"^{name} is not supported"):
        config(tmp_path, **{name: VALUES.get(name, True)})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optim_args": "foo=1"}, "optim_args has no effect .*This optimiser reads none"),
        ({"optim_target_modules": "all-linear"}, "optim_target_modules has no effect"),
        ({"optim": "sgd", "adam_beta1": 0.5}, "adam_beta1 has no effect"),
        ({"fp16": True}, "fp16 has no effect .*--dtype"),
        ({"lr_scheduler_type": "constant", "warmup_steps": 3}, "warmup_steps has no effect .*constant_with_warmup"),
        ({"activation_checkpointing_kwargs": {"every_n_layers": 2}}, "activation_checkpointing_kwargs has no effect"),
        ({"greater_is_better": True}, "greater_is_better has no effect"),
        ({"save_total_limit": 1}, "save_total_limit has no effect .*--save-steps"),
        ({"save_only_model": True}, "save_only_model has no effect"),
        ({"run_name": "first"}, "run_name has no effect"),
        ({"project": "mine"}, "project has no effect"),
        ({"hub_model_id": "me/mine"}, "hub_model_id has no effect.*--push-to-hub"),
        ({"hub_private_repo": True}, "hub_private_repo has no effect"),
        ({"hub_strategy": "end"}, "hub_strategy has no effect"),
        ({"optim": "lomo"}, "changes weights within the backward pass"),
        ({"optim": "galore_adamw_layerwise", "optim_target_modules": "all-linear"}, "within the backward pass"),
        ({"optim": "schedule_free_adamw"}, "measures and saves other weights than it trains"),
    ],
)
def test_what_has_no_effect_alone_is_refused(tmp_path, settings, words):
    with pytest.raises(InputError, match=words):
        config(tmp_path, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"gradient_accumulation_kwargs": {"num_steps": 2}},
        {"split_batches": True},
        {"even_batches": False},
        {"dispatch_batches": True},
        {"use_seedable_sampler": False},
        {"non_blocking": True},
    ],
)
def test_accelerate_may_not_make_another_step(tmp_path, settings):
    """They gave a sum over two batches, half a step's rows on each of two processes, a short last step, an error."""
    with pytest.raises(InputError, match=f"^{next(iter(settings))} of accelerator_config is not supported"):
        config(tmp_path, accelerator_config=settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"optim": "sgd", "optim_args": "momentum=0.9"},
        {"activation_checkpointing": True, "activation_checkpointing_kwargs": {"every_n_layers": 2}},
        {"save_steps": 2, "save_total_limit": 1, "save_only_model": True},
        {"lr_scheduler_type": "constant"},
        {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 3},
        {"accelerator_config": {"split_batches": False}},
        {"neftune_noise_alpha": 0.0, "remove_unused_columns": False, "label_names": []},
    ],
)
def test_what_has_an_effect_or_asks_for_nothing_is_taken(tmp_path, settings):
    config(tmp_path, **settings)


@pytest.mark.parametrize("name", ["eval_delay", "do_eval", "per_device_eval_batch_size", "metric_for_best_model"])
def test_evaluation_without_data_is_refused(tmp_path, name):
    value = "loss" if name == "metric_for_best_model" else True if name == "do_eval" else 2
    with pytest.raises(InputError, match=f"{name} is given, but no evaluation data"):
        make_config(tmp_path, "dpo", {"use_cpu": True, name: value}, evaluates=False)
