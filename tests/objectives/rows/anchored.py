"""Golden rows of the losses against an anchor."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def kto(r, good, z_ref, beta, value_function="log_sigmoid", desirable_weight=1, undesirable_weight=1):
    u = beta * (r - z_ref) * (1 if good else -1)
    weight = desirable_weight if good else undesirable_weight
    return weight * (softplus(-u) if value_function == "log_sigmoid" else 1 / (1 + mp.exp(u)))


def dro(r, rating, worth, beta):
    return (rating - worth - beta * r) ** 2 / 2


RECIPES = {
    "kto_loss": Recipe(kto, ("log_ratio", "is_desirable", "z_ref"), {"beta": 0.1}),
    "dro_loss": Recipe(dro, ("log_ratio", "score", "prompt_value"), {"beta": 1.0}, constant=("score",)),
}

# fmt: off
ROWS = [
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
    row("dro_loss", "a rating of 1", (2.0, 1.0, 0.2), 0.02, 0.1, 0.0, beta=0.5),
    row("dro_loss", "a batch", ((1.0, -4.5, 3.0), (0.5, -1.0, 2.0), (0.25, 0.5, -0.75)),
        0.5745833333333333, (0.015, 0.045, -0.555), (0.0, 0.0, 0.0), beta=0.3),
    row("dro_loss", "policy is reference", (0.0, 1.0, 0.25), 0.28125, -0.75, 0.0),
    row("dro_loss", "800 and -800", ((800.0, -800.0), (1.0, 1.0), (0.25, 0.25)),
        320000.28125, (799.25, -800.75), (0.0, 0.0)),
]
# fmt: on
