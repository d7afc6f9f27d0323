"""Golden rows of the losses on pairs that keep the chosen answer up."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def dpo_shift(a, b, beta, rejected_weight):
    return softplus(-beta * (a - rejected_weight * b))


def dpop(a, b, beta, lambda_):
    return softplus(-beta * (a - b - lambda_ * max(mp.mpf(0), -a)))


def minor_dpo(a, b, beta):
    return softplus(-beta * (a - max(mp.mpf(0), b)))


def dpo_nll(w, lo, ref_w, ref_lo, m, beta, alpha):
    return softplus(-beta * (w - ref_w - lo + ref_lo)) - alpha * w / m


RATIOS = ("log_ratio_w", "log_ratio_l")
RECIPES = {
    "dpo_shift_loss": Recipe(dpo_shift, RATIOS, {"beta": 0.1, "rejected_weight": 0.75}),
    "dpop_loss": Recipe(dpop, RATIOS, {"beta": 0.3, "lambda_": 50.0}),
    "minor_dpo_loss": Recipe(minor_dpo, RATIOS, {"beta": 0.1}),
    "dpo_nll_loss": Recipe(
        dpo_nll,
        ("policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps", "chosen_lengths"),
        {"beta": 0.1, "alpha": 1.0},
    ),
}

# fmt: off
ROWS = [
    row("dpo_shift_loss", "P", (2.0, -1.0),
        0.5650706676896001, -0.04316800165217519, 0.03237600123913139),
    row("dpo_shift_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.565864802956892,
        (-0.04501660026875221, -0.06456563062257954, -0.006008665017400762),
        (0.022508300134376106, 0.03228281531128977, 0.003004332508700381), rejected_weight=0.5),
    row("dpo_shift_loss", "policy is reference", (0.0, 0.0),
        0.6931471805599453, -0.15, 0.1125, beta=0.3),
    row("dpo_shift_loss", "z 800 and -800", ((900.0, -300.0), (-300.0, 500.0)),
        337.5, (0.0, -1.0), (0.0, 0.75), beta=1.0),
    row("dpop_loss", "P", (2.0, -1.0),
        0.3411538747320878, -0.08671514921249882, 0.08671514921249882),
    row("dpop_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        1.106327025532587,
        (-0.08671514921249882, -0.4270808383861754, -0.00016583359107707986),
        (0.08671514921249882, 0.28472055892411696, 0.00016583359107707986), lambda_=0.5),
    row("dpop_loss", "z 0", (1.5, 1.5),
        0.6931471805599453, -0.15, 0.15, beta=0.3),
    row("dpop_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        550.0, (-0.0, -2.0), (0.0, 1.0), beta=1.0, lambda_=1.0),
    row("dpop_loss", "chosen fell", ((-1.0, -0.02), (-3.0, 1.0)),
        7.720683280712934, (-15.299991471932104, -9.899525476872402), (0.2999998327829824, 0.19410834268377256)),
    row("minor_dpo_loss", "P", (2.0, -1.0),
        0.5981388693815919, -0.04501660026875221, 0.0),
    row("minor_dpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.6200524668270068,
        (-0.047502081252106004, -0.0679178699175393, -0.007585818002124355),
        (0.0, 0.0679178699175393, 0.007585818002124355)),
    row("minor_dpo_loss", "z 0", (1.5, 1.5),
        0.6931471805599453, -0.15, 0.15, beta=0.3),
    row("minor_dpo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        400.0, (-7.124576406741286e-218, -1.0), (0.0, 1.0), beta=1.0),
    row("minor_dpo_loss", "rejected above the reference", ((1.0, -0.5), (2.0, 0.25)),
        0.737873400450183, (-0.052497918747894, -0.051874121587853525), (0.052497918747894, 0.051874121587853525)),
    row("dpo_nll_loss", "P", (-12.0, -30.0, -14.0, -29.0, 8.0),
        2.054355244468527, -0.1675557483188341, 0.0425557483188341),
    row("dpo_nll_loss", "a batch", ((-20.0, -35.5, -7.25), (-22.0, -30.0, -7.5),
        (-21.0, -36.0, -8.0), (-21.5, -33.0, -6.0), (8.0, 12.0, 3.0)),
        1.2029528232393598,
        (-0.07125701546562505, -0.07288431675524648, -0.11106527761220467),
        (0.046257015465625044, 0.05621765008857981, 0.04439861094553801), alpha=0.2),
    row("dpo_nll_loss", "policy is reference", (-12.5, -30.25, -12.5, -30.25, 5.0),
        3.1931471805599454, -0.35, 0.15, beta=0.3),
    row("dpo_nll_loss", "z 800 and -800", ((-100.0, -900.0), (-900.0, -100.0),
        (-100.0, -100.0), (-100.0, -100.0), (7.0, 7.0)),
        471.42857142857144, (-0.14285714285714285, -1.1428571428571428), (0.0, 1.0), beta=1.0),
]
# fmt: on
