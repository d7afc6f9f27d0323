"""The reference: what the policy was before training, computed by the same engine as the policy."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from penchant.logps.engine import Batch, Engine
from penchant.logps.store import ReferenceStore


class Reference(Protocol):
    """Gives the reference log-probs of answers, without a gradient."""

    @property
    def description(self) -> str:
        """One clause for the run's summary."""
        ...

    @property
    def model(self) -> Any:
        """The model whose forward pass is run."""
        ...

    def logps(self, engine: Engine, batch: Batch) -> Tensor:
        """As :meth:`penchant.logps.Engine.logps`, under the reference."""
        ...


@dataclass(frozen=True, slots=True)
class AdapterOff:
    """The policy's own weights with its adapter switched off: no second model in memory."""

    model: Any
    description: str = "the base model, with the adapter switched off"

    @torch.no_grad()
    def logps(self, engine: Engine, batch: Batch) -> Tensor:
        with self.model.disable_adapter():
            return engine.logps(self.model, batch)


@dataclass(frozen=True, slots=True)
class Stored:
    """Log-probs computed before training and kept on disk: no second model in memory, no forward pass in a step."""

    model: Any
    store: ReferenceStore
    description: str

    def logps(self, engine: Engine, batch: Batch) -> Tensor:
        return self.store.logps(batch)


@dataclass(frozen=True, slots=True)
class FrozenCopy:
    """A copy of the model as it stands in memory before training, not one read again from its folder."""

    model: Any
    description: str = "a frozen copy of the model in memory, taken before training"

    @classmethod
    def of(cls, model: Any) -> FrozenCopy:
        return cls(copy.deepcopy(model).requires_grad_(False).eval())

    @torch.no_grad()
    def logps(self, engine: Engine, batch: Batch) -> Tensor:
        return engine.logps(self.model, batch)
