"""Golden rows of the losses on pairs with another link than the logistic one."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, bernoulli_kl, row, softplus


def ipo(log_ratio_w, log_ratio_l, beta):
    return (log_ratio_w - log_ratio_l - 1 / (2 * beta)) ** 2


def hinge(log_ratio_w, log_ratio_l, beta):
    return max(mp.mpf(0), 1 - beta * (log_ratio_w - log_ratio_l))


def squared_hinge(log_ratio_w, log_ratio_l, beta):
    return max(mp.mpf(0), 1 - beta * (log_ratio_w - log_ratio_l)) ** 2


def savage(log_ratio_w, log_ratio_l, beta):
    return 1 / (1 + mp.exp(beta * (log_ratio_w - log_ratio_l))) ** 2


def exponential(a, b, beta):
    return mp.exp(-beta * (a - b))


def discopop(a, b, beta, tau):
    return softplus(-beta * (a - b)) / (1 + mp.exp(beta * (a - b) / tau)) + mp.exp(-beta * (a - b)) / (
        1 + mp.exp(-beta * (a - b) / tau)
    )


def exo(a, b, beta, epsilon):
    return bernoulli_kl(beta * (a - b), mp.log((1 - epsilon) / epsilon))


RATIOS = ("log_ratio_w", "log_ratio_l")
RECIPES = {
    "ipo_loss": Recipe(ipo, ("log_ratio_w", "log_ratio_l"), {"beta": 0.1}),
    "hinge_loss": Recipe(hinge, ("log_ratio_w", "log_ratio_l"), {"beta": 0.05}),
    "squared_hinge_loss": Recipe(squared_hinge, ("log_ratio_w", "log_ratio_l"), {"beta": 0.1}),
    "savage_loss": Recipe(savage, ("log_ratio_w", "log_ratio_l"), {"beta": 0.1}),
    "exponential_loss": Recipe(exponential, RATIOS, {"beta": 0.1}),
    "discopop_loss": Recipe(discopop, RATIOS, {"beta": 0.05, "tau": 0.05}),
    "exo_loss": Recipe(exo, RATIOS, {"beta": 0.1, "epsilon": 0.001}),
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
    row("exponential_loss", "P", (2.0, -1.0),
        0.7408182206817179, -0.0740818220681718, 0.0740818220681718),
    row("exponential_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.9799677453060971,
        (-0.0740818220681718, -0.21170000166126746, -0.00820849986238988),
        (0.0740818220681718, 0.21170000166126746, 0.00820849986238988)),
    row("exponential_loss", "policy is reference", (0.0, 0.0),
        1.0, -0.3, 0.3, beta=0.3),
    row("exponential_loss", "z 80 and -80", ((50.0, -30.0), (-30.0, 50.0)),
        2.770311192196755e+34,
        (-1.8048513878454153e-35, -5.54062238439351e+34),
        (1.8048513878454153e-35, 5.54062238439351e+34), beta=1.0),
    row("exponential_loss", "z 800", (500.0, -300.0),
        0.0, -0.0, 0.0, beta=1.0),
    row("discopop_loss", "P", (2.0, -1.0),
        0.8493375792893855, -0.03126015100599554, 0.03126015100599554),
    row("discopop_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.6872457872397103,
        (-0.025011270680082735, -0.020887851015056493, -0.014257915826549259),
        (0.025011270680082735, 0.020887851015056493, 0.014257915826549259), tau=0.25),
    row("discopop_loss", "policy is reference", (0.0, 0.0),
        0.8465735902799727, 0.23527922916008204, -0.23527922916008204, beta=0.3),
    row("discopop_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        400.0, (-0.0, -1.0), (0.0, 1.0), beta=1.0),
    row("exo_loss", "P", (2.0, -1.0),
        2.25819919150928, -0.16150761189431928, 0.16150761189431928),
    row("exo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.19400567876657582,
        (-0.01952274117832887, -0.04028033631073505, 0.00982424868850087),
        (0.01952274117832887, 0.04028033631073505, -0.00982424868850087), epsilon=0.25),
    row("exo_loss", "policy is reference", (0.0, 0.0),
        2.761230709097915, -0.5180066083986415, 0.5180066083986415, beta=0.3),
    row("exo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        3.4543778896578603, (0.0, 0.0), (0.0, 0.0), beta=1.0),
]
# fmt: on
