"""From tokens to log-probs: a few numbers per answer. No method's constants are known here."""

from penchant.logps.choice import check_engine, choose_engine
from penchant.logps.engine import Batch, Engine
from penchant.logps.kernels import compile_kernels
from penchant.logps.layout import Group, PackedBatch
from penchant.logps.plain import AnswerBatch, answer_logps
from penchant.logps.predictions import Predictions, Spread
from penchant.logps.reference import (
    AdapterOff,
    FrozenCopy,
    OtherAdapter,
    Reference,
    SeparateModel,
    Stored,
    Uniform,
)
from penchant.logps.store import ReferenceStore, Source

__all__ = [
    "AdapterOff",
    "AnswerBatch",
    "Batch",
    "Engine",
    "FrozenCopy",
    "Group",
    "OtherAdapter",
    "PackedBatch",
    "Predictions",
    "Reference",
    "ReferenceStore",
    "SeparateModel",
    "Source",
    "Spread",
    "Stored",
    "Uniform",
    "answer_logps",
    "check_engine",
    "choose_engine",
    "compile_kernels",
]
