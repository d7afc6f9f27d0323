"""How much of an implicit-reward margin is rounding: the same margins in the training type and in float32."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from penchant.logps import AdapterOff, FrozenCopy, OtherAdapter, Reference, Uniform
from penchant.training.adapters import is_trained

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
        from_zero: Whether margins are 0 before the nudge, since policy and reference are one.
    """

    nats: float
    signal: float
    dtype: str
    beta: float | None
    from_zero: bool = True

    def __str__(self) -> str:
        rewards = "" if self.beta is None else f" ({self.nats * self.beta:.2g} once scaled by beta)"
        early = "early margins and accuracies are mostly rounding, --dtype float32 shows them"
        return (
            f"{self.nats:.2g} nats{rewards} between margins in {self.dtype} and in float32, "
            f"{'where a first step moves them by' if self.from_zero else 'which are about'} {self.signal:.2g}"
            f"{f'; {early}' if self.nats > self.signal else ''}"
        )


def noise_report(trainer: PreferenceTrainer, rows: Sequence[Any]) -> Noise | str | None:
    """The noise, or a sentence why it was not measured; None for a float32 model, which has none to speak of."""
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    if parameters > _MOST_PARAMETERS:
        return f"not measured: it takes a float32 copy of {parameters:,} parameters"
    if not (_without_reference(trainer) or _begins_at_zero(trainer)):
        return "not measured: the reference is not the policy as it is before training"
    return measure_noise(trainer, rows)


def _without_reference(trainer: PreferenceTrainer) -> bool:
    return trainer.reference is None or isinstance(trainer.reference, Uniform)


def _begins_at_zero(trainer: PreferenceTrainer) -> bool:
    """Whether policy and reference are one before the first step."""
    word = trainer.args.reference
    return word == "initial" or word.startswith("store:") or (word == "adapter-off" and not is_trained(trainer.model))


def measure_noise(trainer: PreferenceTrainer, rows: Sequence[Any]) -> Noise | None:
    """Compare margins in the training type with float32; None where the model is float32 already.

    Every trained weight is moved by the learning rate in a random direction, as a first step of Adam would, and back:
    before any step policy and reference agree to the last bit, so their noise would cancel. The float32 reference is
    the model as it is before the step. A float32 copy of the model, two for full training with a reference, is in
    memory while this runs.

    Args:
        trainer: A trainer that has not taken a step, without a reference or with the policy's own beginning as one.
        rows: A few token rows.
    """
    model = trainer.model
    dtype = model.get_input_embeddings().weight.dtype
    if dtype in (torch.float32, torch.float64):
        return None
    alone, reference = _without_reference(trainer), trainer.reference
    before = None if alone or hasattr(model, "disable_adapter") else FrozenCopy(copy.deepcopy(model).float())
    with _nudged(model, trainer.args.learning_rate, trainer.args.seed):
        low = _margins(trainer, model, None if alone else reference, rows)
        exact_model = copy.deepcopy(model).float()
    exact_reference: Reference | None = before
    if isinstance(reference, OtherAdapter):
        exact_reference = replace(reference, model=exact_model)
    elif not alone and before is None:
        exact_reference = AdapterOff(exact_model)
    exact = _margins(trainer, exact_model, exact_reference, rows)
    beta = None if trainer.method.uses_lengths or trainer.args.length_normalize else trainer.constants.get("beta")
    return Noise(_rms(low - exact), _rms(exact), str(dtype).removeprefix("torch."), beta, from_zero=not alone)


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
