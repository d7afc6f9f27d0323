"""A Trainer whose weights, gradients and optimiser may be shared by processes: FSDP2, or DeepSpeed's ZeRO."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch import Tensor

from penchant.logps import FrozenCopy
from penchant.training import sharding, zero
from penchant.training.saving import SavingTrainer


class SharingTrainer(SavingTrainer):
    """What differs by who holds what: how training is prepared, a backward pass, a gradient's norm, a step.

    Attributes:
        reference: What gives the reference log-probs; a copy of the policy is shared as the policy is.
    """

    reference: Any

    @property
    def sharded(self) -> bool:
        """Whether weights are shared by the processes once training begins: a forward pass needs all of them then."""
        return bool(self.accelerator.is_fsdp2) or zero.stage(self.accelerator) == 3

    def create_accelerator_and_postprocess(self) -> None:
        """transformers' accelerator, held to what was asked for."""
        super().create_accelerator_and_postprocess()
        sharding.settle_plugin(self.accelerator, self.args)

    def _engaged(self) -> AbstractContextManager[None]:
        """Policy and reference with what the engine puts into them."""
        raise NotImplementedError

    def _prepare_for_training(self, *args: Any) -> Any:
        """transformers' preparation, which shards the policy where that is asked for; a copy of it with FSDP2."""
        with self._engaged():
            pass  # what is tried on single layers is tried while they are whole
        stage = zero.stage(self.accelerator)
        if stage:
            zero.before_sharing(self.model, self.args, stage)
        prepared = super()._prepare_for_training(*args)
        if stage == 3:
            zero.keep_head_whole(self.deepspeed, self.model)
        if self.accelerator.is_fsdp2:
            copies = [self.reference.model] if isinstance(self.reference, FrozenCopy) else []
            sharding.check_sharded(self.model, *(fsdp2_prepare_model(self.accelerator, copy) for copy in copies))
        return prepared

    def _without_sync(self, model: Any) -> AbstractContextManager[None]:
        """For micro-batches before a step's last: gradients wait to be summed over processes, unless that would make
        each process hold all of a shared model's, or DeepSpeed sees to it.
        """
        whole = not self.sharded and self.deepspeed is None
        return self.accelerator.no_sync(model) if whole else nullcontext()

    def _pull(self, loss: Tensor, *, last: bool) -> None:
        """Backward through a micro-batch."""
        if self.deepspeed is None:
            self.accelerator.backward(loss)
        else:
            zero.backward(self.deepspeed, loss, last=last)

    def _norm(self, model: Any) -> Tensor:
        """Of the step's gradient: all of it, or what this process holds under DeepSpeed."""
        if self.deepspeed is not None:
            return torch.nn.utils.get_total_norm(zero.gradients(self.deepspeed))
        held = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        norm: Any = torch.nn.utils.get_total_norm(held)
        whole: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        return whole
