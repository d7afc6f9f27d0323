"""DeepSpeed's ZeRO: what of a configuration is taken, what is refused, and what its engine does in a step.

Stage 2 shares gradients and optimiser among the processes, stage 3 the weights too. They are shared when training
begins, as with FSDP2 (``sharding.py``): the engine's check, the noise floor and a store read whole weights before that.
Afterwards a decoder layer is gathered as one piece, since lean layers read the weights of what they stand in for, and
the head's weight stays whole, since log-probs are formed from it after the model's own pass.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.integrations.deepspeed import set_hf_deepspeed_config, unset_hf_deepspeed_config

from penchant.errors import InputError, shorten
from penchant.logps.engine import base_model
from penchant.models import automatic_dtype
from penchant.training import sharding

if TYPE_CHECKING:
    from penchant.training.config import PreferenceConfig

_TAKEN = {
    *("zero_optimization", "bf16", "fp16", "optimizer", "gradient_clipping", "gradient_accumulation_steps"),
    *("train_batch_size", "train_micro_batch_size_per_gpu", "zero_allow_untested_optimizer"),
    *("steps_per_print", "wall_clock_breakdown", "memory_breakdown", "dump_state", "comms_logger", "flops_profiler"),
}
"""The entries of a configuration that have their meaning here."""

_WHY = {
    "scheduler": "the schedule is --lr-scheduler-type's: leave the entry out",
    "fp16": "its loss scaling leaves steps out without a word: use bf16 with --dtype bfloat16",
}


def settle_zero(config: PreferenceConfig) -> None:
    """Turn what was asked for, by a file or by ``accelerate launch``, into the one configuration that all of it takes.

    Raises:
        InputError: if DeepSpeed is not installed, or an entry cannot have its meaning here.
    """
    asked = _asked(config.deepspeed)
    if asked is None:
        config.deepspeed = None
        return
    if sharding.asked_for(config):
        raise InputError("both FSDP and DeepSpeed are asked for", fix="Choose one of them")
    for name, value in asked.items():
        if name not in _TAKEN:
            fix = _WHY.get(name, "leave it out").capitalize()
            raise InputError(f"DeepSpeed's {name} is not supported", got=shorten(value), fix=fix)
    _check_sharing(asked.get("zero_optimization") or {})
    _settle_types(asked, config)
    _drop_same_optimizer(asked, config)
    asked.setdefault("gradient_clipping", "auto")  # or max_grad_norm would have no effect
    for name in ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"):
        asked.setdefault(name, "auto")
    config.deepspeed = asked


def check_zero(config: PreferenceConfig) -> None:
    """See that DeepSpeed runs as it was asked for, and that the other settings can be had with it.

    Raises:
        InputError: if anything cannot.
    """
    if config.deepspeed is None:
        return
    unset_hf_deepspeed_config()  # until weights are shared: transformers loads and makes whole ones
    if not sharding.accelerate_shards(config.device):
        what = "DeepSpeed is asked for on a CPU, where accelerate would leave it out without a word"
        raise InputError(what, fix="Use DDP there: start with torchrun, without DeepSpeed")
    different = config.hf_deepspeed_config.mismatches
    different[:] = [line for line in different if "bf16" not in line]  # transformers means --bf16, which is autocast
    if different:
        what = "the DeepSpeed configuration and the run's settings differ: " + "; ".join(
            x.strip("- ") for x in different
        )
        raise InputError(what, fix="Write auto in the DeepSpeed configuration")
    if config.on_non_finite == "skip":
        fix = "Leave on_non_finite out: such a step stops the run"
        raise InputError("a step cannot be left out under DeepSpeed, which holds its gradients itself", fix=fix)
    sharding.check_shared(config, "DeepSpeed")


def _asked(given: Any) -> dict[str, Any] | None:
    launched = sharding.switched_on("ACCELERATE_USE_DEEPSPEED")
    if not given and not launched:
        return None
    if find_spec("deepspeed") is None:
        raise InputError(
            "DeepSpeed is asked for and is not installed", fix="pip install deepspeed, or use FSDP2 (--fsdp true)"
        )
    if not given:
        from accelerate.utils import DeepSpeedPlugin

        return dict(copy.deepcopy(DeepSpeedPlugin().deepspeed_config))
    if isinstance(given, dict):
        return copy.deepcopy(given)
    try:
        read = json.loads(Path(given).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"the DeepSpeed configuration cannot be read: {error}", where=str(given)) from error
    if not isinstance(read, dict):
        raise InputError("a DeepSpeed configuration is one JSON object", where=str(given), got=shorten(read))
    return read


def _check_sharing(zero: dict[str, Any]) -> None:
    if zero.get("stage") not in (2, 3):
        raise InputError("zero_optimization.stage must be 2 or 3", got=shorten(zero.get("stage")))
    for part in ("offload_optimizer", "offload_param"):
        device = (zero.get(part) or {}).get("device") or "none"
        if device != "none":
            fix = "Leave it out: the processes share weights and optimiser already"
            raise InputError(f"DeepSpeed's {part} is not supported", got=shorten(device), fix=fix)
    if zero.get("cpu_offload"):
        raise InputError("DeepSpeed's cpu_offload is not supported", fix="Leave it out")


def _settle_types(asked: dict[str, Any], config: PreferenceConfig) -> None:
    """bf16 goes with weights in bfloat16: DeepSpeed makes all weights of one type, and keeps float32 copies itself."""
    if (asked.pop("fp16", None) or {}).get("enabled") is True:
        raise InputError("DeepSpeed's fp16 is not supported", fix=_WHY["fp16"].capitalize())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = automatic_dtype(device) if config.dtype == "auto" else config.dtype
    section = asked.get("bf16") or {}
    enabled = section.get("enabled", "auto")
    if enabled != "auto" and enabled != (dtype == "bfloat16"):
        fix = "Write auto there, or give the other --dtype"
        raise InputError(f"DeepSpeed's bf16 and the weights' type differ: {dtype}", got=shorten(enabled), fix=fix)
    asked["bf16"] = section | {"enabled": dtype == "bfloat16"}


def _drop_same_optimizer(asked: dict[str, Any], config: PreferenceConfig) -> None:
    """An optimizer entry that says what the run's settings say is theirs; they make the optimiser."""
    section = asked.pop("optimizer", None)
    if section is None:
        return
    same = {"lr": config.learning_rate, "betas": [config.adam_beta1, config.adam_beta2]}
    same |= {"eps": config.adam_epsilon, "weight_decay": config.weight_decay}
    stated = section.get("params") or {}
    other = [n for n, value in stated.items() if value != "auto" and (n not in same or value != same[n])]
    if str(section.get("type")).lower() != "adamw" or not str(config.optim).startswith("adamw") or other:
        fix = "Leave the entry out: --optim, --learning-rate, --weight-decay and the others set it"
        raise InputError("DeepSpeed's optimizer and the run's differ", got=shorten(section), fix=fix)


def stage(accelerator: Any) -> int:
    """The stage that runs; 0 without DeepSpeed."""
    plugin = accelerator.state.deepspeed_plugin
    return 0 if plugin is None else int(plugin.zero_stage)


def description(accelerator: Any) -> str:
    """One clause for the run's summary."""
    shared = {2: "gradients and optimiser", 3: "weights, gradients and optimiser"}[stage(accelerator)]
    return f"DeepSpeed ZeRO {stage(accelerator)}: {shared} over {accelerator.num_processes} processes"


def before_sharing(model: Any, config: PreferenceConfig, stage: int) -> None:
    """transformers is told of DeepSpeed, and of stage 3 each decoder layer is to be gathered as one piece.

    Args:
        model: The policy.
        config: The settings.
        stage: The stage that is asked for.

    Raises:
        InputError: if the model does not name its layers.
    """
    set_hf_deepspeed_config(config.hf_deepspeed_config)
    if stage < 3:
        return
    from deepspeed.utils import set_z3_leaf_modules

    base = base_model(model)
    names = set(base._no_split_modules or ())
    layers = list({type(module) for module in base.modules() if type(module).__name__ in names})
    if not layers:
        raise InputError("the model does not name its layers, by which ZeRO 3 gathers weights", fix="Use stage 2")
    set_z3_leaf_modules(base, layers)
    base.enable_input_require_grads()  # a layer whose input needs no gradient lets its weights go too early


def keep_head_whole(engine: Any, model: Any) -> None:
    """Once stage 3 has shared the weights: the head's are gathered for good, and again after each optimiser step.

    DeepSpeed's hooks on the head have nothing to do then, and go: they expect the layer's output to be in the loss.
    """
    held = engine.optimizer.persistent_parameters
    known = {id(parameter) for parameter in held}
    import deepspeed

    base = base_model(model)
    head = base.get_output_embeddings()
    head._forward_hooks.clear()
    head._forward_pre_hooks.clear()
    for parameter in head.parameters():
        parameter.ds_persist = parameter.is_external_param = True  # neither is let go after a layer's own pass
        parameter.all_gather()
        deepspeed.zero.register_external_parameter(base, parameter)
        if id(parameter) not in known:
            held.append(parameter)


def backward(engine: Any, loss: Tensor, *, last: bool) -> None:
    """Backward through a micro-batch; a step's last settles gradients over the processes, and takes no step."""
    engine.set_gradient_accumulation_boundary(is_boundary=last)
    engine.backward(loss, scale_wrt_gas=False)


def gradients(engine: Any) -> list[Tensor]:
    """This process's share of the step's gradients."""
    groups: Iterable[list[Tensor] | None] = engine.optimizer.averaged_gradients.values()
    return [slope for group in groups for slope in group or () if slope is not None]


def whole(parameter: Any) -> Tensor:
    """A copy of a weight, gathered from all processes, which call this together."""
    import deepspeed

    with deepspeed.zero.GatheredParameters([parameter]):
        copied: Tensor = parameter.detach().cpu().clone()
    return copied
