"""Golden rows of the losses that know more of an answer than its summed log-prob."""

from __future__ import annotations

from .recipe import Recipe, row, softplus


def tdpo(ratio_w, ratio_l, kl_w, kl_l, beta, alpha):
    return softplus(-beta * (ratio_w - ratio_l - alpha * (kl_l - kl_w)))


RECIPES = {
    "tdpo_loss": Recipe(
        tdpo,
        ("log_ratio_w", "log_ratio_l", "chosen_sequence_kl", "rejected_sequence_kl"),
        {"beta": 0.1, "alpha": 0.5},
        constant=("chosen_sequence_kl",),
    ),
}

# fmt: off
ROWS = [
    row("tdpo_loss", "P", (2.0, -1.0, 0.4, 0.7),
        0.5607661285081473, -0.042922838810550826, 0.042922838810550826, 0.0, 0.021461419405275413),
    row("tdpo_loss", "more weight", ((2.0, -3.5), (-1.0, 4.0), (0.4, 3.0), (0.7, 0.25)),
        0.788272077428127, (-0.11573760825049118, -0.36552928931500245), (0.11573760825049118, 0.36552928931500245),
        (0.0, 0.0), (0.23147521650098235, 0.7310585786300049), beta=0.5, alpha=2.0),
    row("tdpo_loss", "policy is reference", (0.0, 0.0, 0.0, 0.0),
        0.6931471805599453, -0.15, 0.15, 0.0, 0.075, beta=0.3),
    row("tdpo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0), (2.0, 2.0), (2.0, 2.0)),
        400.0, (0.0, -1.0), (0.0, 1.0), (0.0, 0.0), (0.0, 0.5), beta=1.0),
]
# fmt: on
