"""Defaults that no source at hand confirms: recalled from the paper, or our own choice where the paper leaves it open.

All other defaults were read in the authors' code, in a reference implementation or in a documented reproduction of the
paper. A default is taken off this list by whoever has read it in the source.
"""

from __future__ import annotations

UNCONFIRMED: dict[str, tuple[str, ...]] = {
    "dr_dpo": ("beta_prime",),
    "soft_dpo": ("beta",),
    "geometric_dpo": ("beta",),
    "focal_dpo": ("beta", "focus"),
    "modpo": ("beta",),
    "rebel": ("eta",),
    "reward_distillation": ("eta",),
    "reward_aware": ("beta", "eta"),
    "rao_kupper": ("beta", "tie_margin"),
    "davidson": ("beta", "nu"),
    "minor_dpo": ("beta",),
    "asft": ("lambda_",),
    "repo": ("gamma",),
    "squared_hinge": ("beta",),
    "savage": ("beta",),
    "exponential": ("beta",),
    "js_dpo": ("beta",),
    "f_dpo": ("beta", "alpha"),
    "fkl_dpo": ("beta",),
    "chi_po": ("beta", "clip"),
    "npo": ("beta",),
    "simnpo": ("beta", "gamma"),
    "dro": ("beta",),
    "tis_dpo": ("beta",),
    "ld_dpo": ("alpha",),
    "plackett_luce": ("beta",),
    "info_nca": ("temperature",),
    "nca_list": ("temperature",),
    "exo_list": ("temperature",),
    "lipo": ("beta",),
    "pro": ("alpha",),
    "rrhf": ("alpha",),
    "d2o": ("beta", "alpha"),
    "alpha_dpo": ("gamma", "alpha"),
}
"""Method -> the constants, by the loss's parameter."""
