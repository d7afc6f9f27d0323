"""The demo: a real model, preference-tuned on pairs that ship with the package, before against after."""

from penchant.demo.assets import smollm2_path

__all__ = ["smollm2_path"]
