"""Golden rows of the published sums of other losses."""

from __future__ import annotations

from .recipe import Recipe, row, softplus


def mpo(a, b, middle, logp, length, beta):
    pair = softplus(beta * (b - a))
    return 8 * pair / 10 + (softplus(beta * (middle - a)) + softplus(beta * (b - middle))) / 5 - logp / length


RECIPES = {
    "mpo_loss": Recipe(
        mpo,
        ("log_ratio_w", "log_ratio_l", "log_ratio_baseline", "chosen_logps", "chosen_lengths"),
        {"beta": 0.1},
        constant=("log_ratio_baseline",),
    ),
}

# fmt: off
ROWS = [
    row("mpo_loss", "P", (2.0, -1.0, 0.5, -12.0, 8.0),
        2.1918670146906347, -0.04329600174819229, 0.04329600174819229, 0.0, -0.125),
    row("mpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (1.5, 1.5, 1.5), (-12.0, -45.5, -8.5), (8.0,
        35.0, 4.0)),
        3.1736997734696195, (-0.12918785961112234, -0.48606646471823306, -1.5554151934951171e-06),
        (0.08777492932571149, 0.45872692195352904, 0.08519677085254473), (0.0, 0.0, 0.0), (-0.125,
        -0.02857142857142857, -0.25), beta=0.5),
    row("mpo_loss", "policy is reference", (0.0, 0.0, 0.0, -12.0, 8.0),
        2.3317766166719345, -0.15, 0.15, 0.0, -0.125, beta=0.3),
    row("mpo_loss", "800 and -800", ((800.0, -800.0), (-800.0, 800.0), (0.0, 0.0), (-12.0, -12.0), (8.0, 8.0)),
        801.5, (0.0, -1.0), (0.0, 1.0), (0.0, 0.0), (-0.125, -0.125), beta=1.0),
]
# fmt: on
