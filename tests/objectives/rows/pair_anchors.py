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
RECIPES = {
    "apo_zero_loss": Recipe(apo_zero, _TERMS, {"beta": 0.1}),
    "nca_loss": Recipe(nca, _TERMS, {"beta": 0.01}),
    "sppo_loss": Recipe(sppo, _TERMS, {"beta": 0.001}),
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
]
# fmt: on
