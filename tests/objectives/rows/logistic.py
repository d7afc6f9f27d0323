"""Golden rows of the logistic losses on pairs."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def dpo(w, lo, ref_w, ref_lo, beta, label_smoothing=0):
    z = beta * ((w - ref_w) - (lo - ref_lo))
    return (1 - label_smoothing) * softplus(-z) + label_smoothing * softplus(z)


def dr_dpo(ratios_w, ratios_l, beta, beta_prime):
    likelihoods = [
        (1 + mp.exp(-beta * (w - lo))) ** (-1 / beta_prime) for w, lo in zip(ratios_w, ratios_l, strict=True)
    ]
    return -beta_prime * mp.log(mp.fsum(likelihoods) / len(likelihoods))


def robust_dpo(a, b, beta, label_smoothing):
    return softplus(-beta * (a - b)) - label_smoothing / (1 - 2 * label_smoothing) * beta * (a - b)


def soft_dpo(a, b, p, beta):
    return p * softplus(-beta * (a - b)) + (1 - p) * softplus(beta * (a - b))


def geometric_dpo(a, b, p, beta):
    return softplus(-beta * (2 * p - 1) * (a - b))


def focal_dpo(a, b, beta, focus):
    return mp.exp(-focus * softplus(-beta * (a - b))) * softplus(-beta * (a - b))


RATIOS = ("log_ratio_w", "log_ratio_l")
RECIPES = {
    "dpo_loss": Recipe(
        dpo, ("policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps"), {"beta": 0.1}
    ),
    "dr_dpo_loss": Recipe(dr_dpo, ("log_ratio_w", "log_ratio_l"), {"beta": 0.1, "beta_prime": 1.0}, couples_rows=True),
    "robust_dpo_loss": Recipe(robust_dpo, RATIOS, {"beta": 0.1, "label_smoothing": 0.1}),
    "soft_dpo_loss": Recipe(soft_dpo, (*RATIOS, "preference_probs"), {"beta": 0.1}),
    "geometric_dpo_loss": Recipe(geometric_dpo, (*RATIOS, "preference_probs"), {"beta": 0.1}),
    "focal_dpo_loss": Recipe(focal_dpo, RATIOS, {"beta": 0.1, "focus": 0.05}),
}

# fmt: off
ROWS = [
    row("dpo_loss", "G1", (-10.5, -12.25, -11.0, -11.5), 0.6325990353171691, -0.04687906266262437, 0.04687906266262437),
    row("dpo_loss", "G2", ((-20.0, -35.5, -7.25), (-22.0, -30.0, -7.5), (-21.0, -36.0, -8.0), (-21.5, -33.0, -6.0)),
        0.6779528232393598, (-0.046257015465625044, -0.05621765008857981, -0.04439861094553801),
        (0.046257015465625044, 0.05621765008857981, 0.04439861094553801)),
    row("dpo_loss", "G3", ((-120.5, -80.0), (-60.25, -310.0), (-100.0, -95.0), (-90.0, -140.0)),
        12.562500000006128, (-0.49999999999387196, -3.363027574822354e-41),
        (0.49999999999387196, 3.363027574822354e-41), beta=0.5),
    row("dpo_loss", "P", (-12.0, -30.0, -14.0, -29.0), 0.5543552444685271, -0.0425557483188341, 0.0425557483188341),
    row("dpo_loss", "P smoothed", (-12.0, -30.0, -14.0, -29.0),
        0.5843552444685272, -0.0325557483188341, 0.0325557483188341, label_smoothing=0.1),
    row("dpo_loss", "policy is reference", (-12.5, -30.25, -12.5, -30.25), 0.6931471805599453, -0.15, 0.15, beta=0.3),
    row("dpo_loss", "policy is reference smoothed", (-12.5, -30.25, -12.5, -30.25),
        0.6931471805599453, -0.03, 0.03, label_smoothing=0.2),
    row("dpo_loss", "z 0 away from reference", (-10.0, -20.0, -12.0, -22.0), 0.6931471805599453, -0.25, 0.25, beta=0.5),
    row("dpo_loss", "z 40", (-10.0, -90.0, -10.0, -10.0),
        4.248354255291589e-18, -2.1241771276457944e-18, 2.1241771276457944e-18, beta=0.5),
    row("dpo_loss", "z 800 and -800", ((-100.0, -900.0), (-900.0, -100.0), (-100.0, -100.0), (-100.0, -100.0)),
        400.0, (0.0, -1.0), (0.0, 1.0), beta=1.0),
    row("dpo_loss", "z 800 and -800 smoothed", ((-100.0, -900.0), (-900.0, -100.0), (-100.0, -100.0), (-100.0, -100.0)),
        400.0, (0.25, -0.75), (-0.25, 0.75), beta=1.0, label_smoothing=0.25),
    row("dr_dpo_loss", "P", (2.0, -1.0), 0.5543552444685271, -0.0425557483188341, 0.0425557483188341),
    row("dr_dpo_loss", "z 0.3, -1 and 2", ((3.0, -10.0, 20.0), (0.0, 0.0, 0.0)),
        0.5538601241661356, (-0.014178227773047607, -0.01140320716901395, -0.006089475781224561),
        (0.014178227773047607, 0.01140320716901395, 0.006089475781224561)),
    row("dr_dpo_loss", "nearly the mean", ((3.0, -10.0, 20.0), (0.0, 0.0, 0.0)),
        0.6647279862911427, (-0.014186815190891997, -0.024352820540370176, -0.00397556821973937),
        (0.014186815190891997, 0.024352820540370176, 0.00397556821973937), beta_prime=1000.0),
    row("dr_dpo_loss", "policy is reference", ((0.0, 0.0), (0.0, 0.0)),
        0.6931471805599453, (-0.075, -0.075), (0.075, 0.075), beta=0.3, beta_prime=0.25),
    row("dr_dpo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        0.6931471805599453, (0.0, 0.0), (0.0, 0.0), beta=1.0),
    row("robust_dpo_loss", "P", (2.0, -1.0),
        0.5168552444685272, -0.0550557483188341, 0.0550557483188341),
    row("robust_dpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.2483719949586589,
        (-0.0925557483188341, -0.1179178699175393, -0.05758581800212435),
        (0.0925557483188341, 0.1179178699175393, 0.05758581800212435), label_smoothing=0.25),
    row("robust_dpo_loss", "policy is reference", (0.0, 0.0),
        0.6931471805599453, -0.1875, 0.1875, beta=0.3),
    row("robust_dpo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        400.0, (-0.125, -1.125), (0.125, 1.125), beta=1.0),
    row("soft_dpo_loss", "P", (2.0, -1.0, 0.9),
        0.5843552444685272, -0.0325557483188341, 0.0325557483188341),
    row("soft_dpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (0.75, 0.5, 1.0)),
        0.49003866162532556,
        (-0.0175557483188341, -0.017917869917539297, -0.007585818002124355),
        (0.0175557483188341, 0.017917869917539297, 0.007585818002124355)),
    row("soft_dpo_loss", "policy is reference", (0.0, 0.0, 0.8),
        0.6931471805599453, -0.09, 0.09, beta=0.3),
    row("soft_dpo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0), (0.75, 0.75)),
        400.0, (0.25, -0.75), (-0.25, 0.75), beta=1.0),
    row("geometric_dpo_loss", "P", (2.0, -1.0, 0.9),
        0.5803299666264259, -0.03522290805862457, 0.03522290805862457),
    row("geometric_dpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (0.75, 0.5, 1.0)),
        0.4643313208806757,
        (-0.023128507732812522, 0.0, -0.007585818002124355),
        (0.023128507732812522, 0.0, 0.007585818002124355)),
    row("geometric_dpo_loss", "policy is reference", (0.0, 0.0, 0.8),
        0.6931471805599453, -0.09, 0.09, beta=0.3),
    row("geometric_dpo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0), (0.75, 0.75)),
        200.0, (-9.575847983570028e-175, -0.5), (9.575847983570028e-175, 0.5), beta=1.0),
    row("focal_dpo_loss", "P", (2.0, -1.0),
        0.5392007521440187, -0.04024509087987192, 0.04024509087987192),
    row("focal_dpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.379977161830117,
        (-0.02331380229520865, -0.016602036501728843, -0.007004772386726936),
        (0.02331380229520865, 0.016602036501728843, 0.007004772386726936), focus=0.5),
    row("focal_dpo_loss", "policy is reference", (0.0, 0.0),
        0.6695360429946806, -0.13986892901626674, 0.13986892901626674, beta=0.3),
    row("focal_dpo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        1.6993417021166357e-15, (-0.0, 1.6568581595637197e-16), (0.0, -1.6568581595637197e-16), beta=1.0),
]
# fmt: on
