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
    "lora": False,
}
_OTHER_LOSS = {
    "ld_alpha": None,
    "f_divergence_type": "reverse_kl",
    "use_weighting": False,
    "tpo_alpha": None,
    "tpo_l_gamma": None,
}
_LOSS_CONSTANTS = ("beta", "gamma", "tau", "label_smoothing", "alpha", "desirable_weight", "undesirable_weight")
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
    _refuse_other_losses(given)
    notes = [f"read as TRL's {kind.upper()}Config"]
    options = {_RENAMED.get(name, name): value for name, value in given.items() if name not in _HANDLED}
    for name in [name for name in options if name in _ENGINE]:
        value = options.pop(name)
        if value not in (None, False):
            notes.append(f"{name} has no counterpart: {_ENGINE[name]}")
    options |= _method(given, kind, notes) | _reference(given, notes)
    if isinstance(options.get("lora_target_modules"), list | tuple):
        options["lora_target_modules"] = ",".join(options["lora_target_modules"])
    if kind == "orpo":
        options["lambda"] = options.pop("beta", 0.1)
        notes.append("ORPO's beta is the weight of its odds-ratio term, which is called lambda here")
    else:
        _constants(options, notes)
    left_out = {name: value for name, value in _DEFAULTS.items() if name not in options}
    if left_out.get("lora") is False and any(name.startswith("lora_") for name in options):
        left_out["lora"] = True
    if "batch_size" in options:
        left_out.pop("per_device_train_batch_size", None)
    options |= left_out
    if left_out:
        told = ", ".join(f"{name}={value}" for name, value in left_out.items())
        notes.append(f"left out in the settings, and as TRL has them: {told}")
    notes.append(
        "batches: per_device_train_batch_size times gradient_accumulation_steps times processes rows make one "
        "optimiser step, and every row weighs the same in it, however it is cut"
    )
    return options, notes


def _constants(options: dict[str, Any], notes: list[str]) -> None:
    """TRL has one beta of 0.1 for all losses; a sum of methods takes its constants in the sum itself."""
    method = options["method"]
    if "beta" not in options:
        notes.append("beta is left out, and 0.1 as TRL has it for every loss (penchant's own defaults are per method)")
    given = {"beta": 0.1} | {name: options.pop(name) for name in _LOSS_CONSTANTS if name in options}
    if "+" in method or "*" in method:
        parts = [part.strip().rpartition("*") for part in method.split("+")]
        options["method"] = " + ".join(f"{weight}{star}{_called(name, given)}" for weight, star, name in parts)
        return
    if method not in METHODS:
        return
    for name, value in given.items():
        if name in METHODS[method].constants:
            options[name] = value
        elif value and name != "beta":
            raise InputError(f"{name} has no effect on {method}", got=shorten(value), fix="Leave it out")


def _called(name: str, given: Mapping[str, Any]) -> str:
    """A method of a sum with those of the constants that it has."""
    known = METHODS[name].constants if name in METHODS else {}
    told = ", ".join(f"{one}={value}" for one, value in given.items() if one in known)
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
    *("sync_ref_model", "ref_model_sync_steps", "ref_model_mixup_alpha", "alpha", *_OTHER_LOSS),
    "resume_from_checkpoint",
)


def _refuse_other_losses(given: Mapping[str, Any]) -> None:
    for name, usual in _OTHER_LOSS.items():
        if given.get(name, usual) != usual:
            fix = "Leave it out, or take a method of the catalogue (penchant methods)"
            raise InputError(f"{name} makes another loss and has no counterpart", got=shorten(given[name]), fix=fix)


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
    weight = given.get("cpo_alpha", 1.0)
    if name == "cpo":
        return {"method": "cpo", "alpha": weight}
    extra = {"alpha": given["alpha"]} if name == "alphapo" and "alpha" in given else {}
    if not weight:
        return {"method": name} | extra
    notes.append(f"cpo_alpha is {weight:g} (1 where TRL's settings leave it out), so the chosen answer's loss is added")
    return {"method": f"{name} + {weight:g}*nll"} | extra


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
    return found
