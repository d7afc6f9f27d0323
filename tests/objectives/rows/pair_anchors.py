"""Golden rows of the losses on pairs that hold each answer against an anchor of its own."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def apo_zero(log_ratio_w, log_ratio_l, beta):
    return 1 / (1 + mp.exp(beta * log_ratio_w)) + 1 / (1 + mp.exp(-beta * log_ratio_l))


def nca(log_ratio_w, log_ratio_l, beta):
    return softplus(-beta * log_ratio_w) + softplus(beta * log_ratio_w) / 2 + softplus(beta * log_ratio_l) / 2


def sppo(log_ratio_w, log_ratio_l, beta):
    return (log_ratio_w - 1 / (2 * beta)) ** 2 + (log_ratio_l + 1 / (2 * beta)) ** 2


_TERMS = ("log_ratio_w", "log_ratio_l")


def bco(a, b, delta, beta):
    return softplus(beta * (delta - a)) + softplus(beta * (b - delta))


def cal_dpo(a, b, beta):
    return softplus(b - a) + (a - 1 / (2 * beta)) ** 2 + (b + 1 / (2 * beta)) ** 2


def apo_down(a, b, beta):
    return 1 / (1 + mp.exp(-beta * a)) + 1 / (1 + mp.exp(beta * (a - b)))


RATIOS = ("log_ratio_w", "log_ratio_l")
RECIPES = {
    "apo_zero_loss": Recipe(apo_zero, _TERMS, {"beta": 0.1}),
    "nca_loss": Recipe(nca, _TERMS, {"beta": 0.01}),
    "sppo_loss": Recipe(sppo, _TERMS, {"beta": 0.001}),
    "bco_loss": Recipe(bco, (*RATIOS, "log_ratio_baseline"), {"beta": 0.1}),
    "cal_dpo_loss": Recipe(cal_dpo, RATIOS, {"beta": 0.1}),
    "apo_down_loss": Recipe(apo_down, RATIOS, {"beta": 0.1}),
}

# fmt: off
ROWS = [
    row("apo_zero_loss", "P", (2.0, -1.0),
        0.9251868152085821, -0.024751657271185994, 0.024937604019289197),
    row("apo_zero_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.9267179234496281, (-0.024937604019289197, -0.023775895991112933, -0.004517665973091213),
        (0.024751657271185994, 0.024445831169074585, 0.02350037122015945)),
    row("apo_zero_loss", "policy is reference", (0.0, 0.0),
        1.0, -0.075, 0.075, beta=0.3),
    row("apo_zero_loss", "800 and -800", ((800.0, -800.0), (-800.0, 800.0)),
        1.0, (-0.0, 0.0), (0.0, 0.0), beta=1.0),
    row("nca_loss", "P", (2.0, -1.0),
        1.3194066341091732, -0.017524900403128315, 0.023751040626053002, beta=0.1),
    row("nca_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        1.3750270219377927, (-0.002462500312496875, -0.0026687215292028224, -0.0013833622478251152),
        (0.0024750008333000013, 0.002537497187753102, 0.0025624869824210517)),
    row("nca_loss", "policy is reference", (0.0, 0.0),
        1.3862943611198906, -0.075, 0.075, beta=0.3),
    row("nca_loss", "800 and -800", ((800.0, -800.0), (-800.0, 800.0)),
        800.0, (0.5, -1.0), (0.0, 0.5), beta=1.0),
    row("sppo_loss", "P", (2.0, -1.0),
        25.0, -6.0, 8.0, beta=0.1),
    row("sppo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        493486.4166666667, (-998.0, -1009.0, -940.0), (996.0, 1006.0, 1010.0)),
    row("sppo_loss", "policy is reference", (0.0, 0.0),
        8.0, -4.0, 4.0, beta=0.25),
    row("sppo_loss", "at the targets", (2.0, -2.0),
        0.0, 0.0, 0.0, beta=0.25),
    row("sppo_loss", "800 apart", ((500.0, -300.0), (-300.0, 500.0)),
        340002.0, (998.0, -602.0), (-598.0, 1002.0), beta=0.5),
    row("bco_loss", "P", (2.0, -1.0, 0.5),
        1.2419140955790642, -0.046257015465625044, 0.046257015465625044),
    row("bco_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (0.5, -0.25, 1.0)),
        1.335942366887008,
        (-0.048750260351578964, -0.06046790847140094, -0.005215356307841774),
        (0.04378234991142019, 0.05805423048206596, 0.0598687660112452)),
    row("bco_loss", "policy is reference", (0.0, 0.0, 0.0),
        1.3862943611198906, -0.15, 0.15, beta=0.3),
    row("bco_loss", "800 and -800", ((800.0, -800.0), (-800.0, 800.0), (0.0, 0.0)),
        800.0, (0.0, -1.0), (0.0, 1.0), beta=1.0),
    row("cal_dpo_loss", "P", (2.0, -1.0),
        25.048587351573744, -6.047425873177567, 8.047425873177566),
    row("cal_dpo_loss", "a batch", ((1.0, -4.5, 3.0), (-2.0, 3.0, -5.0)),
        63.59982522980733,
        (-8.047425873177566, -19.999447221363077, -4.000335350130467),
        (6.047425873177567, 16.999447221363077, 0.0003353501304664781)),
    row("cal_dpo_loss", "policy is reference", (0.0, 0.0),
        6.248702736115501, -3.8333333333333335, 3.8333333333333335, beta=0.3),
    row("cal_dpo_loss", "800 apart", ((500.0, -300.0), (-300.0, 500.0)),
        340402.0, (998.0, -603.0), (-598.0, 1003.0), beta=0.5),
    row("apo_down_loss", "P", (2.0, -1.0),
        0.9753914805008189, 0.00030582610211140753, 0.024445831169074585),
    row("apo_down_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        1.015836147579043,
        (0.0004917728502146099, 0.0019863966149315294, -0.0024927056814196026),
        (0.024445831169074585, 0.021789499376181402, 0.007010371654510816)),
    row("apo_down_loss", "policy is reference", (0.0, 0.0),
        1.0, 0.0, 0.075, beta=0.3),
    row("apo_down_loss", "800 and -800", ((800.0, -800.0), (-800.0, 800.0)),
        1.0, (0.0, 0.0), (0.0, 0.0), beta=1.0),
]
# fmt: on
