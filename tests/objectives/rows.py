"""Golden rows: for every published function what it must return and how steep it is there.

The numbers are typed in: losses (mean over the row's entries) and slopes (of each entry's own loss) are the float64
numbers nearest to 80-digit arithmetic on inputs and constants read as the decimals they are written as. The recipe is
``RECIPES``, plain formulas on mpmath numbers; ``recompute(row)`` runs it and lets mpmath differentiate. What is
below 5e-324 is typed as 0.

Names: G1-G3, K1-K3, S1-S3 are the rows of the study sheet's audit; P is the catalogue's test point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One golden row: inputs and slopes by parameter name, a tuple each with one number per entry."""

    function: str
    name: str
    inputs: dict[str, Numbers]
    loss: float
    slopes: dict[str, Numbers]
    constants: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.function.removesuffix('_loss')}: {self.name}"


# --- the recipe ------------------------------------------------------------------------------------------------------


def softplus(x):
    """log(1 + e^x), written so that e^x far below 1 is not lost beside the 1."""
    return mp.log1p(mp.exp(x))


def dpo(w, lo, ref_w, ref_lo, beta, label_smoothing=0):
    z = beta * ((w - ref_w) - (lo - ref_lo))
    return (1 - label_smoothing) * softplus(-z) + label_smoothing * softplus(z)


def ipo(log_ratio_w, log_ratio_l, beta):
    return (log_ratio_w - log_ratio_l - 1 / (2 * beta)) ** 2


def kto(r, good, z_ref, beta, value_function="log_sigmoid", desirable_weight=1, undesirable_weight=1):
    u = beta * (r - z_ref) * (1 if good else -1)
    weight = desirable_weight if good else undesirable_weight
    return weight * (softplus(-u) if value_function == "log_sigmoid" else 1 / (1 + mp.exp(u)))


def simpo(w, lo, m, n, beta, gamma):
    return softplus(gamma - beta * (w / m - lo / n))


def orpo(w, lo, m, n, lambda_):
    p, q = mp.exp(w / m), mp.exp(lo / n)
    return -w / m + lambda_ * mp.log1p(q / (1 - q) * (1 - p) / p)


RECIPES: dict[str, Callable[..., mp.mpf]] = {
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "log_sigmoid": lambda x: -softplus(-x),
    "dpo_loss": dpo,
    "ipo_loss": ipo,
    "kto_loss": kto,
    "simpo_loss": simpo,
    "orpo_loss": orpo,
}
DEFAULTS = {
    "dpo_loss": {"beta": 0.1},
    "ipo_loss": {"beta": 0.1},
    "kto_loss": {"beta": 0.1},
    "simpo_loss": {"beta": 2.0, "gamma": 0.5},
    "orpo_loss": {"lambda_": 0.1},
}


def recompute(row: Row) -> tuple[mp.mpf, dict[str, list[mp.mpf]]]:
    """The row's mean loss and its slopes, with 80 digits."""
    with mp.workdps(80):
        given = DEFAULTS.get(row.function, {}) | row.constants
        constants = {name: value if isinstance(value, str) else decimal(value) for name, value in given.items()}
        entries = [[decimal(value) for value in entry] for entry in zip(*row.inputs.values(), strict=True)]

        def loss(*entry):
            return RECIPES[row.function](*entry, **constants)

        def slope(entry, i):
            return mp.diff(lambda x: loss(*entry[:i], x, *entry[i + 1 :]), entry[i])

        mean = mp.fsum(loss(*entry) for entry in entries) / len(entries)
        return mean, {name: [slope(entry, i) for entry in entries] for i, name in enumerate(row.slopes)}


def decimal(value: float) -> mp.mpf:
    """The decimal number that was typed, not the binary fraction beside it."""
    return mp.mpf(repr(float(value)))


# --- the numbers -----------------------------------------------------------------------------------------------------

LOGPS = ("chosen_logps", "rejected_logps", "chosen_lengths", "rejected_lengths")
TERMS = {
    "sigmoid": ("x",),
    "log_sigmoid": ("x",),
    "dpo_loss": ("policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps"),
    "ipo_loss": ("log_ratio_w", "log_ratio_l"),
    "kto_loss": ("log_ratio", "is_desirable", "z_ref"),
    "simpo_loss": LOGPS,
    "orpo_loss": LOGPS,
}


def row(function: str, name: str, inputs: tuple[Any, ...], loss: float, *slopes: Any, **constants: Any) -> Row:
    """A row from its inputs in the function's order and the slopes by the first of them."""
    terms = TERMS[function]
    columns = zip(terms, map(as_tuple, inputs), strict=True)
    steep = zip(terms, map(as_tuple, slopes), strict=False)
    return Row(function, name, dict(columns), loss, dict(steep), constants)


def as_tuple(value: Any) -> Numbers:
    return value if isinstance(value, tuple) else (value,)


# fmt: off
ROWS = [
    # The sheet's clipped sigmoid stops at 7e-218 for -1000; the truth, 5e-435, is 0 in float64.
    row("sigmoid", "0", (0.0,), 0.5, 0.25),
    row("sigmoid", "-3.5", (-3.5,), 0.02931223075135632, 0.02845302387973556),
    row("sigmoid", "0.25", (0.25,), 0.5621765008857981, 0.24613408273759835),
    row("sigmoid", "40", (40.0,), 1.0, 4.248354255291589e-18),
    row("sigmoid", "-40", (-40.0,), 4.248354255291589e-18, 4.248354255291589e-18),
    row("sigmoid", "800", (800.0,), 1.0, 0.0),
    row("sigmoid", "-800", (-800.0,), 0.0, 0.0),
    row("sigmoid", "-1000", (-1000.0,), 0.0, 0.0),
    row("log_sigmoid", "0", (0.0,), -0.6931471805599453, 0.5),
    row("log_sigmoid", "-3.5", (-3.5,), -3.5297504182726205, 0.9706877692486436),
    row("log_sigmoid", "0.25", (0.25,), -0.5759394198788436, 0.4378234991142019),
    row("log_sigmoid", "40", (40.0,), -4.248354255291589e-18, 4.248354255291589e-18),
    row("log_sigmoid", "800", (800.0,), 0.0, 0.0),
    row("log_sigmoid", "-800", (-800.0,), -800.0, 1.0),
    row("dpo_loss", "G1", (-10.5, -12.25, -11.0, -11.5), 0.6325990353171691, -0.04687906266262437, 0.04687906266262437),
    row("dpo_loss", "G2", ((-20.0, -35.5, -7.25), (-22.0, -30.0, -7.5), (-21.0, -36.0, -8.0), (-21.5, -33.0, -6.0)),
        0.6779528232393598, (-0.046257015465625044, -0.05621765008857981, -0.04439861094553801),
        (0.046257015465625044, 0.05621765008857981, 0.04439861094553801)),
    row("dpo_loss", "G3", ((-120.5, -80.0), (-60.25, -310.0), (-100.0, -95.0), (-90.0, -140.0)),
        12.562500000006128, (-0.49999999999387196, -3.363027574822354e-41),
        (0.49999999999387196, 3.363027574822354e-41), beta=0.5),
    row("dpo_loss", "P", (-12.0, -30.0, -14.0, -29.0), 0.5543552444685271, -0.0425557483188341, 0.0425557483188341),
    row("dpo_loss", "P smoothed", (-12.0, -30.0, -14.0, -29.0),
        0.5843552444685272, -0.0325557483188341, 0.0325557483188341, label_smoothing=0.1),
    row("dpo_loss", "policy is reference", (-12.5, -30.25, -12.5, -30.25), 0.6931471805599453, -0.15, 0.15, beta=0.3),
    row("dpo_loss", "policy is reference smoothed", (-12.5, -30.25, -12.5, -30.25),
        0.6931471805599453, -0.03, 0.03, label_smoothing=0.2),
    row("dpo_loss", "z 0 away from reference", (-10.0, -20.0, -12.0, -22.0), 0.6931471805599453, -0.25, 0.25, beta=0.5),
    row("dpo_loss", "z 40", (-10.0, -90.0, -10.0, -10.0),
        4.248354255291589e-18, -2.1241771276457944e-18, 2.1241771276457944e-18, beta=0.5),
    row("dpo_loss", "z 800 and -800", ((-100.0, -900.0), (-900.0, -100.0), (-100.0, -100.0), (-100.0, -100.0)),
        400.0, (0.0, -1.0), (0.0, 1.0), beta=1.0),
    row("dpo_loss", "z 800 and -800 smoothed", ((-100.0, -900.0), (-900.0, -100.0), (-100.0, -100.0), (-100.0, -100.0)),
        400.0, (0.25, -0.75), (-0.25, 0.75), beta=1.0, label_smoothing=0.25),
    row("ipo_loss", "G1", (0.5, -0.75), 14.0625, -7.5, 7.5),
    row("ipo_loss", "G2", ((1.0, 0.5, 0.75), (-0.5, 3.0, -1.5)),
        25.354166666666668, (-7.0, -15.0, -5.5), (7.0, 15.0, 5.5)),
    row("ipo_loss", "G3", ((-20.5, 15.0), (29.75, -170.0)), 18241.28125, (-102.5, 368.0), (102.5, -368.0), beta=0.5),
    row("ipo_loss", "P", (2.0, -1.0), 4.0, -4.0, 4.0),
    row("ipo_loss", "P per token", (0.25, -0.06666666666666667),
        21.933611111111112, -9.366666666666667, 9.366666666666667),
    row("ipo_loss", "policy is reference", (0.0, 0.0), 25.0, -10.0, 10.0),
    row("ipo_loss", "at the margin", (1.25, -0.75), 0.0, 0.0, 0.0, beta=0.25),
    row("ipo_loss", "gap 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        640001.0, (1598.0, -1602.0), (-1598.0, 1602.0), beta=0.5),
    row("kto_loss", "K1", ((1.5, -2.0, 0.25), (True, False, True), (0.0, 0.0, 0.0)),
        0.6332737402322163, (-0.046257015465625044, 0.04501660026875221, -0.04937503255004896)),
    row("kto_loss", "K2", ((1.5, -2.0, 0.25, 4.0), (True, False, False, True), (0.75, 0.75, 0.75, 0.75)),
        0.608418265126965, (-0.048125878412146474, 0.04316800165217519, 0.048750260351578964, -0.04194576951793404)),
    row("kto_loss", "K3", ((-30.0, 45.5), (True, False), (2.5, 2.5)),
        18.87500004405119, (-0.49999995617876275, 0.4999999997700472), beta=0.5),
    row("kto_loss", "P", ((2.0, -1.0), (True, False), (0.5, 0.5)),
        0.6209570477895321, (-0.046257015465625044, 0.046257015465625044)),
    row("kto_loss", "policy is reference", ((0.0, 0.0), (True, False), (0.0, 0.0)),
        0.6065037829899521, (-0.0625, 0.025), desirable_weight=1.25, undesirable_weight=0.5),
    row("kto_loss", "at the baseline", ((1.5, 1.5), (True, False), (1.5, 1.5)), 0.6931471805599453, (-0.05, 0.05)),
    row("kto_loss", "u 40 and -40", ((80.0, 80.0), (True, False), (0.0, 0.0)),
        20.0, (-2.1241771276457944e-18, 0.5), beta=0.5),
    row("kto_loss", "u 40", ((80.0,), (True,), (0.0,)), 4.248354255291589e-18, -2.1241771276457944e-18, beta=0.5),
    row("kto_loss", "u 800", ((800.0, -800.0), (True, False), (0.0, 0.0)), 0.0, (0.0, 0.0), beta=1.0),
    row("kto_loss", "u -800", ((-800.0, 800.0), (True, False), (0.0, 0.0)), 800.0, (-1.0, 1.0), beta=1.0),
    row("kto_loss", "K1 paper", ((1.5, -2.0, 0.25), (True, False, True), (0.0, 0.0, 0.0)),
        0.46882882761475403, (-0.0248599006677543, 0.024751657271185994, -0.024996094156865017),
        value_function="sigmoid"),
    row("kto_loss", "K2 paper", ((1.5, -2.0, 0.25, 4.0), (True, False, False, True), (0.75, 0.75, 0.75, 0.75)),
        0.4549747748345867, (-0.024964876682739414, 0.02453323798575319, 0.024984381508111643, -0.024351293713417595),
        value_function="sigmoid"),
    row("kto_loss", "K3 paper", ((-30.0, 45.5), (True, False), (2.5, 2.5)),
        0.99999995594881, (-4.3821233416014505e-08, 2.2995276872110273e-10), value_function="sigmoid", beta=0.5),
    row("kto_loss", "P paper", ((2.0, -1.0), (True, False), (0.5, 0.5)),
        0.46257015465625045, (-0.0248599006677543, 0.0248599006677543), value_function="sigmoid"),
    row("kto_loss", "policy is reference paper", ((0.0, 0.0), (True, False), (0.0, 0.0)),
        0.4375, (-0.03125, 0.0125), value_function="sigmoid", desirable_weight=1.25, undesirable_weight=0.5),
    row("kto_loss", "at the baseline paper", ((1.5, 1.5), (True, False), (1.5, 1.5)),
        0.5, (-0.025, 0.025), value_function="sigmoid"),
    row("kto_loss", "u 40 and -40 paper", ((80.0, 80.0), (True, False), (0.0, 0.0)),
        0.5, (-2.1241771276457944e-18, 2.1241771276457944e-18), value_function="sigmoid", beta=0.5),
    row("kto_loss", "u 40 paper", ((80.0,), (True,), (0.0,)),
        4.248354255291589e-18, -2.1241771276457944e-18, value_function="sigmoid", beta=0.5),
    row("kto_loss", "u 800 paper", ((800.0, -800.0), (True, False), (0.0, 0.0)),
        0.0, (0.0, 0.0), value_function="sigmoid", beta=1.0),
    row("kto_loss", "u -800 paper", ((-800.0, 800.0), (True, False), (0.0, 0.0)),
        1.0, (0.0, 0.0), value_function="sigmoid", beta=1.0),
    row("simpo_loss", "S1 and P", (-12.0, -30.0, 8.0, 15.0),
        0.4740769841801067, -0.09438516719953637, 0.050338755839752725),
    row("simpo_loss", "S2", ((-12.0, -45.5), (-30.0, -20.0), (8.0, 35.0), (15.0, 10.0)),
        0.40761542945609724, (-0.09438516719953637, -0.0165171712785712),
        (0.050338755839752725, 0.05781009947499921)),
    row("simpo_loss", "S3", ((-100.0, -6.0), (-90.0, -64.0), (50.0, 3.0), (30.0, 16.0)),
        0.003357827195695891, (-0.0013385701848569712, -1.0196740897520823e-06),
        (0.0022309503080949517, 1.9118889182851546e-07), beta=10.0, gamma=5.0),
    row("simpo_loss", "equal per token", (-16.0, -14.0, 8.0, 7.0),
        0.9740769841801067, -0.15561483280046365, 0.17784552320052988),
    row("simpo_loss", "z 0", (-4.0, -8.0, 4.0, 4.0), 0.6931471805599453, -0.25, 0.25, gamma=2.0),
    row("simpo_loss", "z 800 and -800", ((-100.0, -500.0), (-500.0, -100.0), (1.0, 1.0), (1.0, 1.0)),
        400.0, (0.0, -2.0), (0.0, 2.0), gamma=0.0),
    row("orpo_loss", "P", (-12.0, -30.0, 8.0, 15.0), 1.543498880687054, -0.13067546952317646, 0.002719575045493059),
    row("orpo_loss", "z 0", (-16.0, -14.0, 8.0, 7.0),
        2.6931471805599454, -0.1972823526718541, 0.08260840305354755, lambda_=1.0),
    row("orpo_loss", "no penalty", (-12.0, -30.0, 8.0, 15.0), 1.5, -0.125, 0.0, lambda_=0.0),
    row("orpo_loss", "z 800", (-0.5, -800.0, 1.0, 1.0), 0.5, -1.0, 0.0),
    row("orpo_loss", "z -800", (-800.0, -0.5, 1.0, 1.0), 880.0432752129567, -1.1, 0.2541494082536798),
    row("orpo_loss", "both far", (-2000.0, -1999.0, 1.0, 1.0),
        2000.656630843759, -1.3655292893150024, 0.36552928931500245, lambda_=0.5),
    row("orpo_loss", "chosen near 1", (-8e-08, -30.0, 8.0, 15.0),
        1.0156517643409765e-08, -0.1269564705508733, 1.2067694390888908e-11),
    row("orpo_loss", "chosen at 1", (0.0, -30.0, 8.0, 15.0), 0.0, -0.1269564705343708, 0.0),
    row("orpo_loss", "rejected near 1", (-12.0, -1e-08, 8.0, 1.0),
        3.466819828289908, -0.14109021141364705, 10000000.021278309),
    row("orpo_loss", "both near 1", (-1e-08, -1e-08, 1.0, 1.0),
        0.34657360027997264, -25000001.125, 25000000.125, lambda_=0.5),
]
# fmt: on
