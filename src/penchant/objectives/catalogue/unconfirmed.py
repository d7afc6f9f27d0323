"""Defaults that no source at hand confirms: recalled from the paper, or our own choice where the paper leaves it open.

All other defaults were read in the authors' code or paper, in a reference implementation or in a documented
reproduction of the paper. A default is taken off this list by whoever has read it in the source, and says where in the
loss's docstring.
"""

from __future__ import annotations

MEANING = "?: a default whose published value is not confirmed"

UNCONFIRMED: dict[str, tuple[str, ...]] = {
    "soft_dpo": ("beta",),
    "geometric_dpo": ("beta",),
    "focal_dpo": ("beta",),
    "reward_distillation": ("eta",),
    "minor_dpo": ("beta",),
    "squared_hinge": ("beta",),
    "savage": ("beta",),
    "exponential": ("beta",),
    "chi_po": ("clip",),
}
"""Method -> the constants, by the loss's parameter."""


def mark(method: str, constant: str) -> str:
    """A question mark behind a default that is on the list, else nothing."""
    return "?" if constant in UNCONFIRMED.get(method, ()) else ""
