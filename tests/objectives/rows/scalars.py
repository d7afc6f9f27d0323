"""Golden rows of the two sigmoids."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus

RECIPES = {
    "sigmoid": Recipe(lambda x: 1 / (1 + mp.exp(-x)), ("x",)),
    "log_sigmoid": Recipe(lambda x: -softplus(-x), ("x",)),
}

# fmt: off
ROWS = [
    # The sheet's clipped sigmoid stops at 7e-218 for -1000; the truth, 5e-435, is 0 in float64.
    row("sigmoid", "0", (0.0,), 0.5, 0.25),
    row("sigmoid", "-3.5", (-3.5,), 0.02931223075135632, 0.02845302387973556),
    row("sigmoid", "0.25", (0.25,), 0.5621765008857981, 0.24613408273759835),
    row("sigmoid", "40", (40.0,), 1.0, 4.248354255291589e-18),
    row("sigmoid", "-40", (-40.0,), 4.248354255291589e-18, 4.248354255291589e-18),
    row("sigmoid", "800", (800.0,), 1.0, 0.0),
    row("sigmoid", "-800", (-800.0,), 0.0, 0.0),
    row("sigmoid", "-1000", (-1000.0,), 0.0, 0.0),
    row("log_sigmoid", "0", (0.0,), -0.6931471805599453, 0.5),
    row("log_sigmoid", "-3.5", (-3.5,), -3.5297504182726205, 0.9706877692486436),
    row("log_sigmoid", "0.25", (0.25,), -0.5759394198788436, 0.4378234991142019),
    row("log_sigmoid", "40", (40.0,), -4.248354255291589e-18, 4.248354255291589e-18),
    row("log_sigmoid", "800", (800.0,), 0.0, 0.0),
    row("log_sigmoid", "-800", (-800.0,), -800.0, 1.0),
]
# fmt: on
