"""The reference: what the policy was before training, computed by the same engine as the policy."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from penchant.errors import InputError
from penchant.logps.engine import Batch, Engine
from penchant.logps.plain import sum_by_row
from penchant.logps.predictions import Predictions
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

    def token_logps(self, engine: Engine, batch: Batch) -> Tensor:
        """As :meth:`penchant.logps.Engine.token_logps`, under the reference."""
        ...

    def predict(self, engine: Engine, batch: Batch) -> Predictions:
        """As :meth:`penchant.logps.Engine.predict`, under the reference.

        Raises:
            InputError: if it has log-probs of tokens only.
        """
        ...


class _Computed:
    """What follows for every reference that makes predictions in each step."""

    __slots__ = ()

    def predict(self, engine: Engine, batch: Batch) -> Predictions:
        raise NotImplementedError

    @torch.no_grad()
    def token_logps(self, engine: Engine, batch: Batch) -> Tensor:
        return self.predict(engine, batch).token_logps(batch.target_N)

    def logps(self, engine: Engine, batch: Batch) -> Tensor:
        return sum_by_row(self.token_logps(engine, batch), batch.row_N, len(batch.lengths))


@dataclass(frozen=True, slots=True)
class AdapterOff(_Computed):
    """The policy's own weights with its adapter switched off: no second model in memory."""

    model: Any
    description: str = "the base model, with the adapter switched off"

    @torch.no_grad()
    def predict(self, engine: Engine, batch: Batch) -> Predictions:
        with _set(self.model, "_disable_adapters", True):
            return engine.predict(self.model, batch)


@dataclass(frozen=True, slots=True)
class OtherAdapter(_Computed):
    """The policy's own base with another adapter, which stands still beside the one that learns."""

    model: Any
    adapter: str
    description: str

    @torch.no_grad()
    def predict(self, engine: Engine, batch: Batch) -> Predictions:
        with _set(self.model, "_active_adapter", [self.adapter]):
            return engine.predict(self.model, batch)


@contextmanager
def _set(model: Any, name: str, value: Any) -> Iterator[None]:
    """Adapter layers with an attribute of theirs changed while the block runs.

    peft's own ``disable_adapter`` and ``set_adapter`` would also change which weights take gradients, under the
    policy's graph, and for good where a sharded weight is gathered for the first time.
    """
    layers = [module for module in model.modules() if hasattr(module, name)]
    before = [getattr(layer, name) for layer in layers]
    try:
        for layer in layers:
            setattr(layer, name, value)
        yield
    finally:
        for layer, old in zip(layers, before, strict=True):
            setattr(layer, name, old)


@dataclass(frozen=True, slots=True)
class SeparateModel(_Computed):
    """Another model, with the engine that was found to agree on it; it need not be of the policy's kind.

    Attributes:
        model: The policy: the trainer engages its engine on this one.
        frozen: The reference itself.
        engine: What computes on ``frozen``.
    """

    model: Any
    frozen: Any
    engine: Engine
    description: str

    @torch.no_grad()
    def predict(self, engine: Engine, batch: Batch) -> Predictions:
        device = next(self.frozen.parameters()).device
        with self.engine.engaged(self.frozen):
            return self.engine.predict(self.frozen, self.engine.lay_out(batch.groups, device))

    @torch.no_grad()
    def token_logps(self, engine: Engine, batch: Batch) -> Tensor:
        device = next(self.frozen.parameters()).device
        return self.predict(engine, batch).token_logps(batch.target_N.to(device)).to(batch.target_N.device)


@dataclass(frozen=True, slots=True)
class Uniform:
    """No reference for a method that has one in its formula: every answer counts as equally likely before training."""

    model: Any
    description: str = "none: the method's reference log-probs are set to 0, so the policy's own log-probs are compared"

    def logps(self, engine: Engine, batch: Batch) -> Tensor:
        return torch.zeros(len(batch.lengths), dtype=torch.float64, device=batch.target_N.device)

    def token_logps(self, engine: Engine, batch: Batch) -> Tensor:
        return torch.zeros(len(batch.target_N), device=batch.target_N.device)

    def predict(self, engine: Engine, batch: Batch) -> Predictions:
        raise InputError("without a reference there is no distribution to diverge from", fix="Leave reference out")


@dataclass(frozen=True, slots=True)
class Stored:
    """Log-probs computed before training and kept on disk: no second model in memory, no forward pass in a step."""

    model: Any
    store: ReferenceStore
    description: str

    def logps(self, engine: Engine, batch: Batch) -> Tensor:
        return self.store.logps(batch)

    def token_logps(self, engine: Engine, batch: Batch) -> Tensor:
        return self.store.token_logps(batch)

    def predict(self, engine: Engine, batch: Batch) -> Predictions:
        raise InputError(
            "a reference store keeps log-probs of tokens, and the reference's whole distribution is asked for",
            where=str(self.store.folder),
            fix="Leave reference_store out: the reference is then computed in every step",
        )


@dataclass(frozen=True, slots=True)
class FrozenCopy(_Computed):
    """A copy of the model as it stands in memory before training, not one read again from its folder."""

    model: Any
    description: str = "a frozen copy of the model in memory, taken before training"

    @classmethod
    def of(cls, model: Any) -> FrozenCopy:
        return cls(copy.deepcopy(model).requires_grad_(False).eval())

    @torch.no_grad()
    def predict(self, engine: Engine, batch: Batch) -> Predictions:
        return engine.predict(self.model, batch)
