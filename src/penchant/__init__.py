"""Direct preference optimisation of language models.

The losses work on Python numbers, NumPy, PyTorch and JAX, and need NumPy alone. ``train`` loads PyTorch and
transformers when it is called. Names load when they are first used, so that the command line answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penchant import numpy as numpy
    from penchant.arrays import log_sigmoid as log_sigmoid
    from penchant.arrays import sigmoid as sigmoid
    from penchant.errors import InputError as InputError
    from penchant.objectives import *

__version__ = "0.1.0"

_HOMES = {
    "InputError": "errors",
    "METHODS": "objectives",
    "get_method": "objectives",
    "log_sigmoid": "arrays",
    "sigmoid": "arrays",
}


def __getattr__(name: str) -> Any:
    if name == "numpy":
        return import_module("penchant.numpy")
    if name == "__all__":
        return sorted({*_HOMES, *_losses(), "numpy", "train"})
    if name in _HOMES:
        return getattr(import_module(f"penchant.{_HOMES[name]}"), name)
    if name.endswith("_loss") and name in _losses():
        return _losses()[name]
    raise AttributeError(f"module 'penchant' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})


def _losses() -> dict[str, Any]:
    """Every published loss, read off the catalogue."""
    from penchant.objectives import LOSSES

    return LOSSES


def train(**options: Any) -> Any:
    """Train a model on preference data; see :func:`penchant.training.train`, which this loads and calls."""
    from penchant.training import train as run

    return run(**options)
