"""Golden rows of the losses on lists; an entry is a tuple with one number per answer."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def plackett_luce(logps, ref_logps, beta):
    s = [beta * (p - r) for p, r in zip(logps, ref_logps, strict=True)]
    return -mp.fsum(s[k] - mp.log(mp.fsum(map(mp.exp, s[k:]))) for k in range(len(s) - 1))


def d2o(logps, refs, beta, alpha):
    *own, bad = [p - r for p, r in zip(logps, refs, strict=True)]
    return softplus(alpha * bad - beta * mp.fsum(own) / len(own))


RECIPES = {
    "plackett_luce_loss": Recipe(
        plackett_luce,
        ("policy_list_logps", "ref_list_logps"),
        {"beta": 0.1},
        lists=("policy_list_logps", "ref_list_logps"),
    ),
    "d2o_loss": Recipe(
        d2o,
        ("policy_list_logps", "ref_list_logps"),
        {"beta": 0.1, "alpha": 0.1},
        lists=("policy_list_logps", "ref_list_logps"),
    ),
}

# fmt: off
ROWS = [
    row("plackett_luce_loss", "s 0.7, -0.2 and 0.4", ((7.0, -2.0, 4.0), (0.0, 0.0, 0.0)),
        1.801740114649875, (-0.053431794548298626, -0.04563241117735101, 0.09906420572564963)),
    row("plackett_luce_loss", "two answers at P", ((-12.0, -30.0), (-14.0, -29.0)),
        0.5543552444685271, (-0.0425557483188341, 0.0425557483188341)),
    row("plackett_luce_loss", "two lists of four", (((-12.0, -30.0, -8.5, -21.0), (-40.0, -22.5, -31.0, -18.0)),
        ((-14.0, -29.0, -9.0, -20.5), (-35.0, -23.0, -33.0, -19.25))),
        4.483464200473092, ((-0.24772975825676352, -0.33010101405025827, 0.17090582167900717, 0.4069249506280146),
        (-0.49310515809550537, -0.2827849913909089, 0.25617747681100295, 0.5197126726754113)), beta=0.5),
    row("plackett_luce_loss", "policy is reference", ((-12.5, -30.25, -9.0), (-12.5, -30.25, -9.0)),
        1.791759469228055, (-0.2, -0.05, 0.25), beta=0.3),
    row("plackett_luce_loss", "z 800 and -800", (((500.0, -300.0), (-300.0, 500.0)), ((0.0, 0.0), (0.0, 0.0))),
        400.0, ((0.0, 0.0), (-1.0, 1.0)), beta=1.0),
    row("d2o_loss", "P", ((-12.0, -30.0), (-14.0, -29.0)),
        0.5543552444685271, (-0.0425557483188341, 0.0425557483188341)),
    row("d2o_loss", "two lists of four", (((-12.0, -30.0, -8.5, -21.0), (-40.0, -22.5, -31.0, -18.0)), ((-14.0,
        -29.0, -9.0, -20.5), (-35.0, -23.0, -33.0, -19.25))),
        0.8072094544687579, ((-0.068897070180445, -0.068897070180445, -0.068897070180445, 0.082676484216534),
        (-0.11012606146096952, -0.11012606146096952, -0.11012606146096952, 0.13215127375316343)), beta=0.5,
        alpha=0.2),
    row("d2o_loss", "policy is reference", ((-12.5, -30.25, -9.0), (-12.5, -30.25, -9.0)),
        0.6931471805599453, (-0.075, -0.075, 0.05), beta=0.3),
    row("d2o_loss", "z 800 and -800", (((500.0, -300.0), (-300.0, 500.0)), ((0.0, 0.0), (0.0, 0.0))),
        400.0, ((-0.0, 0.0), (-1.0, 1.0)), beta=1.0, alpha=1.0),
]
# fmt: on
