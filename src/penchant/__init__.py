"""Direct preference optimisation of language models.

The losses work on Python numbers, NumPy, PyTorch and JAX, and need NumPy alone. ``train`` loads PyTorch and
transformers when it is called. Names load when they are first used, so that the command line answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penchant import numpy
    from penchant.arrays import log_sigmoid, sigmoid
    from penchant.errors import InputError
    from penchant.objectives import METHODS, dpo_loss, get_method, ipo_loss, kto_loss, orpo_loss, simpo_loss

__version__ = "0.1.0"
__all__ = [
    "METHODS",
    "InputError",
    "dpo_loss",
    "get_method",
    "ipo_loss",
    "kto_loss",
    "log_sigmoid",
    "numpy",
    "orpo_loss",
    "sigmoid",
    "simpo_loss",
    "train",
]

_HOMES = {"InputError": "errors", "log_sigmoid": "arrays", "sigmoid": "arrays"}


def __getattr__(name: str) -> Any:
    if name == "numpy":
        return import_module("penchant.numpy")
    if name in __all__:
        return getattr(import_module(f"penchant.{_HOMES.get(name, 'objectives')}"), name)
    raise AttributeError(f"module 'penchant' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def train(**options: Any) -> Any:
    """Train a model on preference data; see :func:`penchant.training.train`, which this loads and calls."""
    from penchant.training import train as run

    return run(**options)
