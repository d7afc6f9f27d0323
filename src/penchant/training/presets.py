"""Learning rates to start from, per method.

Full training: 5e-7 for DPO, IPO and SimPO (the DPO authors' code and the SimPO recipes use 3e-7 to 1e-6), 5e-6 for KTO
and ORPO (their authors' scripts). Adapters take larger steps: published ones range from 5e-6 to 5e-4. These were picked
low in that range and have not been compared with others by a measurement of ours. A method not named below starts
from DPO's.
"""

from __future__ import annotations

_FULL = {"kto": 5e-6, "orpo": 5e-6}
_LORA = {"orpo": 5e-5}
_DPO_FULL, _DPO_LORA = 5e-7, 2e-5


def preset_learning_rate(method: str, *, lora: bool) -> float:
    """The learning rate used where none is given."""
    return _LORA.get(method, _DPO_LORA) if lora else _FULL.get(method, _DPO_FULL)
