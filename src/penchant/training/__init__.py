"""The one room that joins log-probs, objectives and the optimiser."""

from penchant.training.config import PreferenceConfig
from penchant.training.run import TrainResult, train
from penchant.training.trainer import PreferenceTrainer

__all__ = ["PreferenceConfig", "PreferenceTrainer", "TrainResult", "train"]
