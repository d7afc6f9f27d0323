"""Adapters: a new one on a model, or one from a folder that goes on learning."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from penchant.errors import InputError, shorten
from penchant.models import LoadedModel
from penchant.training.config import PreferenceConfig

FILE = "adapter_config.json"
REFERENCE = "reference"
"""The name of the adapter that stands still, where the reference is one."""
_BASE_KEPT = ("true", "false", "gaussian", "eva", "orthogonal", "mica")
"""PEFT's ways for an adapter to begin that leave the base alone; PiSSA, OLoRA, LoftQ and others change its weights."""


def continued(model: str | LoadedModel, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run; where the model is an adapter that goes on learning, with that adapter's own shape.

    Raises:
        InputError: if an option asks for another shape than the adapter has.
    """
    found = _shape(model) if options.get("lora", True) is True else {}
    for name, value in found.items():
        asked = options.get(name, value)
        if asked != value and not (name == "lora_target_modules" and _names(asked) == _names(value)):
            raise InputError(
                f"{name} is {value!r} in the adapter that goes on learning",
                got=shorten(asked),
                fix="Leave it out, or make one model of adapter and base first: penchant merge",
            )
    return {**options, **found}


def _shape(model: str | LoadedModel) -> dict[str, Any]:
    """Rank, scale, dropout and layers of the adapter that the model comes with; empty where it has none."""
    if isinstance(model, LoadedModel):
        if not hasattr(model.model, "peft_config"):
            return {}
        config: Any = model.model.peft_config[model.model.active_adapters[0]].to_dict()
    else:
        path = Path(model, FILE)
        if not path.is_file():
            return {}
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"the adapter's settings cannot be read: {error}", where=str(path)) from error
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise InputError(
            "only a LoRA adapter can go on learning",
            where=model.name if isinstance(model, LoadedModel) else model,
            got=str(getattr(kind, "value", kind)),
            fix="Make one model of adapter and base first: penchant merge",
        )
    targets = config.get("target_modules") or []
    return {
        "lora_r": config["r"],
        "lora_alpha": config["lora_alpha"],
        "lora_dropout": float(config.get("lora_dropout", 0.0)),
        "lora_target_modules": targets if isinstance(targets, str) else ",".join(sorted(targets)),
    }


def _names(targets: Any) -> list[str]:
    return sorted(name.strip() for name in str(targets).split(","))


def shown_layers(targets: str) -> str:
    """Layers by the last part of their names, each once."""
    return ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in _names(targets)))


def add_adapter(model: Any, config: PreferenceConfig) -> Any:
    """The model with a new adapter that changes nothing yet; a model that has one already, as it is.

    Raises:
        InputError: if the model has no such layers.
    """
    from peft import LoraConfig, get_peft_model

    if hasattr(model, "peft_config"):
        return model
    targets = config.lora_target_modules
    names = _names(targets)
    if targets != "all-linear":
        present = [name for name, _ in model.named_modules()]
        for name in names:
            if not any(module == name or module.endswith(f".{name}") for module in present):
                raise InputError("the model has no such layer", where="--lora-target-modules", got=shorten(name))
    lora = LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        **_placed(model, config, names),
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(config.seed)
    # peft 0.21 writes a pattern for stacked experts into every adapter of some mixtures, and warns that nothing fits it
    warnings.filterwarnings(
        "ignore", message=r"The following (rank|alpha)_pattern keys did not match", category=RuntimeWarning
    )
    # and on saving it looks for the base's config, which a GGUF file has not, to see whether the vocabulary grew
    warnings.filterwarnings("ignore", message="Could not find a config file in", category=UserWarning)
    try:
        return get_peft_model(model, lora)
    except ValueError as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"no adapter can be added: {cause}", where="--lora-target-modules", got=targets) from error


def _placed(model: Any, config: PreferenceConfig, names: list[str]) -> dict[str, Any]:
    """PEFT's settings of where the adapter goes: by name, and in the last layers alone where that is asked for."""
    everywhere = config.lora_target_modules == "all-linear"
    if config.lora_layers is None:
        return {"target_modules": "all-linear" if everywhere else names}
    layers = model.config.get_text_config().num_hidden_layers
    if config.lora_layers > layers:
        raise InputError("the model has fewer layers", where="--lora-layers", got=f"{config.lora_layers} of {layers}")
    if everywhere:
        head = model.get_output_embeddings()
        linear = [name for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head]
        names = sorted({name.rpartition(".")[2] for name in linear})
    return {"target_modules": names, "layers_to_transform": list(range(layers - config.lora_layers, layers))}


def beside_experts(model: Any) -> str:
    """What is said of a mixture of experts whose experts lie in one tensor that the adapter does not reach."""
    names = [name for name, _ in model.named_parameters() if ".experts." in name]
    return "; the experts stand still" if names and not any("lora_" in name for name in names) else ""


@torch.no_grad()
def is_trained(model: Any) -> bool:
    """Whether the active adapter changes what the model computes: one that is new does not."""
    active = model.active_adapters[0]
    return any(bool(p.any()) for name, p in model.named_parameters() if f"lora_B.{active}." in name)


def check_one_base(model: Any, *others: Any) -> None:
    """See that a model's adapters, and others to be loaded, stand on one base beside one another, or switched off.

    Raises:
        InputError: if one changes the weights under it, or PEFT keeps them not apart.
    """
    fix = "Make one model of adapter and base first (penchant merge), and name that"
    configs = [*model.peft_config.values(), *others]
    for config in configs:
        init, bias = getattr(config, "init_lora_weights", True), getattr(config, "bias", "none")
        kept = str(init).lower() in _BASE_KEPT
        if not kept or bias != "none":
            what = f"bias={bias}" if kept else f"init_lora_weights={init}"
            problem = "an adapter that changes its base's own weights shares that base with no reference"
            raise InputError(problem, where="--reference", got=what, fix=fix)
    tokens = [str(getattr(config, "trainable_token_indices", None)) for config in configs]
    if len(set(tokens)) > 1:
        problem = "PEFT cannot save one of two adapters that differ in trainable_token_indices"
        raise InputError(problem, where="--reference", got=shorten(" and ".join(tokens)), fix=fix)


def copy_adapter(model: Any) -> str:
    """Put a copy of the active adapter beside it, standing still and without dropout; returns the copy's name.

    The copy is filled by :func:`write_adapter`, so that a reference which moves can be filled again.
    """
    active = model.active_adapters[0]
    _add_still(model, copy.deepcopy(model.peft_config[active]))
    write_adapter(model, adapter_weights(model, active))
    return REFERENCE


def load_beside(model: Any, folder: str) -> str:
    """Put the adapter of a folder beside the active one, standing still and without dropout; returns its name.

    Raises:
        InputError: if it cannot be read, does not fit the model, or the two cannot share a base.
    """
    from peft import PeftConfig

    try:
        config = PeftConfig.from_pretrained(folder)
        check_one_base(model, config)
        _add_still(model, config)
        found = model.load_adapter(folder, adapter_name=REFERENCE, is_trainable=False)
    except InputError:
        raise
    except Exception as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"cannot load the reference adapter: {cause[:200]}", where=folder) from error
    apart = [*found.missing_keys, *found.unexpected_keys]
    if apart:
        raise InputError("the reference adapter's weights are not those of its settings", where=folder, got=apart[0])
    _freeze(model)
    return REFERENCE


def _add_still(model: Any, config: Any) -> None:
    """An adapter that stands still, to be filled. Begun plainly: another beginning would change the base once more."""
    config.lora_dropout, config.inference_mode, config.init_lora_weights = 0.0, True, True
    model.add_adapter(REFERENCE, config)
    _freeze(model)


def without_dropout(model: Any, adapter: str) -> None:
    """Leave an adapter's dropout out, for one that is a reference; training would switch it on."""
    for module in model.modules():
        dropouts = getattr(module, "lora_dropout", {})
        if adapter in dropouts:
            dropouts[adapter] = torch.nn.Identity()


def _freeze(model: Any) -> None:
    for name, parameter in model.named_parameters():
        if f".{REFERENCE}." in name:
            parameter.requires_grad_(False)


def adapter_weights(model: Any, adapter: str) -> dict[str, Any]:
    """An adapter's tensors under names without the adapter's own."""
    from peft import get_peft_model_state_dict

    weights: dict[str, Any] = get_peft_model_state_dict(model, adapter_name=adapter)
    return weights


def write_adapter(model: Any, weights: Mapping[str, Any]) -> None:
    """Fill the adapter that stands still with these tensors."""
    from peft import set_peft_model_state_dict

    set_peft_model_state_dict(model, dict(weights), adapter_name=REFERENCE)
