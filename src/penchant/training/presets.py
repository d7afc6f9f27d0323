"""Where a run starts from, per method and mode, and what published runs used.

Each entry says where its numbers were read. Ranges are those of published recipes, from the smallest to the largest
value among them, without what their own documentation calls hot; a value outside is allowed and told. A method that is
not named starts from DPO's learning rate and has no range of constants: none was found published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_SIMPO_TABLE = "the search of the SimPO paper (arXiv:2405.14734, appendix; from memory, not confirmed)"


@dataclass(frozen=True, slots=True)
class Range:
    """Published values of one setting, ends included, and who published them."""

    low: float
    high: float
    source: str

    def holds(self, value: float) -> bool:
        return self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings for one method: learning rates of full and adapter training, and ranges of its constants."""

    full: float
    lora: float
    full_range: Range
    lora_range: Range
    constants: Mapping[str, Range] = field(default_factory=dict)

    def learning_rate(self, *, lora: bool) -> float:
        return self.lora if lora else self.full

    def rates(self, *, lora: bool) -> Range:
        return self.lora_range if lora else self.full_range


_DPO_FULL = Range(8e-8, 1e-5, "the DPO authors', alignment-handbook, OpenRLHF, OLMo 3 and ms-swift recipes")
_DPO_LORA = Range(5e-6, 2e-4, "LLaMA-Factory, alignment-handbook, ms-swift and axolotl recipes")
_DPO_BETA = Range(0.01, 0.5, "the DPO authors', Zephyr and SmolLM2 recipes")

_DPO = Preset(5e-7, 2e-5, _DPO_FULL, _DPO_LORA, {"beta": _DPO_BETA})


def _as_dpo(**constants: Range) -> Preset:
    """DPO's learning rates, and ranges of the method's own constants."""
    return Preset(_DPO.full, _DPO.lora, _DPO_FULL, _DPO_LORA, constants)


PRESETS: Mapping[str, Preset] = {
    "dpo": _DPO,
    "cdpo": Preset(
        5e-7,
        2e-5,
        _DPO_FULL,
        _DPO_LORA,
        {"beta": _DPO_BETA, "label_smoothing": Range(0.1, 0.2, "the DPO authors' and HALOs recipes")},
    ),
    "r_dpo": Preset(
        5e-7,
        2e-5,
        _DPO_FULL,
        _DPO_LORA,
        {"beta": Range(0.01, 0.1, _SIMPO_TABLE), "alpha": Range(0.05, 1.0, _SIMPO_TABLE)},
    ),
    "ipo": Preset(5e-7, 2e-5, _DPO_FULL, _DPO_LORA, {"beta": Range(0.01, 1.0, _SIMPO_TABLE)}),
    "ln_dpo": Preset(
        5e-7,
        2e-5,
        Range(8e-8, 1e-6, "Tülu 3, OLMo 2 and OLMo 3 recipes"),
        _DPO_LORA,
        {"beta": Range(5.0, 5.0, "Tülu 3, OLMo 2 and OLMo 3 recipes")},
    ),
    "apo_zero": Preset(
        1e-6,
        2e-5,
        Range(8e-8, 1e-5, "the SmolLM3 recipe has 1e-6; those of DPO"),
        _DPO_LORA,
        {"beta": Range(0.05, 0.1, "the SmolLM3 recipe and the paper")},
    ),
    "kto": Preset(
        5e-6,
        2e-5,
        Range(3e-7, 5e-6, f"the HALOs scripts, and {_SIMPO_TABLE}"),
        Range(5e-6, 2e-4, "LLaMA-Factory, ms-swift and axolotl recipes"),
        {
            "beta": Range(0.01, 0.5, f"HALOs, axolotl and {_SIMPO_TABLE}"),
            "desirable_weight": Range(0.2, 4 / 3, "HALOs and axolotl recipes, ms-swift's documentation"),
            "undesirable_weight": Range(1.0, 4 / 3, "HALOs recipes, ms-swift's documentation"),
        },
    ),
    "simpo": Preset(
        5e-7,
        1e-5,
        Range(3e-7, 1e-6, "the SimPO authors' configurations"),
        Range(5e-6, 2e-4, "none for SimPO; those of DPO"),
        {
            "beta": Range(2.0, 10.0, "the SimPO authors' configurations, v0.1 and v0.2"),
            "gamma": Range(0.3, 5.0, "the SimPO authors' configurations; gamma is their ratio times beta"),
        },
    ),
    "orpo": Preset(
        5e-6,
        1e-4,
        Range(3e-7, 5e-6, f"the ORPO authors' scripts, alignment-handbook, and {_SIMPO_TABLE}"),
        Range(1e-4, 2e-4, "ms-swift and axolotl recipes"),
        {"lambda_": Range(0.05, 2.0, f"the ORPO authors' scripts and {_SIMPO_TABLE}")},
    ),
    "cpo": Preset(
        1e-6,
        1e-4,
        Range(3e-7, 1e-6, _SIMPO_TABLE),
        Range(5e-6, 2e-4, "the ms-swift recipe has 1e-4; those of DPO"),
        {"beta": Range(0.01, 0.1, _SIMPO_TABLE), "alpha": Range(1.0, 1.0, _SIMPO_TABLE)},
    ),
    "slic": _as_dpo(delta=Range(1.0, 1.0, "HALOs"), lambda_=Range(0.1, 10.0, _SIMPO_TABLE)),
    "f_dpo": _as_dpo(beta=Range(0.01, 0.9, "the f-DPO authors' scripts; 0.1 is TRL's, to reproduce them")),
    "fkl_dpo": _as_dpo(beta=Range(1e-5, 0.1, "the f-DPO authors' scripts; 0.03 is that for HH")),
    "chi_po": _as_dpo(beta=Range(0.005, 0.05, "the paper's table for TL;DR, which has these two values")),
    "reward_aware": _as_dpo(
        beta=Range(1e-5, 1.0, "Nemotron-4 340B tunes it in [0.001, 1], Llama-Nemotron has 1e-5; 0.1 is our choice")
    ),
}


def preset(method: str) -> Preset:
    """The method's preset; DPO's learning rates, without ranges of constants, for one that is not named."""
    return PRESETS.get(method) or Preset(_DPO.full, _DPO.lora, _DPO_FULL, _DPO_LORA)


def preset_learning_rate(method: str, *, lora: bool) -> float:
    """The learning rate used where none is given."""
    return preset(method).learning_rate(lora=lora)


def outside(method: str, constants: Mapping[str, object], rate: float, *, lora: bool) -> list[tuple[str, float, Range]]:
    """The settings that no published run in the table used, with the range of those that did."""
    known = preset(method)
    asked = [("learning_rate", rate, known.rates(lora=lora))]
    for name, interval in known.constants.items():
        value = constants.get(name)
        if isinstance(value, int | float):
            asked.append((name, float(value), interval))
    return [one for one in asked if not one[2].holds(one[1])]


def as_markdown() -> str:
    """The table of presets, for docs/presets.md."""
    lines = ["| method | setting | start | published | source |", "| --- | --- | --- | --- | --- |"]
    for name, one in PRESETS.items():
        rows = [
            ("learning rate, full", f"{one.full:g}", one.full_range),
            ("learning rate, adapter", f"{one.lora:g}", one.lora_range),
            *((constant.rstrip("_"), "the method's", interval) for constant, interval in one.constants.items()),
        ]
        lines += [f"| `{name}` | {what} | {start} | {r.low:g} to {r.high:g} | {r.source} |" for what, start, r in rows]
    return "\n".join(lines)
