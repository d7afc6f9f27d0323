"""How much of an implicit-reward margin is rounding: the same margins in the training type and in float32."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from penchant.logps import AdapterOff, FrozenCopy, Reference

if TYPE_CHECKING:
    from penchant.training.trainer import PreferenceTrainer


_MOST_PARAMETERS = 2 * 10**9


@dataclass(frozen=True, slots=True)
class Noise:
    """Margins of a few rows after a nudge the size of a first optimiser step.

    Attributes:
        nats: Root mean square difference between the margins in the training type and in float32.
        signal: Root mean square margin in float32.
        dtype: The training type.
        beta: The method's scale, which makes rewards of nats; None where rewards are per token.
    """

    nats: float
    signal: float
    dtype: str
    beta: float | None

    def __str__(self) -> str:
        rewards = "" if self.beta is None else f" ({self.nats * self.beta:.2g} once scaled by beta)"
        verdict = (
            "; early margins and accuracies are mostly rounding, --dtype float32 shows them"
            if self.nats > self.signal
            else ""
        )
        return (
            f"{self.nats:.2g} nats{rewards} between margins in {self.dtype} and in float32, "
            f"where a first step moves them by {self.signal:.2g}{verdict}"
        )


def noise_report(trainer: PreferenceTrainer, rows: Sequence[Any]) -> Noise | str | None:
    """The noise, or a sentence why it was not measured; None for a float32 model, which has none to speak of."""
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    if parameters > _MOST_PARAMETERS:
        return f"not measured: it takes a float32 copy of {parameters:,} parameters"
    return measure_noise(trainer, rows)


def measure_noise(trainer: PreferenceTrainer, rows: Sequence[Any]) -> Noise | None:
    """Compare margins in the training type with float32; None where the model is float32 already.

    Every trained weight is moved by the learning rate in a random direction, as a first step of Adam would, and back:
    before any step policy and reference agree to the last bit, so their noise would cancel. The float32 reference is
    the model as it is before the step. A float32 copy of the model, two for full training with a reference, is in
    memory while this runs.

    Args:
        trainer: A trainer that has not taken a step.
        rows: A few token rows.
    """
    model = trainer.model
    dtype = model.get_input_embeddings().weight.dtype
    if dtype in (torch.float32, torch.float64):
        return None
    reference: Reference | None = None
    if trainer.reference is not None and not hasattr(model, "disable_adapter"):
        reference = FrozenCopy(copy.deepcopy(model).float())
    with _nudged(model, trainer.args.learning_rate, trainer.args.seed):
        low = _margins(trainer, model, trainer.reference, rows)
        exact_model = copy.deepcopy(model).float()
        if trainer.reference is not None:
            reference = reference or AdapterOff(exact_model)
        exact = _margins(trainer, exact_model, reference, rows)
    beta = None if trainer.method.uses_lengths or trainer.args.length_normalize else trainer.constants.get("beta")
    return Noise(_rms(low - exact), _rms(exact), str(dtype).removeprefix("torch."), beta)


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


@torch.no_grad()
def _margins(trainer: PreferenceTrainer, model: Any, reference: Any, rows: Sequence[Any]) -> Tensor:
    """Log-ratio of the first answer minus that of the second; of the one answer where rows have one."""
    engine, found = trainer.engine, []
    models = [model] if reference is None else [model, reference.model]
    with engine.engaged(*models):
        for row in rows:
            batch = engine.lay_out([(row.prompt_ids, row.answers)], trainer.args.device)
            values = engine.logps(model, batch)
            if reference is not None:
                values = values - reference.logps(engine, batch)
            found.append(values[0] - values[1] if len(values) > 1 else values[0])
    return torch.stack(found)


@contextmanager
def _nudged(model: Any, size: float, seed: int) -> Iterator[None]:
    """The model with every trained weight moved by ``size`` up or down while the block runs."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in trained]
    generator = torch.Generator().manual_seed(seed)
    try:
        with torch.no_grad():
            for parameter in trained:
                direction = torch.randint(0, 2, parameter.shape, generator=generator) * 2 - 1
                parameter.add_((size * direction).to(parameter.device, parameter.dtype))
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(trained, before, strict=True):
                parameter.copy_(value)
