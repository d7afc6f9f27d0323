"""Sharded weights (FSDP2): what is asked for, what is refused, and whole weights again for saving.

accelerate shards the policy when training begins, after everything that reads or copies whole weights: the engine's
check, the noise floor, a store's address, the reference's copy. From then on a weight is whole only inside the forward
and backward pass of the part of the model it belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penchant.errors import InputError

if TYPE_CHECKING:
    from penchant.training.config import PreferenceConfig

_TRUE = ("1", "true", "yes")
_LOADING = "FSDP_CPU_RAM_EFFICIENT_LOADING"
_VARIABLES = {"cpu_offload": "OFFLOAD_PARAMS", "activation_checkpointing": "ACTIVATION_CHECKPOINTING"}
_REFUSED = {
    "cpu_offload": "Leave it out: weights and optimiser are shared by the processes already",
    "activation_checkpointing": "Use --activation-checkpointing true, which leaves frozen layers out",
}


def asked_for(config: PreferenceConfig) -> bool:
    """Whether FSDP is asked for, by an option or by ``accelerate launch``."""
    return bool(config.fsdp) or switched_on("ACCELERATE_USE_FSDP")


def check_sharding(config: PreferenceConfig) -> None:
    """See that sharding is as it was asked for, and that the other settings can be had with it.

    Raises:
        InputError: if anything cannot.
    """
    if not asked_for(config):
        return
    if not accelerate_shards(config.device):
        what = "FSDP is asked for on a CPU, where accelerate would run DDP without a word"
        raise InputError(what, fix="Use DDP there: start with torchrun, without FSDP")
    options = config.fsdp_config if config.fsdp else {}
    version = options.get("version", 2) if config.fsdp else os.environ.get("FSDP_VERSION", "1")
    if str(version) != "2":
        raise InputError("FSDP of version 1 is not supported", got=f"version {version}", fix="Set fsdp_version to 2")
    for name, why in _REFUSED.items():
        if str(options.get(name) or os.environ.get(f"FSDP_{_VARIABLES[name]}", "")).lower() in _TRUE:
            raise InputError(f"FSDP with {name} is not supported", fix=why)
    check_shared(config, "FSDP")


def check_shared(config: PreferenceConfig, name: str) -> None:
    """See that nothing is asked for that cannot be had with weights or gradients that processes share.

    Raises:
        InputError: naming it, and what shares them.
    """
    if config.mixed_precision != "no":
        fix = "Leave mixed precision out: --dtype bfloat16 keeps and trains weights in bfloat16"
        raise InputError(f"{name} with mixed precision is not supported", fix=fix)
    if config.reference_every is not None:
        fix = f"Leave reference_every out, or train without {name}"
        raise InputError(f"a reference that moves reads whole weights, which {name} does not keep", fix=fix)
    if config.memory is not None:
        fix = "Give --micro-batch-tokens: the passes that memory measures come before anything is shared"
        raise InputError(f"memory has no effect under {name}", fix=fix)
    if config.world_size == 1:
        raise InputError(f"{name} is asked for with one process, which leaves nothing to share", fix="Start several")


def accelerate_shards(device: Any) -> bool:
    """Whether accelerate shards weights on such a device when asked to."""
    return bool(device.type != "cpu")


def settle_plugin(accelerator: Any, config: PreferenceConfig) -> None:
    """Hold accelerate to what was asked for.

    Raises:
        InputError: if accelerate runs something else.
    """
    if not asked_for(config):
        return
    if not accelerator.is_fsdp2:
        found = str(accelerator.distributed_type).rpartition(".")[2]
        raise InputError("FSDP2 was asked for, and accelerate runs something else", got=found)
    # every process has the whole model by then
    accelerator.state.fsdp_plugin.cpu_ram_efficient_loading = False


def check_checkpoint(checkpoint: Path, config: PreferenceConfig) -> None:
    """See that a run goes on as it was begun: shards are read by sharded runs alone.

    Raises:
        InputError: if it was begun otherwise.
    """
    for name, files, asked in (
        ("FSDP", "pytorch_model_fsdp*", asked_for(config)),
        ("DeepSpeed", "global_step*", config.deepspeed is not None),
    ):
        written = any(checkpoint.glob(files))
        if written != asked:
            how = ("with", "without") if written else ("without", "with")
            what = f"the checkpoint was written {how[0]} {name}, and this run is {how[1]} it"
            raise InputError(what, where=str(checkpoint), fix="Start it as it was started before")


def description(accelerator: Any) -> str:
    """One clause for the run's summary."""
    parts = "layer by layer" if accelerator.state.fsdp_plugin.auto_wrap_policy else "as one part, whole in every pass"
    said = "" if parts == "layer by layer" else " (fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP gathers by layers)"
    return f"FSDP2: weights, gradients and optimiser over {accelerator.num_processes} processes, gathered {parts}{said}"


def check_sharded(*models: Any) -> None:
    """See that every weight of models that were prepared is in shards now.

    Raises:
        InputError: if one is not, since a run should be what was asked for.
    """
    from torch.distributed.tensor import DTensor

    for model in models:
        for name, parameter in model.named_parameters():
            if not isinstance(parameter, DTensor):
                raise InputError("FSDP2 was asked for, and a weight was not sharded", got=name)


@contextmanager
def whole_loading() -> Iterator[None]:
    """A block in which transformers loads the whole model on every process, whatever the launcher says: the engine is
    checked on it.
    """
    before = os.environ.get(_LOADING)
    os.environ[_LOADING] = "false"
    try:
        yield
    finally:
        os.environ.pop(_LOADING)
        if before is not None:
            os.environ[_LOADING] = before


def switched_on(variable: str) -> bool:
    """Whether a launcher's variable says yes."""
    return os.environ.get(variable, "false").lower() in _TRUE
