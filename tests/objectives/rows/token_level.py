"""Golden rows of the losses that know more of an answer than its summed log-prob."""

from __future__ import annotations

from .recipe import Recipe, row, softplus


def tdpo(ratio_w, ratio_l, kl_w, kl_l, beta, alpha):
    return softplus(-beta * (ratio_w - ratio_l - alpha * (kl_l - kl_w)))


def tdpo1(ratio_w, ratio_l, kl_w, kl_l, beta):
    return softplus(-beta * (ratio_w + kl_w - ratio_l - kl_l))


def tis_dpo(ratio_w, ratio_l, kl_w, kl_l, beta):
    return softplus(beta * (ratio_l - kl_l) - beta * (ratio_w - kl_w))


def ld_dpo(w, lo, ref_w, ref_lo, near_w, near_lo, ref_near_w, ref_near_lo, beta, alpha):
    def score(full, near):
        return near + alpha * (full - near)

    chosen = score(w, near_w) - score(ref_w, ref_near_w)
    return softplus(-beta * (chosen - score(lo, near_lo) + score(ref_lo, ref_near_lo)))


def sampo(a, b, beta):
    return softplus(beta * (b - a))


_WHOLE = ("policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
_SHARED = tuple(name.replace("_logps", "_shared_logps") for name in _WHOLE)
RECIPES = {
    "tdpo_loss": Recipe(
        tdpo,
        ("log_ratio_w", "log_ratio_l", "chosen_sequence_kl", "rejected_sequence_kl"),
        {"beta": 0.1, "alpha": 0.5},
        constant=("chosen_sequence_kl",),
    ),
    "tdpo1_loss": Recipe(
        tdpo1, ("log_ratio_w", "log_ratio_l", "chosen_sequence_kl", "rejected_sequence_kl"), {"beta": 0.1}
    ),
    "tis_dpo_loss": Recipe(
        tis_dpo,
        ("weighted_log_ratio_w", "weighted_log_ratio_l", "chosen_weighted_kl", "rejected_weighted_kl"),
        {"beta": 0.1},
    ),
    "ld_dpo_loss": Recipe(
        ld_dpo,
        (*_WHOLE, *_SHARED),
        {"beta": 0.1, "alpha": 0.5},
        constant=("ref_chosen_logps", "ref_rejected_logps"),
    ),
    "sampo_loss": Recipe(sampo, ("sampled_log_ratio_w", "sampled_log_ratio_l"), {"beta": 0.1}),
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
    row("tdpo1_loss", "P", (2.0, -1.0, 0.4, 0.7),
        0.5672321351223193, -0.043290709503454566, 0.043290709503454566, -0.043290709503454566,
        0.043290709503454566),
    row("tdpo1_loss", "a batch", ((2.0, -3.5), (-1.0, 4.0), (0.4, 3.0), (0.7, 0.25)),
        1.347224018419407, (-0.10293518590047367, -0.45745047749648987), (0.10293518590047367, 0.45745047749648987),
        (-0.10293518590047367, -0.45745047749648987), (0.10293518590047367, 0.45745047749648987), beta=0.5),
    row("tdpo1_loss", "policy is reference", (0.0, 0.0, 0.0, 0.0),
        0.6931471805599453, -0.15, 0.15, -0.15, 0.15, beta=0.3),
    row("tdpo1_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0), (2.0, 2.0), (2.0, 2.0)),
        400.0, (-0.0, -1.0), (0.0, 1.0), (-0.0, -1.0), (0.0, 1.0), beta=1.0),
    row("tis_dpo_loss", "P", (2.0, -1.0, 0.7, 0.4),
        0.5672321351223193, -0.043290709503454566, 0.043290709503454566, 0.043290709503454566,
        -0.043290709503454566),
    row("tis_dpo_loss", "a batch", ((2.0, -3.5), (-1.0, 4.0), (0.4, 3.0), (0.7, 0.25)),
        2.6533015228955246, (-0.08055447478829261, -0.4970444655718781), (0.08055447478829261, 0.4970444655718781),
        (0.08055447478829261, 0.4970444655718781), (-0.08055447478829261, -0.4970444655718781), beta=0.5),
    row("tis_dpo_loss", "policy is reference", (0.0, 0.0, 0.0, 0.0),
        0.6931471805599453, -0.15, 0.15, 0.15, -0.15, beta=0.3),
    row("tis_dpo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0), (2.0, 2.0), (2.0, 2.0)),
        400.0, (-0.0, -1.0), (0.0, 1.0), (0.0, 1.0), (-0.0, -1.0), beta=1.0),
    row("ld_dpo_loss", "P", (-12.0, -30.0, -14.0, -29.0, -12.0, -16.0, -14.0, -15.5),
        0.5650706676896001, -0.021584000826087597, 0.021584000826087597, 0.0, 0.0, -0.021584000826087597,
        0.021584000826087597),
    row("ld_dpo_loss", "a batch", ((-12.0, -45.5, -8.5), (-30.0, -20.0, -21.0), (-14.0, -40.0, -9.0), (-29.0, -22.5,
        -20.5), (-12.0, -11.0, -8.5), (-16.0, -20.0, -12.25), (-14.0, -9.5, -9.0), (-15.5, -22.5, -12.0)),
        1.1092486611116703, (-0.026508600544638168, -0.11551772749734456, -0.04997645509247438),
        (0.026508600544638168, 0.11551772749734456, 0.04997645509247438), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0),
        (-0.0795258016339145, -0.34655318249203365, -0.14992936527742315), (0.0795258016339145, 0.34655318249203365,
        0.14992936527742315), beta=0.5, alpha=0.25),
    row("ld_dpo_loss", "P as DPO", (-12.0, -30.0, -14.0, -29.0, -12.0, -16.0, -14.0, -15.5),
        0.5543552444685271, -0.0425557483188341, 0.0425557483188341, 0.0, 0.0, 0.0, 0.0, alpha=1.0),
    row("ld_dpo_loss", "policy is reference", (-12.5, -30.25, -12.5, -30.25, -12.5, -17.0, -12.5, -17.0),
        0.6931471805599453, -0.075, 0.075, 0.0, 0.0, -0.075, 0.075, beta=0.3),
    row("ld_dpo_loss", "z 800 and -800", ((-100.0, -900.0), (-900.0, -100.0), (-100.0, -100.0), (-100.0, -100.0),
        (-100.0, -900.0), (-900.0, -100.0), (-100.0, -100.0), (-100.0, -100.0)),
        400.0, (-0.0, -0.5), (0.0, 0.5), (0.0, 0.0), (0.0, 0.0), (-0.0, -0.5), (0.0, 0.5), beta=1.0),
    row("sampo_loss", "P", (2.0, -1.0), 0.5543552444685271, -0.0425557483188341, 0.0425557483188341),
    row("sampo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0)),
        1.3248874896671352, (-0.09121276190317817, -0.4885113150449872, -1.8633196420932807e-06),
        (0.09121276190317817, 0.4885113150449872, 1.8633196420932807e-06), beta=0.5),
    row("sampo_loss", "policy is reference", (0.0, 0.0), 0.6931471805599453, -0.15, 0.15, beta=0.3),
    row("sampo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0)),
        400.0, (-0.0, -1.0), (0.0, 1.0), beta=1.0),
]
# fmt: on
