"""Activation checkpointing that leaves frozen layers below the first trained one out of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers.modeling_layers import GradientCheckpointingLayer

from penchant.logps.engine import base_model


def checkpoint_activations(model: Any, options: Mapping[str, Any] | None) -> None:
    """Switch it on for the layers from the first trained one on, so that nothing below them is kept or recomputed.

    transformers makes the embeddings' output require a gradient then, which PyTorch's older (reentrant) checkpointing
    needs, and with which the backward pass goes through every frozen layer. The newer one does not need it.

    Args:
        model: The policy, its adapter in place.
        options: ``every_n_layers``, ``offload``, and what ``torch.utils.checkpoint`` takes.
    """
    given = {"use_reentrant": False} | dict(options or {})
    base = base_model(model)
    own = {name: given.pop(name) for name in ("every_n_layers", "offload") if name in given}
    base.activation_checkpointing_enable(activation_checkpointing_kwargs=given, **own)
    if given["use_reentrant"]:
        return
    base.disable_input_require_grads()
    for layer in frozen_layers(base):
        layer.gradient_checkpointing = False


def frozen_layers(base: Any) -> list[Any]:
    """The layers below the first trained weight, whose outputs need no gradient."""
    if any(parameter.requires_grad for parameter in base.get_input_embeddings().parameters()):
        return []
    layers = [module for module in base.modules() if isinstance(module, GradientCheckpointingLayer)]
    trained = [any(parameter.requires_grad for parameter in layer.parameters()) for layer in layers]
    return layers[: trained.index(True)] if True in trained else layers
