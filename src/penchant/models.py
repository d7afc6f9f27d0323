"""Load a causal language model and its tokenizer: a folder, a GGUF file, or a hub name."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from penchant.errors import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
_TOKENIZER = "tokenizer_config.json"
_NOT_MADE_AGAIN = ("pissa_niter", "corda", "lora_ga")
"""Beginnings of an adapter that are drawn anew, or left out, whenever it is loaded."""
_WEIGHT_FILES = ("*.safetensors", "*.safetensors.index.json", "*.gguf")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model with its tokenizer, the name it was asked for by, and one line that says what was found."""

    model: Any
    tokenizer: Any
    description: str
    name: str


def load_model(
    name: str, *, dtype: str = "float32", trust_remote_code: bool = False, merge: bool = True
) -> LoadedModel:
    """Load a model and its tokenizer.

    Args:
        name: A folder with ``config.json`` and safetensors, a folder that holds a PEFT adapter (merged into its base),
            a ``.gguf`` file or a folder with one (dequantised), or a name on the hub.
        dtype: Type of the weights: ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"float64"``.
        trust_remote_code: Whether code that comes with the model may run.
        merge: False leaves an adapter beside its base, ready to go on learning.

    Raises:
        InputError: if there is no such model, a folder has no weights, or the type is unknown.
    """
    if dtype not in DTYPES:
        raise InputError(f"no dtype {dtype!r}", fix=f"Choose one of {', '.join(DTYPES)}")
    quiet_peft()
    path = Path(name)
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if path.is_dir() and (path / "adapter_config.json").is_file():
        return _with_adapter(path, dtype, trust_remote_code, merge)
    source, gguf = _locate(path, name)
    if gguf:
        options["gguf_file"] = gguf
    tokenizer, model = _from_pretrained(name, source, DTYPES[dtype], options)
    _prepare_tokenizer(tokenizer, name)
    if gguf:
        _forget_quantisation(model)
    kind = f"GGUF file {gguf}, dequantised" if gguf else ("folder" if path.is_dir() else "hub")
    return LoadedModel(model, tokenizer, f"{name} ({kind}; {model.num_parameters():,} parameters, {dtype})", name)


def quiet_peft() -> None:
    """Leave out a warning about what no user could change: peft 0.21 asks transformers 5.23 for a property by its old
    name.
    """
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)


def load_tokenizer(name: str, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model alone, without its weights; an adapter's is its own, or where it kept none its base's.

    Args:
        name: As for :func:`load_model`; a folder needs no weights.
        trust_remote_code: Whether code that comes with the model may run.

    Raises:
        InputError: if there is no such model, or its tokenizer cannot be read.
    """
    path = Path(name)
    if (path / "adapter_config.json").is_file() and not (path / _TOKENIZER).is_file():
        from peft import PeftConfig

        base = PeftConfig.from_pretrained(str(path)).base_model_name_or_path
        return load_tokenizer(base, trust_remote_code=trust_remote_code)
    source, gguf = (name, None) if (path / _TOKENIZER).is_file() else _locate(path, name)
    options: dict[str, Any] = {"gguf_file": gguf} if gguf else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code, **options)
    except Exception as error:
        cause = " ".join(str(error).split()).rstrip(".")
        fix = "Give a folder with a tokenizer, a .gguf file or a hub name"
        raise InputError(f"cannot load the tokenizer of {name!r}: {cause}", fix=fix) from error
    _prepare_tokenizer(tokenizer, name)
    return tokenizer


def _from_pretrained(name: str, source: str, dtype: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    """Tokenizer and model, with every weight found in the files.

    Raises:
        InputError: if anything cannot be read, or weights are missing.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model, report = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, use_safetensors=True, output_loading_info=True, **options
        )
    except Exception as error:
        cause = " ".join(str(error).split()).rstrip(".")
        fix = "Give a folder with safetensors weights and a tokenizer, a .gguf file or a hub name"
        raise InputError(f"cannot load model {name!r}: {cause}", fix=fix) from error
    missing = sorted(report["missing_keys"])
    if missing:
        what = f"{len(missing)} of the model's weights are not in its files and would start at random"
        raise InputError(what, where=name, got=missing[0], fix="Check config.json against the weights")
    return tokenizer, model


def _locate(path: Path, name: str) -> tuple[str, str | None]:
    """The folder or hub name to load from, and the GGUF file in it if the weights are one."""
    if path.suffix == ".gguf":
        if not path.is_file():
            raise InputError(f"no such file: {name}", fix="Give the path of a .gguf file")
        return str(path.parent), path.name
    if path.is_dir():
        if not any(match for pattern in _WEIGHT_FILES for match in path.glob(pattern)):
            fix = "Give a folder with .safetensors weights and config.json, or a .gguf file"
            raise InputError("the model folder has no weights", where=name, fix=fix)
        gguf = sorted(path.glob("*.gguf"))
        return str(path), gguf[0].name if gguf and not (path / "config.json").is_file() else None
    if path.exists() or name.startswith((".", os.sep, "~")) or name.count("/") > 1:
        raise InputError(f"no such model: {name}", fix="Give a folder, a .gguf file or a hub name such as org/model")
    return name, None


def _with_adapter(path: Path, dtype: str, trust_remote_code: bool, merge: bool) -> LoadedModel:
    """Load the adapter's base, and put the adapter beside it or into it."""
    from peft import PeftConfig, PeftModel

    config = PeftConfig.from_pretrained(str(path))
    init = str(getattr(config, "init_lora_weights", True))
    if init.startswith(_NOT_MADE_AGAIN):
        raise InputError(
            "the adapter was trained on changed base weights that PEFT does not make again when it loads it",
            where=str(path),
            got=f"init_lora_weights={init}",
            fix="Save it with path_initial_model_for_weight_conversion, PEFT's way to a plain LoRA adapter",
        )
    base = load_model(config.base_model_name_or_path, dtype=dtype, trust_remote_code=trust_remote_code)
    if not any(path.glob("adapter_model.*")):
        raise InputError("the adapter folder has no weights", where=str(path), fix="Give a folder with adapter_model")
    try:
        model = PeftModel.from_pretrained(base.model, str(path), is_trainable=not merge)
    except Exception as error:
        raise InputError(f"cannot load the adapter: {' '.join(str(error).split())}", where=str(path)) from error
    tokenizer = base.tokenizer
    if (path / _TOKENIZER).is_file():  # its chat template is the one that it was trained with
        tokenizer = load_tokenizer(str(path), trust_remote_code=trust_remote_code)
    if not merge:
        return LoadedModel(model, tokenizer, f"adapter {path} on {base.description}", str(path))
    merged = model.merge_and_unload().requires_grad_(True)
    return LoadedModel(merged, tokenizer, f"adapter {path} merged into {base.description}", str(path))


def _forget_quantisation(model: Any) -> None:
    """The weights were dequantised on loading: without this mark transformers would refuse to train or save them."""
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _prepare_tokenizer(tokenizer: Any, name: str) -> None:
    if tokenizer.eos_token_id is None:
        raise InputError("the tokenizer has no end-of-sequence token", where=name, fix="Set eos_token in its config")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token


def automatic_dtype(device: Any) -> str:
    """The type of weights where none is asked for: float32 on a CPU, bfloat16 on an accelerator."""
    return "float32" if device.type == "cpu" else "bfloat16"


def disable_dropout(model: Any) -> None:
    """Set the model's own dropout to 0, layers and rates alike; an adapter's dropout stays as its owner set it."""
    for name, module in model.named_modules():
        if "lora_dropout" in name:
            continue
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for attribute, value in vars(module).items():
            if "dropout" in attribute and isinstance(value, float):
                setattr(module, attribute, 0.0)
