"""Settings of TRL's DPOConfig, KTOConfig, CPOConfig and ORPOConfig in penchant's words, with every difference told.

Names and defaults are those of TRL 1.16. What would make another loss and has no counterpart is refused; what only
changes how TRL computes is left out, and named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from penchant.errors import InputError, shorten
from penchant.objectives import METHODS
from penchant.training.unsupported import REFUSED

KINDS = ("dpo", "kto", "cpo", "orpo")

_LOSSES = {
    "dpo": {
        "sigmoid": "dpo",
        "hinge": "hinge",
        "ipo": "ipo",
        "exo_pair": "exo",
        "nca_pair": "nca",
        "robust": "robust_dpo",
        "bco_pair": "bco",
        "sppo_hard": "sppo",
        "apo_zero": "apo_zero",
        "apo_down": "apo_down",
        "discopop": "discopop",
        "sigmoid_norm": "ln_dpo",
        "sft": "nll",
    },
    "kto": {"kto": "kto"},
    "cpo": {"sigmoid": "cpo", "simpo": "simpo", "alphapo": "alphapo"},
    "orpo": {},
}
_RENAMED = {
    "model_name_or_path": "model",
    "dataset_name": "data",
    "truncation_mode": "truncation",
    "use_peft": "lora",
    "simpo_gamma": "gamma",
    "discopop_tau": "tau",
    "torch_dtype": "dtype",
    "warmup_ratio": "warmup_steps",
}
_DEFAULTS = {
    "learning_rate": 1e-6,
    "num_train_epochs": 3.0,
    "lr_scheduler_type": "linear",
    "warmup_steps": 0.0,
    "per_device_train_batch_size": 8,
    "truncation": "keep_start",
    "dtype": "float32",
    "lora": False,
}
_ADAPTER = {"lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.05}
_CONSTANTS = {"beta": 0.1, "gamma": 0.5, "tau": 0.05, "label_smoothing": 0.0} | dict.fromkeys(
    ("desirable_weight", "undesirable_weight"), 1.0
)
_UNLIKE = {
    "bf16": "TRL then computes in bfloat16 on weights of dtype; here all is computed in dtype (bf16: true does as TRL)",
    "gradient_checkpointing": "TRL then makes activations again; here they are kept (activation_checkpointing: true)",
    "logging_steps": "TRL then logs every 10 steps; here every step is logged",
}
"""Of what a file leaves out: where the default here stays, and why that is another."""

_NO_LIMIT = 1_000_000
_OTHER_LOSS = {
    "ld_alpha": None,
    "f_divergence_type": "reverse_kl",
    "use_weighting": False,
    "tpo_alpha": None,
    "tpo_l_gamma": None,
}
_OTHER_ADAPTER = {
    "use_rslora": False,
    "use_dora": False,
    "lora_modules_to_save": None,
    "lora_target_parameters": None,
    "lora_task_type": "CAUSAL_LM",
    "model_revision": "main",
}
_ENGINE = {
    "padding_free": "rows are packed wherever a check on the model allows it",
    "precompute_ref_batch_size": "micro_batch_tokens bounds every forward pass",
    "pad_to_multiple_of": "packed rows have no padding",
    "use_liger_kernel": "the head is streamed wherever a check on the model allows it",
    "activation_offloading": "there is none; lower --micro-batch-tokens",
    "max_prompt_length": "max_length counts prompt and answer; truncation says which is cut",
    "max_completion_length": "max_length counts prompt and answer; truncation says which is cut",
    "dataset_num_proc": "rows are read in one process",
    "generate_during_eval": "penchant sample does it apart from the run",
    "model_init_kwargs": "give --dtype and --trust-remote-code by themselves",
    "attn_implementation": "the engine chooses the attention and checks it",
    "load_in_4bit": "weights are trained as they are; --reference-bits quantises a reference",
    "load_in_8bit": "weights are trained as they are; --reference-bits quantises a reference",
    "router_aux_loss_coef": "there is no router loss",
    "dataset_train_split": "files are given one by one",
    "dataset_test_split": "give --eval-data",
    "dataset_config": "files are given one by one",
    "label_pad_token_id": "rows carry no labels",
    "is_encoder_decoder": "causal models only",
    **dict.fromkeys(("bnb_4bit_quant_type", "use_bnb_nested_quant"), "weights are trained as they are"),
    "bnb_4bit_quant_storage": "weights are trained as they are",
    **{
        name: REFUSED[name]
        for name in ("liger_kernel_config", "torch_empty_cache_steps", "average_tokens_across_devices")
    },
    **{name: REFUSED[name] for name in ("remove_unused_columns", "dataloader_pin_memory", "eval_accumulation_steps")},
}


def translate(given: Mapping[str, Any], kind: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """Options of :func:`penchant.train` that mean what TRL's settings mean, and what has to be said about them.

    Args:
        given: TRL's keyword names, or the content of a TRL YAML file.
        kind: ``dpo``, ``kto``, ``cpo`` or ``orpo``; left out, read off the settings.

    Raises:
        InputError: if a setting asks for a loss that penchant does not have, or the kind is unknown.
    """
    kind = kind or _kind(given)
    if kind not in KINDS:
        raise InputError(f"no TRL configuration {kind!r}", fix=f"Choose one of {', '.join(KINDS)}")
    _refuse_others(given)
    notes = [f"read as TRL's {kind.upper()}Config"]
    handled = (*_HANDLED, "alpha") if kind == "cpo" else _HANDLED
    options = {_RENAMED.get(name, name): value for name, value in given.items() if name not in handled}
    for name in [name for name in options if name in _ENGINE]:
        value = options.pop(name)
        if value not in (None, False):
            notes.append(f"{name} has no counterpart: {_ENGINE[name]}")
    options = _settled(options, notes) | _method(given, kind, notes) | _reference(given, notes)
    if kind == "orpo":
        options["lambda"] = options.pop("beta", 0.1)
        notes.append("ORPO's beta is the weight of its odds-ratio term, which is called lambda here")
    else:
        _constants(options, notes)
    _left_out(options, notes)
    if kind == "kto" and "train_sampling_strategy" not in options:
        notes.append("the rows are shuffled; TRL's KTO takes them in their order (train_sampling_strategy: sequential)")
    notes.append(
        "batches: per_device_train_batch_size times gradient_accumulation_steps times processes rows make one "
        "optimiser step, and every row weighs the same in it, however it is cut"
    )
    return options, notes


def _settled(options: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Values in our words; null is TRL's default of everything but a length and a type."""
    if "max_length" in options and options["max_length"] is None:
        options["max_length"] = _NO_LIMIT
        notes.append(f"max_length is null, so no row is cut: {_NO_LIMIT} here")
    if "dtype" in options and options["dtype"] in (None, "auto"):
        options["dtype"] = "auto"
        notes.append("dtype auto is the checkpoint's in TRL; here float32 on a CPU and bfloat16 on an accelerator")
    if isinstance(options.get("lora_target_modules"), list | tuple):
        options["lora_target_modules"] = ",".join(options["lora_target_modules"])
    return {name: value for name, value in options.items() if value is not None}


def _left_out(options: dict[str, Any], notes: list[str]) -> None:
    """What the settings do not say: TRL's defaults, and a note where they stay our own."""
    left_out = {name: value for name, value in _DEFAULTS.items() if name not in options}
    if left_out.get("lora") is False and any(name.startswith("lora_") for name in options):
        left_out["lora"] = True
        notes.append("use_peft is left out, and settings of an adapter are given: it is trained (TRL: all weights)")
    adapted = (options | left_out)["lora"]
    if adapted:
        left_out |= {name: value for name, value in _ADAPTER.items() if name not in options}
    if "batch_size" in options:
        left_out.pop("per_device_train_batch_size", None)
    options |= left_out
    if left_out:
        told = ", ".join(f"{name}={value}" for name, value in left_out.items())
        notes.append(f"left out in the settings, and as TRL has them: {told}")
    if adapted and "lora_target_modules" not in options:
        why = "TRL leaves the choice to peft, by the kind of model (often q_proj,v_proj); here it is all-linear"
        notes.append(f"lora_target_modules is left out: {why}")
    given = options | ({"gradient_checkpointing": True} if "activation_checkpointing" in options else {})
    given |= {"bf16": False} if options.get("fp16") else {}
    notes += [f"{name} is left out: {why}" for name, why in _UNLIKE.items() if name not in given]


def _constants(options: dict[str, Any], notes: list[str]) -> None:
    """TRL has one beta of 0.1 for all losses; a sum of methods takes its constants in the sum itself."""
    method = options["method"]
    if "beta" not in options:
        notes.append("beta is left out, and 0.1 as TRL has it for every loss (penchant's own defaults are per method)")
    given = {name: options.pop(name) for name in (*_CONSTANTS, "alpha") if name in options}
    summed = "+" in method or "*" in method
    parts = [part.strip().rpartition("*") for part in method.split("+")] if summed else [("", "", method)]
    found = {name: _of_method(name, given) for _, _, name in parts}
    used = {"label_smoothing" if one == "epsilon" else one for each in found.values() for one in each}
    for name, value in given.items():
        if value and name not in used and name != "beta":
            raise InputError(f"{name} has no effect on {method}", got=shorten(value), fix="Leave it out")
    for name in sorted(used - {*given, "beta"}):
        notes.append(f"{name} is left out, and {_CONSTANTS[name]} as TRL has it (another default here)")
    if summed:
        called = [f"{weight}{star}{_called(name, found[name])}" for weight, star, name in parts]
        options["method"] = " + ".join(called)
    else:
        options |= found[method]


def _of_method(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """TRL's constants that a method has: those given, its beta, and defaults that are not the method's own."""
    known = METHODS[name].constants if name in METHODS else {}
    usual = {one: value for one, value in _CONSTANTS.items() if one == "beta" or value != known.get(one)}
    found = {one: value for one, value in (usual | dict(given)).items() if one in known}
    if name == "exo" and "label_smoothing" in given:
        found["epsilon"] = given["label_smoothing"]
    return found


def _called(name: str, constants: Mapping[str, Any]) -> str:
    """A method of a sum with its constants."""
    told = ", ".join(f"{one}={value}" for one, value in constants.items())
    return f"{name}({told})" if told else name


def settings_of(config: Any) -> tuple[dict[str, Any], str]:
    """What a TRL configuration object sets beyond its defaults, and its kind.

    Raises:
        InputError: if it is no such object.
    """
    kind = type(config).__name__.removesuffix("Config").lower()
    if kind not in KINDS or not dataclasses.is_dataclass(config):
        raise InputError("not a TRL configuration", got=type(config).__name__, fix="Give a DPOConfig or its settings")
    found = {}
    for field in dataclasses.fields(config):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        value = getattr(config, field.name)
        if field.init and value != default and not field.name.startswith("_"):
            found[field.name] = value
    return found, kind


def _kind(given: Mapping[str, Any]) -> str:
    if {"desirable_weight", "undesirable_weight"} & set(given) or given.get("loss_type") == "kto":
        return "kto"
    if {"cpo_alpha", "simpo_gamma"} & set(given) or given.get("loss_type") in ("simpo", "alphapo"):
        return "cpo"
    return "dpo"


_HANDLED = (
    *("loss_type", "loss_weights", "cpo_alpha", "rpo_alpha", "reference_free", "precompute_ref_log_probs"),
    *("sync_ref_model", "ref_model_sync_steps", "ref_model_mixup_alpha", *_OTHER_LOSS, *_OTHER_ADAPTER),
    "resume_from_checkpoint",
)


def _refuse_others(given: Mapping[str, Any]) -> None:
    for names, what in ((_OTHER_LOSS, "loss"), (_OTHER_ADAPTER, "model")):
        for name, usual in names.items():
            if given.get(name, usual) not in (usual, None):
                fix = "Leave it out, or take a method of the catalogue (penchant methods)" if what == "loss" else None
                told = f"{name} makes another {what} and has no counterpart"
                raise InputError(told, got=shorten(given[name]), fix=fix or "Leave it out")


def _method(given: Mapping[str, Any], kind: str, notes: list[str]) -> dict[str, Any]:
    """Method and constants from loss types and their weights."""
    if kind == "orpo":
        return {"method": "orpo"}
    usual = {"dpo": "sigmoid", "kto": "kto", "cpo": "sigmoid"}[kind]
    types = given.get("loss_type", usual)
    types = [types] if isinstance(types, str) else list(types)
    known = _LOSSES[kind]
    for one in types:
        if one not in known:
            fix = f"Known: {', '.join(known)}"
            raise InputError(f"loss_type {one!r} of {kind.upper()}Config has no counterpart", fix=fix)
    names = [known[one] for one in types]
    if len(names) > 1:
        weights = given.get("loss_weights") or [1.0] * len(names)
        if len(weights) != len(names):
            raise InputError("loss_weights and loss_type are not of one length", got=shorten(weights))
        method = " + ".join(f"{weight:g}*{name}" for weight, name in zip(weights, names, strict=True))
        return {"method": method}
    (name,) = names
    if kind == "cpo":
        return _cpo(given, name, notes)
    if given.get("rpo_alpha") is not None:
        notes.append("rpo_alpha adds the chosen answer's loss per token: method dpo_nll, alpha in its place")
        return {"method": "dpo_nll", "alpha": given["rpo_alpha"]}
    if name == "ipo":
        notes.append("TRL divides IPO's log-ratios by the answer's length; for that add length_normalize: true")
    if name == "bco":
        notes.append(
            "BCO's baseline is the mean of all log-ratios so far, weighted by rows; TRL's is a running mean of means"
        )
    if name == "kto":
        notes.append("KTO's baseline is taken over the whole optimiser step and all processes, not one micro-batch")
    return {"method": name}


def _cpo(given: Mapping[str, Any], name: str, notes: list[str]) -> dict[str, Any]:
    """TRL's alphapo is its simpo with cpo_alpha 0; alpha bends the rewards of either, 0 where it is left out."""
    weight, bend = given.get("cpo_alpha", 1.0), given.get("alpha") or 0.0
    if name == "cpo":
        if bend:
            raise InputError("alpha makes another loss and has no counterpart", got=shorten(bend), fix="Leave it out")
        return {"method": "cpo", "alpha": weight}
    if name == "alphapo":
        weight = 0.0
    method, extra = ("alphapo", {"alpha": bend}) if bend or name == "alphapo" else (name, {})
    if not weight:
        return {"method": method} | extra
    notes.append(f"cpo_alpha is {weight:g} (1 where TRL's settings leave it out), so the chosen answer's loss is added")
    return {"method": f"{method} + {weight:g}*nll"} | extra


def _reference(given: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if given.get("reference_free"):
        found["reference"] = "none"
    if given.get("precompute_ref_log_probs"):
        found["reference_store"] = "reference_store"
        notes.append("precompute_ref_log_probs: kept in the folder reference_store, and found there by later runs")
    if given.get("sync_ref_model"):
        found["reference_every"] = given.get("ref_model_sync_steps", 512)
        found["reference_mix"] = given.get("ref_model_mixup_alpha", 0.6)
        notes.append("sync_ref_model: the reference moves (TR-DPO), is kept in checkpoints, and works with adapters")
    if given.get("resume_from_checkpoint"):
        found["resume"] = True
        notes.append("resume_from_checkpoint: the run goes on from the last whole checkpoint in its own output_dir")
    return found
