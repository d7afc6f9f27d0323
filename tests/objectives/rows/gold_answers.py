"""Golden rows of the losses that compare two answers and imitate a third."""

from __future__ import annotations

from .recipe import Recipe, row, softplus


def tpo(w, lo, gold, length, beta, alpha):
    return softplus(beta * (lo - w)) - alpha * gold / length


def tpo_l(w, lo, m, n, gold, length, beta, gamma, alpha):
    return softplus(gamma - beta * w / m + beta * lo / n) - alpha * gold / length


RECIPES = {
    "tpo_loss": Recipe(
        tpo, ("chosen_logps", "rejected_logps", "gold_logps", "gold_lengths"), {"beta": 0.01, "alpha": 1.0}
    ),
    "tpo_l_loss": Recipe(
        tpo_l,
        ("chosen_logps", "rejected_logps", "chosen_lengths", "rejected_lengths", "gold_logps", "gold_lengths"),
        {"beta": 2.0, "gamma": 0.5, "alpha": 1.0},
        constant=("chosen_lengths", "rejected_lengths"),
    ),
}

# fmt: off
ROWS = [
    row("tpo_loss", "P", (-12.0, -30.0, -10.0, 8.0),
        1.402977610526074, -0.014185106490048779, 0.014185106490048779, -0.125, beta=0.1),
    row("tpo_loss", "a batch", ((-12.0, -45.5, -8.5), (-30.0, -20.0, -21.0), (-10.0, -33.0, -2.5), (8.0, 30.0, 4.0)),
        1.1853480461921821, (-0.004551211076264199, -0.005634067862621936, -0.004687906266262438),
        (0.004551211076264199, 0.005634067862621936, 0.004687906266262438), (-0.0625, -0.016666666666666666,
        -0.125), alpha=0.5),
    row("tpo_loss", "z 0", (-16.0, -16.0, -10.0, 8.0), 1.9431471805599454, -0.005, 0.005, -0.125),
    row("tpo_loss", "z 800 and -800", ((-100.0, -900.0), (-900.0, -100.0), (-10.0, -10.0), (5.0, 5.0)),
        402.0, (0.0, -1.0), (0.0, 1.0), (-0.2, -0.2), beta=1.0),
    row("tpo_l_loss", "P", (-12.0, -30.0, 8.0, 15.0, -10.0, 8.0),
        1.7240769841801067, -0.09438516719953637, 0.050338755839752725, 0.0, 0.0, -0.125),
    row("tpo_l_loss", "a batch", ((-12.0, -45.5, -8.5), (-30.0, -20.0, -21.0), (8.0, 35.0, 4.0), (15.0, 10.0, 12.0),
        (-10.0, -33.0, -2.5), (8.0, 30.0, 4.0)),
        2.7945827112122124, (-0.14900365252764694, -0.00513891713202616, -2.4970762243373614), (0.0794686146814117,
        0.01798620996209156, 0.832358741445787), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (-0.0625, -0.016666666666666666,
        -0.125), beta=10.0, gamma=3.0, alpha=0.5),
    row("tpo_l_loss", "z 0", (-4.0, -8.0, 4.0, 4.0, -10.0, 8.0),
        1.9431471805599454, -0.25, 0.25, 0.0, 0.0, -0.125, gamma=2.0),
    row("tpo_l_loss", "z 800 and -800", ((-100.0, -500.0), (-500.0, -100.0), (1.0, 1.0), (1.0, 1.0), (-10.0, -10.0),
        (5.0, 5.0)),
        402.0, (0.0, -2.0), (0.0, 2.0), (0.0, 0.0), (0.0, 0.0), (-0.2, -0.2), gamma=0.0),
]
# fmt: on
