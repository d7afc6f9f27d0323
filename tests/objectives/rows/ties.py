"""Golden rows of the losses on pairs that may be ties."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def rao_kupper(a, b, is_tie, beta, tie_margin):
    z = beta * (a - b)
    win = softplus(tie_margin - z)
    return win + softplus(tie_margin + z) - mp.log(mp.expm1(2 * tie_margin)) if is_tie else win


def davidson(a, b, is_tie, beta, nu):
    z = beta * (a - b)
    even = 2 * nu * mp.exp(z / 2)
    return mp.log((mp.exp(z) + 1 + even) / (even if is_tie else mp.exp(z)))


RATIOS = ("log_ratio_w", "log_ratio_l")
RECIPES = {
    "rao_kupper_loss": Recipe(rao_kupper, (*RATIOS, "is_tie"), {"beta": 0.1, "tie_margin": 1.0986122886681098}),
    "davidson_loss": Recipe(davidson, (*RATIOS, "is_tie"), {"beta": 0.1, "nu": 1.0}),
}

# fmt: off
ROWS = [
    row("rao_kupper_loss", "P with the margin 0.5", (2.0, -1.0, False),
        0.7981388693815918, -0.054983399731247794, 0.054983399731247794, tie_margin=0.5),
    row("rao_kupper_loss", "P", (2.0, -1.0, False),
        1.1701433865453146, -0.06896775579876295, 0.06896775579876295),
    row("rao_kupper_loss", "P tied", (2.0, -1.0, True),
        0.710006207947378, 0.011228602939387307, -0.011228602939387307),
    row("rao_kupper_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (True, False, True)),
        1.8546780900218736,
        (0.014014048381513454, -0.07772998611746912, 0.08333712048003157),
        (-0.014014048381513454, 0.07772998611746912, -0.08333712048003157), tie_margin=0.5),
    row("rao_kupper_loss", "policy is reference", ((0.0, 0.0), (0.0, 0.0), (False, True)),
        1.0397207708399179, (-0.225, 0.0), (0.225, 0.0), beta=0.3),
    row("rao_kupper_loss", "z 800 and -800", ((500.0, -300.0, 500.0, -300.0), (-300.0, 500.0, -300.0, 500.0),
        (False, False, True, True)),
        599.7842384456611, (-0.0, -1.0, 1.0, -1.0), (0.0, 1.0, -1.0, 1.0), beta=1.0),
    row("davidson_loss", "P", (2.0, -1.0, False),
        1.2419140955790642, -0.046257015465625044, 0.046257015465625044),
    row("davidson_loss", "P tied", (2.0, -1.0, True),
        0.6987669150191188, 0.003742984534374955, -0.003742984534374955),
    row("davidson_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (True, False, True)),
        1.3966093355940983,
        (0.0049813409452982805, -0.062215683618549074, 0.03353506669437872),
        (-0.0049813409452982805, 0.062215683618549074, -0.03353506669437872), nu=0.5),
    row("davidson_loss", "policy is reference", ((0.0, 0.0), (0.0, 0.0), (False, True)),
        1.0397207708399179, (-0.15, 0.0), (0.15, 0.0), beta=0.3),
    row("davidson_loss", "800 and -800", ((800.0, -800.0, 800.0, -800.0), (-800.0, 800.0, -800.0, 800.0),
        (False, False, True, True)),
        799.6534264097200, (0.0, -1.0, 0.5, -0.5), (0.0, 1.0, -0.5, 0.5), beta=1.0),
]
# fmt: on
