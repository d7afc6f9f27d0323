"""Golden rows of the losses that weigh pairs by sums over the whole vocabulary."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def wpo(w, lo, ref_w, ref_lo, m, n, collision_w, collision_lo, beta, held):
    return held * softplus(beta * (lo - ref_lo) - beta * (w - ref_w))


def wpo_weight(w, lo, ref_w, ref_lo, m, n, collision_w, collision_lo, beta):
    return min(mp.mpf(1), mp.exp(w / m - collision_w) * mp.exp(lo / n - collision_lo))


def mallowspo(a, b, entropy_w, entropy_lo, beta, dispersion):
    return softplus(beta * dispersion * mp.log((entropy_w + entropy_lo) / 2) * (a - b))


RECIPES = {
    "wpo_loss": Recipe(
        wpo,
        (
            "policy_chosen_logps",
            "policy_rejected_logps",
            "ref_chosen_logps",
            "ref_rejected_logps",
            "chosen_lengths",
            "rejected_lengths",
            "chosen_mean_log_collision",
            "rejected_mean_log_collision",
        ),
        {"beta": 0.01},
        held=wpo_weight,
    ),
    "mallowspo_loss": Recipe(
        mallowspo,
        ("log_ratio_w", "log_ratio_l", "ref_chosen_mean_entropy", "ref_rejected_mean_entropy"),
        {"beta": 0.1, "dispersion": 0.29},
    ),
}

# fmt: off
ROWS = [
    row("wpo_loss", "P", (-12.0, -30.0, -14.0, -29.0, 8.0, 15.0, -1.25, -1.5),
        0.3203871851766464, -0.0023264079290722427, 0.0023264079290722427),
    row("wpo_loss", "a batch", ((-12.0, -45.5, -8.5), (-30.0, -20.0, -21.0), (-14.0, -40.0, -9.0), (-29.0, -22.5,
        -20.5), (8.0, 35.0, 4.0), (15.0, 10.0, 12.0), (-1.0, -1.25, -2.0), (-2.0, -1.5, -1.5)),
        0.9220873986369513, (-0.05532333665134601, -0.2832863349766972, -0.12973982698626935), (0.05532333665134601,
        0.2832863349766972, 0.12973982698626935), beta=0.5),
    row("wpo_loss", "at the largest weight", (-12.0, -30.0, -14.0, -29.0, 8.0, 15.0, -3.0, -1.5),
        0.6782596763414485, -0.004925005624493796, 0.004925005624493796),
    row("wpo_loss", "policy is reference", (-12.5, -30.0, -12.5, -30.0, 10.0, 15.0, -1.0, -1.75),
        0.4204150167029755, -0.09097959895689502, 0.09097959895689502, beta=0.3),
    row("wpo_loss", "z 800 and -800", ((-100.0, -900.0), (-900.0, -100.0), (-100.0, -100.0), (-100.0, -100.0),
        (50.0, 600.0), (600.0, 50.0), (-2.0, -1.5), (-1.5, -2.0)),
        400.0, (-0.0, -1.0), (0.0, 1.0), beta=1.0),
    row("mallowspo_loss", "P", (2.0, -1.0, 0.1, 0.3), 0.625585370441236, -0.021705688227386548, 0.021705688227386548),
    row("mallowspo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (0.05, 0.3, 0.6), (0.15, 0.25, 0.8)),
        1.6305680956152795, (-0.035291065520082064, -0.6404341690194367, -0.0020415859954015696),
        (0.035291065520082064, 0.6404341690194367, 0.0020415859954015696), beta=0.5, dispersion=1.0),
    row("mallowspo_loss", "policy is reference", (0.0, 0.0, 0.2, 0.3),
        0.6931471805599453, -0.06030380470871524, 0.06030380470871524, beta=0.3),
    row("mallowspo_loss", "gaps of 800 and -800", ((500.0, -300.0), (-300.0, 500.0), (0.2, 0.2), (0.3, 0.3)),
        1109.0354888959125, (-0.0, -2.772588722239781), (0.0, 2.772588722239781), beta=1.0, dispersion=2.0),
]
# fmt: on
