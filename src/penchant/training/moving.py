"""A reference that follows the policy: every so many steps it becomes, or comes nearer to, the policy.

Learn Your Reference Model for Real Good Alignment (TR-DPO), A. Gorbatovski, B. Shaposhnikov, A. Malakhov and others,
2024, arXiv:2404.09656: a hard update puts the policy in the reference's place, a soft one mixes their weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainerCallback

from penchant.errors import InputError
from penchant.logps import FrozenCopy, OtherAdapter, Reference
from penchant.logps.engine import base_model
from penchant.training.adapters import adapter_weights, copy_adapter, write_adapter

FILE = "reference.safetensors"


class MovingReference(TrainerCallback):
    """Moves the reference at the end of every ``every``-th step, and keeps it in checkpoints.

    With an adapter, a hard update copies the adapter. A soft one cannot be an adapter of the same rank, since the mean
    of two products of rank r has rank 2r; it is kept as a second model with the mixed weights.

    Args:
        model: The policy before training.
        every: Optimiser steps between updates.
        mix: The policy's share in the new reference, in (0, 1]; 1 is the hard update.
    """

    def __init__(self, model: Any, every: int, mix: float) -> None:
        self.every, self.mix, self.policy = every, mix, model
        self.moves = 0
        adapted = hasattr(model, "disable_adapter")
        how = "becomes the policy" if mix == 1 else f"takes up {mix:g} of the policy"
        words = f"moving: every {every} steps it {how}; at first "
        if adapted and mix == 1:
            self.reference: Reference = OtherAdapter(model, copy_adapter(model), words + "the policy before training")
        else:
            frozen = copy.deepcopy(model)
            frozen = _whole(frozen) if adapted else frozen
            frozen.requires_grad_(False).eval()
            self.reference = FrozenCopy(frozen, words + "a copy of the policy before training, a second model")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.every == 0:
            self.move()

    @torch.no_grad()
    def move(self) -> None:
        """One update."""
        self.moves += 1
        if isinstance(self.reference, OtherAdapter):
            write_adapter(self.policy, adapter_weights(self.policy, self.policy.active_adapters[0]))
            return
        for old, new in self._pairs():
            old.lerp_(new.to(old), self.mix)

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each weight of the second model with the policy's own in its place, the adapter merged layer by layer."""
        theirs, done = dict(self.reference.model.named_modules()), set()
        for name, module in base_model(self.policy).named_modules():
            if name in theirs:
                whole = _merged(module)
                below = whole is not module
                pairs = zip(theirs[name].parameters(recurse=below), whole.parameters(recurse=below), strict=True)
                for old, new in pairs:
                    if id(old) not in done:  # a weight that two layers share is met twice
                        done.add(id(old))
                        yield old, new

    def save(self, folder: str | Path) -> None:
        """The reference's weights and the number of moves, in one file."""
        weights = {name: tensor.detach().contiguous().clone() for name, tensor in self._weights().items()}
        save_file(weights, str(Path(folder, FILE)), metadata={"moves": str(self.moves)})

    def load(self, folder: str | Path) -> None:
        """Take up what :meth:`save` wrote.

        Raises:
            InputError: if the checkpoint has no reference.
        """
        from safetensors import safe_open

        path = Path(folder, FILE)
        if not path.is_file():
            raise InputError("the checkpoint holds no moving reference", where=str(folder))
        weights = load_file(str(path))
        if isinstance(self.reference, OtherAdapter):
            write_adapter(self.policy, weights)
        else:
            self.reference.model.load_state_dict(weights)
        with safe_open(str(path), framework="pt") as file:
            self.moves = int(file.metadata()["moves"])

    def _weights(self) -> dict[str, Any]:
        if isinstance(self.reference, OtherAdapter):
            return adapter_weights(self.policy, self.reference.adapter)
        state: dict[str, Any] = self.reference.model.state_dict()
        return state


def _whole(model: Any) -> Any:
    """A model with its adapter merged.

    Raises:
        InputError: if it cannot be: a bias into a layer that has none, or one of two layers that share their weight.
    """
    fix = "Leave reference_mix out: the reference then becomes the policy, as a copy of its adapter"
    ends = base_model(model).get_input_embeddings(), base_model(model).get_output_embeddings()
    if ends[0].weight is ends[1].weight and any(hasattr(end, "lora_dropout") for end in ends):
        raise InputError("the adapter is on one of two layers that share their weight, and no mean is both", fix=fix)
    try:
        return model.merge_and_unload()
    except (NotImplementedError, RuntimeError, ValueError) as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"no mean of the policy's adapter can be taken: {cause}", fix=fix) from error


def _merged(module: Any) -> Any:
    """What PEFT puts in an adapted layer's place when it merges the adapter; any other module as it is."""
    if hasattr(module, "unload_and_optionally_merge_module"):
        wrapper = copy.deepcopy(module)
        return wrapper.unload_and_optionally_merge_module(merge=True, safe_merge=False, adapter_names=None)
    if hasattr(module, "base_layer"):
        layer = copy.deepcopy(module)
        layer.merge()
        return layer.get_base_layer()
    return module
