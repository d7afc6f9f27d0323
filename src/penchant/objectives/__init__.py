"""The published objectives as plain functions, and the catalogue of methods. No torch is imported here."""

from penchant.objectives.catalogue import METHODS, Method, Paper, get_method
from penchant.objectives.pairwise import dpo_loss, ipo_loss, orpo_loss, simpo_loss
from penchant.objectives.unpaired import kto_loss

__all__ = ["METHODS", "Method", "Paper", "dpo_loss", "get_method", "ipo_loss", "kto_loss", "orpo_loss", "simpo_loss"]
