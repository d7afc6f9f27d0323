"""Golden rows of the losses on rejected answers."""

from __future__ import annotations

from .recipe import Recipe, row, softplus


def npo(b, beta):
    return 2 / beta * softplus(beta * b)


def simnpo(lo, n, beta, gamma):
    return 2 / beta * softplus(beta * lo / n + gamma)


RECIPES = {
    "npo_loss": Recipe(npo, ("log_ratio_l",), {"beta": 0.1}),
    "simnpo_loss": Recipe(simnpo, ("rejected_logps", "rejected_lengths"), {"beta": 2.5, "gamma": 0.0}),
}

# fmt: off
ROWS = [
    row("npo_loss", "P", (-1.0,),
        12.887933201471418, 0.95004162504212),
    row("npo_loss", "a batch", ((-2.0, 3.0, 5.0),),
        16.17714065353484, (0.9003320053750442, 1.148885033623318, 1.2449186624037092)),
    row("npo_loss", "policy is reference", (0.0,),
        4.620981203732969, 1.0, beta=0.3),
    row("npo_loss", "800 and -800", ((800.0, -800.0),),
        800.0, (2.0, 0.0), beta=1.0),
    row("simnpo_loss", "P", (-30.0, 15.0),
        0.253856022085945, 0.015893722936282342, beta=1.0),
    row("simnpo_loss", "a batch", ((-30.0, -20.0, -3.0), (15.0, 10.0, 30.0)),
        0.22614264255360833, (0.0014649256840790906, 0.002197388526118636, 0.03747843339238654), gamma=0.5),
    row("simnpo_loss", "z 0", (-8.0, 4.0),
        1.3862943611198906, 0.25, beta=1.0, gamma=2.0),
    row("simnpo_loss", "-800", (-800.0, 1.0),
        7.660678386856023e-174, 3.8303391934280114e-174, beta=0.5),
]
# fmt: on
