"""Golden rows of the losses on pairs that count tokens."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def simpo(w, lo, m, n, beta, gamma):
    return softplus(gamma - beta * (w / m - lo / n))


def orpo(w, lo, m, n, lambda_):
    p, q = mp.exp(w / m), mp.exp(lo / n)
    return -w / m + lambda_ * mp.log1p(q / (1 - q) * (1 - p) / p)


def r_dpo(w, lo, ref_w, ref_lo, m, n, beta, alpha):
    return softplus(-beta * ((w - ref_w) - (lo - ref_lo)) - alpha * (m - n))


LOGPS = ("chosen_logps", "rejected_logps", "chosen_lengths", "rejected_lengths")
RECIPES = {
    "simpo_loss": Recipe(simpo, LOGPS, {"beta": 2.0, "gamma": 0.5}),
    "orpo_loss": Recipe(orpo, LOGPS, {"lambda_": 0.1}),
    "r_dpo_loss": Recipe(
        r_dpo,
        ("policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps", *LOGPS[2:]),
        {"beta": 0.1, "alpha": 0.05},
    ),
}

# fmt: off
ROWS = [
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
    row("r_dpo_loss", "P", (-12.0, -30.0, -14.0, -29.0, 8.0, 15.0),
        0.7184596480132863, -0.051249739648421035, 0.051249739648421035),
    row("r_dpo_loss", "a penalty the other way", (-12.0, -30.0, -14.0, -29.0, 8.0, 15.0),
        0.053562776217963175, -0.02607678153920887, 0.02607678153920887, beta=0.5, alpha=-0.2),
    row("r_dpo_loss", "policy is reference", (-12.5, -30.25, -12.5, -30.25, 9.0, 9.0),
        0.6931471805599453, -0.15, 0.15, beta=0.3),
    row("r_dpo_loss", "z 0 away from reference", (-10.0, -20.0, -12.0, -18.0, 4.0, 12.0),
        0.6931471805599453, -0.25, 0.25, beta=0.5, alpha=0.25),
    row("r_dpo_loss", "z 800 and -800", ((-100.0, -900.0), (-900.0, -100.0), (-100.0, -100.0), (-100.0, -100.0),
        (7.0, 7.0), (7.0, 7.0)), 400.0, (0.0, -1.0), (0.0, 1.0), beta=1.0),
]
# fmt: on
