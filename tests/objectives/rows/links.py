"""Golden rows of the losses on pairs with another link than the logistic one."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row


def ipo(log_ratio_w, log_ratio_l, beta):
    return (log_ratio_w - log_ratio_l - 1 / (2 * beta)) ** 2


def hinge(log_ratio_w, log_ratio_l, beta):
    return max(mp.mpf(0), 1 - beta * (log_ratio_w - log_ratio_l))


def squared_hinge(log_ratio_w, log_ratio_l, beta):
    return max(mp.mpf(0), 1 - beta * (log_ratio_w - log_ratio_l)) ** 2


def savage(log_ratio_w, log_ratio_l, beta):
    return 1 / (1 + mp.exp(beta * (log_ratio_w - log_ratio_l))) ** 2


RECIPES = {
    "ipo_loss": Recipe(ipo, ("log_ratio_w", "log_ratio_l"), {"beta": 0.1}),
    "hinge_loss": Recipe(hinge, ("log_ratio_w", "log_ratio_l"), {"beta": 0.05}),
    "squared_hinge_loss": Recipe(squared_hinge, ("log_ratio_w", "log_ratio_l"), {"beta": 0.1}),
    "savage_loss": Recipe(savage, ("log_ratio_w", "log_ratio_l"), {"beta": 0.1}),
}

# fmt: off
ROWS = [
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
    row("hinge_loss", "P", (2.0, -1.0), 0.85, -0.05, 0.05),
    row("hinge_loss", "on both sides of the margin", ((1.0, 15.0, 30.0), (-2.0, -4.75, 5.0)),
        0.2875, (-0.05, -0.05, 0.0), (0.05, 0.05, 0.0)),
    row("hinge_loss", "policy is reference", (0.0, 0.0), 1.0, -0.3, 0.3, beta=0.3),
    row("hinge_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)), 400.5, (0.0, -1.0), (0.0, 1.0), beta=1.0),
    row("squared_hinge_loss", "P", (2.0, -1.0),
        0.49, -0.14, 0.14),
    row("squared_hinge_loss", "on both sides of the margin", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        1.1841666666666666, (-0.14, -0.35, 0.0), (0.14, 0.35, 0.0)),
    row("squared_hinge_loss", "policy is reference", (0.0, 0.0),
        1.0, -0.6, 0.6, beta=0.3),
    row("squared_hinge_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        320800.5, (0.0, -1602.0), (0.0, 1602.0), beta=1.0),
    row("savage_loss", "P", (2.0, -1.0),
        0.18109917149759513, -0.020806212773516963, 0.020806212773516963),
    row("savage_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.21604578012910317, (-0.020806212773516963, -0.029597927683995842, -0.001063588069967409),
        (0.020806212773516963, 0.029597927683995842, 0.001063588069967409)),
    row("savage_loss", "policy is reference", (0.0, 0.0),
        0.25, -0.075, 0.075, beta=0.3),
    row("savage_loss", "z 40", (30.0, -10.0),
        1.804851387845415e-35, -3.60970277569083e-35, 3.60970277569083e-35, beta=1.0),
    row("savage_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        0.5, (-0.0, 0.0), (0.0, 0.0), beta=1.0),
]
# fmt: on
