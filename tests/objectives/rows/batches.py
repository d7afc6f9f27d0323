"""Golden rows of the losses that set a pair against its batch, or against those before."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, row, softplus


def beta_dpo(a, b, before, beta, alpha, held):
    return mp.fsum(softplus(held * (lo - w)) for w, lo in zip(a, b, strict=True)) / len(a)


def beta_of_batch(a, b, before, beta, alpha):
    return max(mp.mpf("0.001"), beta + beta * alpha * (mp.fsum(a) - mp.fsum(b) - mp.fsum(before)) / len(a))


def alpha_dpo(w, lo, ref_w, ref_lo, m, n, mean, std, beta, gamma, alpha, held):
    return softplus(held - beta * (w / m - lo / n))


def margin(w, lo, ref_w, ref_lo, m, n, mean, std, beta, gamma, alpha):
    return gamma + alpha * (w / m - lo / n - ref_w / m + ref_lo / n - mean) / std


def aot(w, lo, ref_w, ref_lo, beta):
    gaps = sorted(p - q for p, q in zip(w, lo, strict=True))
    before = sorted(p - q for p, q in zip(ref_w, ref_lo, strict=True))
    return mp.fsum(softplus(beta * (h - g)) for g, h in zip(gaps, before, strict=True)) / len(w)


def aot_unpaired(a, b, beta):
    return mp.fsum(softplus(beta * (y - x)) for x, y in zip(sorted(a), sorted(b), strict=True)) / len(a)


_LOGPS = ("policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps")


RECIPES = {
    "beta_dpo_loss": Recipe(
        beta_dpo,
        ("log_ratio_w", "log_ratio_l", "gap_mean"),
        {"beta": 0.1, "alpha": 0.6},
        held=beta_of_batch,
        couples_rows=True,
    ),
    "alpha_dpo_loss": Recipe(
        alpha_dpo,
        (*_LOGPS, "chosen_lengths", "rejected_lengths", "gap_mean", "gap_std"),
        {"beta": 2.5, "gamma": 0.375, "alpha": 0.125},
        held=margin,
    ),
    "aot_loss": Recipe(aot, _LOGPS, {"beta": 0.01}, couples_rows=True),
    "aot_unpaired_loss": Recipe(aot_unpaired, ("log_ratio_w", "log_ratio_l"), {"beta": 0.01}, couples_rows=True),
}

# fmt: off
ROWS = [
    row("beta_dpo_loss", "a gap of 3 at a mean of 2", ((3.0,), (0.0,), (2.0,)),
        0.48167487439574336, -0.06116034003692016, 0.06116034003692016),
    row("beta_dpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (2.0, 2.0, 2.0)),
        0.8907576905973716, (-0.028787527379572585, -0.0892444694481883, -5.941130503306053e-05),
        (0.028787527379572585, 0.0892444694481883, 5.941130503306053e-05), beta=0.2, alpha=0.1),
    row("beta_dpo_loss", "at the least beta", ((1.0, -4.5, 3.0), (-2.0, 3.0, 5.0), (4.0, 4.0, 4.0)),
        0.6942333993042837, (-0.0001664166668541665, -0.00016729166373699564, -0.0001668333332777778),
        (0.0001664166668541665, 0.00016729166373699564, 0.0001668333332777778)),
    row("beta_dpo_loss", "P as DPO", ((2.0,), (-1.0,), (2.0,)),
        0.5543552444685271, -0.0425557483188341, 0.0425557483188341, alpha=0.0),
    row("beta_dpo_loss", "policy is reference", ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
        0.6931471805599453, (-0.075, -0.075), (0.075, 0.075), beta=0.3),
    row("beta_dpo_loss", "gaps of 800 and -800", ((500.0, -300.0), (-300.0, 500.0), (0.0, 0.0)),
        400.0, (0.0, -0.5), (0.0, 0.5), beta=1.0),
    row("alpha_dpo_loss", "P", (-12.0, -30.0, -14.0, -29.0, 8.0, 15.0, 0.1, 0.2),
        0.5163678688385098, -0.10082903727491078, 0.05377548654661909, beta=2.0, gamma=0.5, alpha=0.1),
    row("alpha_dpo_loss", "a batch", ((-12.0, -45.5, -8.5), (-30.0, -20.0, -21.0), (-14.0, -40.0, -9.0), (-29.0,
        -22.5, -20.5), (8.0, 35.0, 4.0), (15.0, 10.0, 12.0), (0.1, 0.1, 0.1), (0.5, 0.5, 0.5)),
        1.0136773947689064, (-0.14688623382357133, -0.018457355403151667, -0.5490090051668125),
        (0.07833932470590471, 0.06460074391103082, 0.18300300172227082), gamma=1.0, alpha=0.3),
    row("alpha_dpo_loss", "P as SimPO", (-12.0, -30.0, -14.0, -29.0, 8.0, 15.0, 0.1, 0.2),
        0.4740769841801067, -0.09438516719953637, 0.050338755839752725, beta=2.0, gamma=0.5, alpha=0.0),
    row("alpha_dpo_loss", "policy is reference", (-12.5, -30.0, -12.5, -30.0, 10.0, 15.0, 0.0, 1.0),
        0.2014132779827524, -0.04560638095158909, 0.030404253967726058),
    row("alpha_dpo_loss", "z 800 and -800", ((-100.0, -900.0), (-900.0, -100.0), (-100.0, -900.0), (-900.0, -100.0),
        (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (1.0, 1.0)),
        400.0, (-0.0, -1.0), (0.0, 1.0), beta=1.0, gamma=0.0),
    row("aot_loss", "P", ((-12.0,), (-30.0,), (-14.0,), (-29.0,)),
        0.5543552444685271, -0.0425557483188341, 0.0425557483188341, beta=0.1),
    row("aot_loss", "a batch", ((-12.0, -45.5, -8.5), (-30.0, -20.0, -21.0), (-14.0, -40.0, -9.0), (-29.0, -22.5,
        -20.5)),
        0.7001221080556336, (-0.001641668541497932, -0.001733297800518606, -0.0016583334027770833),
        (0.001641668541497932, 0.001733297800518606, 0.0016583334027770833)),
    row("aot_loss", "policy is reference", ((-12.5, -9.0), (-30.25, -12.0), (-12.5, -9.0), (-30.25, -12.0)),
        0.6931471805599453, (-0.075, -0.075), (0.075, 0.075), beta=0.3),
    row("aot_loss", "z 800 and -800", ((-100.0, -900.0), (-900.0, -100.0), (-900.0, -100.0), (-900.0, -900.0)),
        400.34657359027995, (-0.25, -0.5), (0.25, 0.5), beta=1.0),
    row("aot_unpaired_loss", "P", ((2.0,), (-1.0,)),
        0.5543552444685271, -0.0425557483188341, 0.0425557483188341, beta=0.1),
    row("aot_unpaired_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        0.6616206343770009, (-0.0016833327777999992, -0.001687498914998368, -0.0014594116637140064),
        (0.001687498914998368, 0.0016833327777999992, 0.0014594116637140064)),
    row("aot_unpaired_loss", "policy is reference", ((0.0,), (0.0,)), 0.6931471805599453, -0.15, 0.15, beta=0.3),
    row("aot_unpaired_loss", "800 apart", ((500.0, -300.0, 0.0), (-300.0, -600.0, 800.0)),
        100.0, (-0.3333333333333333, 0.0, 0.0), (0.0, 0.0, 0.3333333333333333), beta=1.0),
]
# fmt: on
