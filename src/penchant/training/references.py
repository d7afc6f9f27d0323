"""Which reference a run has: chosen in one word, said in one sentence, checked before the first step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from penchant.errors import InputError
from penchant.logps import AdapterOff, FrozenCopy, OtherAdapter, Reference, SeparateModel, Uniform, choose_engine
from penchant.logps.choice import adapters_at_rest
from penchant.logps.engine import Engine
from penchant.models import DTYPES, load_model, load_tokenizer
from penchant.training.adapters import FILE, check_one_base, copy_adapter, is_trained, load_beside, without_dropout
from penchant.training.stored import stored_reference

if TYPE_CHECKING:
    from penchant.training.trainer import PreferenceTrainer

AGREEMENT = 1e-3
_DROPS_OUT = "The model may apply dropout inside its forward pass (set its dropout to 0 in config.json)"


def make_reference(trainer: PreferenceTrainer, rows: Iterable[Any]) -> Reference:
    """The reference that the settings name, for a policy that has not been trained yet.

    Raises:
        InputError: if there is no such model or adapter, or it does not fit.
    """
    model, config = trainer.model, trainer.args
    word = config.reference
    if word == "none":
        return Uniform(model)
    if word == "adapter-off":
        check_one_base(model)
        return AdapterOff(model)
    if word.startswith("adapter:"):
        return _beside(trainer, _named_adapter(model, word.removeprefix("adapter:")))
    separate = None if word == "initial" or word.startswith("store:") else _separate(trainer, word)
    if config.reference_store:
        return _stored(trainer, rows, separate)
    if separate is not None:
        return separate
    return initial(model)


def initial(model: Any) -> Reference:
    """The model as it is now: adapter off where the adapter changes nothing yet, else a copy of what can change."""
    if not hasattr(model, "disable_adapter"):
        return FrozenCopy.of(model)
    if is_trained(model):
        words = "the adapter as it was before training, kept beside the one that learns"
        return OtherAdapter(model, copy_adapter(model), words)
    check_one_base(model)
    return AdapterOff(model)


def _named_adapter(model: Any, name: str) -> OtherAdapter:
    if name in model.peft_config:
        if name in model.active_adapters:
            raise InputError(f"adapter {name!r} is the one that learns", fix="Use reference initial for a copy of it")
        check_one_base(model)
        without_dropout(model, name)
        return OtherAdapter(model, name, f"the model's adapter {name!r}")
    if not Path(name, FILE).is_file():
        known = ", ".join(model.peft_config)
        raise InputError("no such adapter", where="--reference", got=name, fix=f"Give a folder, or one of {known}")
    return OtherAdapter(model, load_beside(model, name), f"the adapter {name} on the same base")


def _beside(trainer: PreferenceTrainer, reference: OtherAdapter) -> OtherAdapter:
    """A reference on the policy's layers, with the engine chosen anew: one that agrees with plain rows under both."""
    pad_id = trainer.processing_class.pad_token_id
    model, asked = trainer.model.train(), trainer.args.engine
    trainer.engine = choose_engine(model, pad_id, asked=asked, reference=reference)
    return reference


def _separate(trainer: PreferenceTrainer, name: str) -> SeparateModel:
    """Another model than the policy, with an engine of its own."""
    config, tokenizer = trainer.args, trainer.processing_class
    dtype = trainer.model.get_input_embeddings().weight.dtype
    if config.reference_bits:
        _check_tokenizer(name, load_tokenizer(name), tokenizer)
        model, words = _quantised(name, config.reference_bits, dtype, config.device), f", {config.reference_bits}-bit"
        engine = Engine("plain", pad_id=tokenizer.pad_token_id)
    else:
        loaded = load_model(name, dtype={value: key for key, value in DTYPES.items()}[dtype])
        _check_tokenizer(name, loaded.tokenizer, tokenizer)
        model, words = loaded.model.to(config.device).eval(), ""  # without dropout, which packed rows refuse
        engine = choose_engine(model, tokenizer.pad_token_id, asked=config.engine)
    model.requires_grad_(False).eval()
    return SeparateModel(trainer.model, model, engine, f"a model of its own, {name}{words}")


def _check_tokenizer(name: str, found: Any, expected: Any) -> None:
    if found.get_vocab() != expected.get_vocab():
        fix = "Log-probs of one token sequence are compared, so both models need the same tokenizer"
        raise InputError("the reference has another tokenizer than the model", where=name, fix=fix)


def _quantised(name: str, bits: int, dtype: torch.dtype, device: torch.device) -> Any:
    """A model whose linear layers but the head are kept in 4 (nf4) or 8 bits and multiplied in ``dtype``."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    low = BitsAndBytesConfig(
        load_in_4bit=bits == 4, load_in_8bit=bits == 8, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_type="nf4"
    )
    where = {"": device}
    try:
        return AutoModelForCausalLM.from_pretrained(
            name, quantization_config=low, use_safetensors=True, dtype=dtype, device_map=where
        )
    except Exception as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"the reference cannot be quantised: {cause}", where=name) from error


def _stored(trainer: PreferenceTrainer, rows: Iterable[Any], separate: SeparateModel | None) -> Reference:
    """A reference from the store named in the settings, which then holds all of the rows."""
    config, accelerator = trainer.args, trainer.accelerator
    if separate is None and hasattr(trainer.model, "disable_adapter") and is_trained(trainer.model):
        fix = "Make one model of adapter and base first (penchant merge), or leave the store out"
        raise InputError("a store keeps log-probs of a model without adapter, and this adapter is trained", fix=fix)
    model, engine = (separate.frozen, separate.engine) if separate else (trainer.model, trainer.engine)
    name = config.reference if separate else str(getattr(model.config, "name_or_path", ""))
    with trainer.compute_loss_context_manager():
        stored = stored_reference(
            model,
            engine,
            config.reference_store,
            rows,
            about={"model": name},
            device=config.device,
            max_tokens=4 * config.micro_batch_tokens,
            process=(accelerator.process_index, accelerator.num_processes),
            barrier=accelerator.wait_for_everyone,
        )
    whose = f"log-probs of {name}" if separate else "log-probs of the model before training, adapter off"
    words = f"{whose}, from the store {config.reference_store}: {stored.description}"
    return dataclasses.replace(stored, model=trainer.model, description=words)


def step_zero_gap(trainer: PreferenceTrainer, rows: list[Any]) -> float:
    """The largest difference between policy and reference log-probs of a few answers, in training mode; nats.

    Raises:
        InputError: if the reference is meant to be the policy before training and is not, with the likely cause; where
            it is not meant to be, or there is none, if the policy gives other log-probs each time.
    """
    reference = trainer.reference
    compared = reference is not None and not isinstance(reference, Uniform)
    alike = compared and (trainer.args.reference == "initial" or trainer.args.reference.startswith("store:"))
    trainer.model.train()
    parts, recorder = trainer._cut(rows), trainer.recorder
    with adapters_at_rest(trainer.model), trainer._engaged():
        gap = _most(recorder.gap(trainer.model, part) for part in parts) if compared else 0.0
        own = 0.0 if alike else _most(recorder.unrest(trainer.model, part) for part in parts)
    if alike and not gap <= AGREEMENT:
        raise InputError(
            "policy and reference disagree before the first step, so margins would not start at 0",
            where=rows[0].source,
            got=f"{gap:.3g} nats apart; the reference is {reference.description}",
            fix=f"{_DROPS_OUT}; a reference that is meant to be another model is named with --reference",
        )
    if trainer.args.disable_dropout and not own <= AGREEMENT:
        problem = "the policy gives the same answers other log-probs each time, so that a step would depend on its cut"
        raise InputError(problem, where=rows[0].source, got=f"{own:.3g} nats apart", fix=_DROPS_OUT)
    return gap


def _most(gaps: Iterable[float]) -> float:
    return float(torch.tensor(list(gaps)).max())  # NaN where one is
