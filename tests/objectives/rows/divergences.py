"""Golden rows of the losses on pairs under other divergences."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def f_dpo(a, b, beta, alpha):
    gap = a - b if alpha == 0 else (mp.exp(-alpha * b) - mp.exp(-alpha * a)) / alpha
    return softplus(-beta * gap)


def js_dpo(a, b, beta):
    return softplus(beta * (softplus(-a) - softplus(-b)))


def chi_po(a, b, beta, clip):
    z = beta * (mp.exp(a) + a - mp.exp(b) - b)
    return softplus(-max(-clip, min(clip, z)))


RATIOS = ("log_ratio_w", "log_ratio_l")
RECIPES = {
    "f_dpo_loss": Recipe(f_dpo, RATIOS, {"beta": 0.1, "alpha": 0.5}),
    "js_dpo_loss": Recipe(js_dpo, RATIOS, {"beta": 0.1}),
    "chi_po_loss": Recipe(chi_po, RATIOS, {"beta": 0.05, "clip": 20.0}),
}

# fmt: off
ROWS = [
    row("f_dpo_loss", "P at a quarter", (2.0, -1.0),
        0.566800258153843, -0.026242284579256033, 0.05555491689023956, alpha=0.25),
    row("f_dpo_loss", "P", (2.0, -1.0),
        0.5732434456754528, -0.01605079489321888, 0.07193467204317709),
    row("f_dpo_loss", "a batch", ((1.0, -4.5, 3.0), (-2.0, 3.0, -5.0)),
        0.8633935106707314,
        (-0.024015854218789073, -0.8201860276025993, -0.0018697089652022947),
        (0.1076315913671793, 0.0192889265518076, 0.10208265060042976), alpha=0.5),
    row("f_dpo_loss", "policy is reference", (0.0, 0.0),
        0.6931471805599453, -0.15, 0.15, beta=0.3),
    row("f_dpo_loss", "alpha 0, which is DPO", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.5900386616253256,
        (-0.0425557483188341, -0.0679178699175393, -0.007585818002124355),
        (0.0425557483188341, 0.0679178699175393, 0.007585818002124355), alpha=0.0),
    row("f_dpo_loss", "alpha 1, the forward KL", (2.0, -1.0),
        0.6551533511246564, -0.0019514167245241244, 0.03919525267295524, beta=0.03, alpha=1.0),
    row("f_dpo_loss", "800 apart", (500.0, -300.0),
        0.0, -0.0, 0.0, beta=1.0, alpha=0.01),
    row("js_dpo_loss", "P", (2.0, -1.0),
        0.6355887005576846, -0.0056070240518296685, 0.03438726974255116),
    row("js_dpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.7467799162511137,
        (-0.012230977744874444, -0.06030470784497966, -4.677240491997071e-15),
        (0.040057085307350235, 0.0028917751944279747, 0.00033453018415261117)),
    row("js_dpo_loss", "policy is reference", (0.0, 0.0),
        0.6931471805599453, -0.075, 0.075, beta=0.3),
    row("js_dpo_loss", "800 and -800", ((800.0, -800.0), (-800.0, 800.0)),
        400.0, (0.0, -1.0), (0.0, 0.0), beta=1.0),
    row("chi_po_loss", "P", (2.0, -1.0),
        0.3126926001845496, -0.22526735270799914, 0.03673101918768506, beta=0.1),
    row("chi_po_loss", "a batch", ((1.0, -4.5, 3.0), (-2.0, 3.0, -5.0)),
        0.9021072533166157, (-0.13532394290438304, 0.0, 0.0), (0.041319634749072964, 0.0, 0.0), beta=0.1, clip=2.0),
    row("chi_po_loss", "policy is reference", (0.0, 0.0),
        0.6931471805599453, -0.05, 0.05),
    row("chi_po_loss", "clipped on both sides", ((4.0, -5.0), (-3.0, 4.5)),
        1.1269280110429725, (0.0, 0.0), (0.0, 0.0), beta=0.1, clip=2.0),
    row("chi_po_loss", "z 800", (-1.0, -801.0),
        2.061153620314381e-09, 0.0, 0.0, beta=1.0),
    row("f_dpo_loss", "P at an alpha near 0", (2.0, -1.0),
        0.5543552508518887, -0.04255574017437265, 0.04255575294109661, alpha=1e-07),
    row("f_dpo_loss", "P at a negative alpha", (2.0, -1.0),
        0.5041057475364682, -0.1076315913671793, 0.024015854218789073, alpha=-0.5),
    row("f_dpo_loss", "a rejected answer far up", (-20.0, 800.0),
        7295552.1263700565, -6565996.913733051, 0.0, alpha=0.9),
]
# fmt: on
