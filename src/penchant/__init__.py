"""Direct preference optimisation of language models.

The losses work on Python numbers, NumPy, PyTorch and JAX, and importing them needs NumPy alone. ``train`` loads
PyTorch and transformers when it is called.
"""

from __future__ import annotations

from typing import Any

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
    "orpo_loss",
    "sigmoid",
    "simpo_loss",
    "train",
]


def train(**options: Any) -> Any:
    """Train a model on preference data; see :func:`penchant.training.train`, which this loads and calls."""
    from penchant.training import train as run

    return run(**options)
