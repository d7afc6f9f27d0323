"""The oracle against numbers from outside itself: the audited sheet, 40-digit arithmetic, identities, bad input."""

from __future__ import annotations

import math
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant import numpy as oracle
from penchant.errors import InputError

close = partial(pytest.approx, rel=1e-12, abs=1e-12)
precise = partial(pytest.approx, rel=1e-12, abs=1e-300)  # relative also for the tiniest slopes

# --- the study sheet's golden numbers, from its code and from mpmath -------------------------------------------------

G2 = ([-20, -35.5, -7.25], [-22, -30, -7.5], [-21, -36, -8], [-21.5, -33, -6])
G3 = ([-120.5, -80], [-60.25, -310], [-100, -95], [-90, -140])
K1, K2, K3 = ([1.5, -2, 0.25], [1, 0, 1]), ([1.5, -2, 0.25, 4], [1, 0, 0, 1], 0.75), ([-30, 45.5], [1, 0], 2.5, 0.5)
paper_kto = partial(oracle.kto_loss, value_function="sigmoid")

SHEET = [
    (oracle.sigmoid, (-3.5,), 0.0293122307513563),
    (oracle.sigmoid, (0.25,), 0.562176500885798),
    (oracle.sigmoid, (-1000,), 7.12457640674128e-218),
    (oracle.log_sigmoid, (-3.5,), -3.52975041827262),
    (oracle.log_sigmoid, (40,), -4.24835425529159e-18),
    (oracle.log_sigmoid, (-800,), -800),
    (oracle.dpo_loss, (-10.5, -12.25, -11, -11.5), 0.632599035317169),
    (oracle.dpo_loss, (*G2, 0.1), 0.677952823239360),
    (oracle.dpo_loss, (*G3, 0.5), 12.5625000000061),
    (oracle.ipo_loss, (0.5, -0.75), 14.0625),
    (oracle.ipo_loss, ([1, 0.5, 0.75], [-0.5, 3, -1.5], 0.1), 25.3541666666667),
    (oracle.ipo_loss, ([-20.5, 15], [29.75, -170], 0.5), 18241.28125),
    (oracle.kto_loss, K1, 0.633273740232216),
    (oracle.kto_loss, K2, 0.608418265126965),
    (oracle.kto_loss, K3, 18.8750000440512),
    (paper_kto, K1, 0.468828827614754),
    (paper_kto, K2, 0.454974774834587),
    (paper_kto, K3, 0.999999955948810),
    (oracle.simpo_loss, (-12, -30, 8, 15), 0.474076984180107),
    (oracle.simpo_loss, ([-12, -45.5], [-30, -20], [8, 35], [15, 10]), 0.407615429456097),
    (oracle.simpo_loss, ([-100, -6], [-90, -64], [50, 3], [30, 16], 10, 5), 0.00335782719569589),
]


@pytest.mark.parametrize(("function", "inputs", "expected"), SHEET)
def test_sheet_golden(function, inputs, expected):
    result = function(*inputs)
    assert isinstance(result, float)
    assert result == close(expected)


def test_log_sigmoid_keeps_relative_precision_in_the_right_tail():
    assert oracle.log_sigmoid(40) == pytest.approx(-4.24835425529159e-18, rel=1e-14)


def test_sheet_gradient_g1():
    assert oracle.dpo_grad(-10.5, -12.25, -11, -11.5) == close((-0.0468790626626244, 0.0468790626626244))


def test_keyword_names_are_the_sheets():
    assert oracle.dpo_loss(
        logp_chosen=-10.5, logp_rejected=-12.25, logp_ref_chosen=-11, logp_ref_rejected=-11.5, beta=0.1
    ) == close(0.632599035317169)
    assert oracle.ipo_loss(log_ratio_w=0.5, log_ratio_l=-0.75, beta=0.1) == 14.0625
    assert oracle.kto_loss(log_ratio=0.0, is_desirable=True, z_ref=0.0, beta=0.1) == close(math.log(2))
    lengths = {"chosen_lengths": 8, "rejected_lengths": 15}
    pair = {"chosen_logps": -12, "rejected_logps": -30} | lengths
    assert oracle.simpo_loss(**pair, beta=2.0, gamma=0.5) == close(0.474076984180107)
    assert oracle.orpo_loss(**pair, lambda_=0.1) == close(1.54349888068705)


# --- the test point P: pw=-12, pl=-30, rw=-14, rl=-29, m=8, n=15; numbers as printed in the catalogue ---------------

P4, P_LENGTHS = (-12, -30, -14, -29), (-12, -30, 8, 15)
P_ROWS = [
    (oracle.dpo_loss, oracle.dpo_grad, P4, {}, "0.554355244468527", "-0.04255574832", "0.04255574832"),
    (
        *(oracle.dpo_loss, oracle.dpo_grad, P4, {"label_smoothing": 0.1}),
        *("0.584355244468527", "-0.03255574832", "0.03255574832"),
    ),
    (oracle.ipo_loss, oracle.ipo_grad, (2, -1), {}, "4", "-4", "4"),
    (
        *(oracle.simpo_loss, oracle.simpo_grad, P_LENGTHS, {}),
        *("0.474076984180107", "-0.0943851672", "0.05033875584"),
    ),
    (
        *(oracle.orpo_loss, oracle.orpo_grad, P_LENGTHS, {}),
        *("1.54349888068705", "-0.1306754695", "0.002719575045"),
    ),
]


def printed(text: str):
    """A printed number with a tolerance of half a unit in its last place."""
    decimals = len(text.partition(".")[2])
    return pytest.approx(float(text), rel=1e-14, abs=0.5001 * 10.0**-decimals if decimals else 1e-12)


@pytest.mark.parametrize(("loss", "grad", "inputs", "options", "value", "by_chosen", "by_rejected"), P_ROWS)
def test_point_p(loss, grad, inputs, options, value, by_chosen, by_rejected):
    assert loss(*inputs, **options) == printed(value)
    slopes = grad(*inputs, **options)
    assert slopes.chosen == printed(by_chosen)
    assert slopes.rejected == printed(by_rejected)


def test_point_p_ipo_on_mean_log_ratios():
    assert oracle.ipo_loss(2 / 8, -1 / 15) == printed("21.9336111111111")
    slopes = oracle.ipo_grad(2 / 8, -1 / 15)
    assert slopes.chosen / 8 == printed("-1.170833333")
    assert slopes.rejected / 15 == printed("0.6244444444")


@pytest.mark.parametrize(
    ("form", "value", "slope"),
    [("sigmoid", "0.925140309312501", "0.02485990067"), ("log_sigmoid", "1.24191409557906", "0.04625701547")],
)
def test_point_p_kto_and_bco(form, value, slope):
    inputs = ([2, -1], [True, False], 0.5)
    assert oracle.kto_loss(*inputs, value_function=form, reduction="sum") == printed(value)
    good, bad = oracle.kto_grad(*inputs, value_function=form).log_ratio
    assert -good == printed(slope)
    assert bad == printed(slope)


# --- values and derivatives against 40-digit arithmetic -------------------------------------------------------------


def mp_softplus(x):
    """log(1 + e^x), written so that e^x far below 1 is not lost beside the 1."""
    return mp.log1p(mp.exp(x))


def mp_dpo(pw, pl, rw, rl, beta=0.1, eps=0.0):
    z = mp.mpf(beta) * ((pw - rw) - (pl - rl))
    return (1 - mp.mpf(eps)) * mp_softplus(-z) + mp.mpf(eps) * mp_softplus(z)


def mp_ipo(a, b, beta=0.1):
    return (a - b - 1 / (2 * mp.mpf(beta))) ** 2


def mp_simpo(pw, pl, m, n, beta=2.0, gamma=0.5):
    return mp_softplus(gamma - mp.mpf(beta) * (pw / m - pl / n))


def mp_orpo(pw, pl, m, n, lam=0.1):
    w, lo = pw / m, pl / n
    # odds_l / odds_w with 1 - P as a plain numerator: analytic through P_w = 1
    return -w + mp.mpf(lam) * mp.log1p(mp.exp(lo - w) * mp.expm1(w) / mp.expm1(lo))


def mp_kto(r, label, z_ref=0.0, beta=0.1, form="log_sigmoid", good=1.0, bad=1.0):
    u = (1 if label else -1) * mp.mpf(beta) * (r - mp.mpf(z_ref))
    value = mp_softplus(-u) if form == "log_sigmoid" else 1 / (1 + mp.exp(u))
    return (mp.mpf(good) if label else mp.mpf(bad)) * value


def slope_at(formula, inputs, which):
    """Derivative by input number ``which``, numerically, with 40 digits to spare."""
    with mp.workdps(80):
        exact = [mp.mpf(x) for x in inputs]
        return float(mp.diff(lambda x: formula(*[x if i == which else v for i, v in enumerate(exact)]), exact[which]))


def value_at(formula, inputs):
    with mp.workdps(40):
        return float(formula(*[mp.mpf(x) for x in inputs]))


PAIR_POINTS = [
    (oracle.dpo_loss, oracle.dpo_grad, mp_dpo, [
        (-12, -30, -14, -29, 0.1), (-12.5, -30.25, -12.5, -30.25, 0.3), (-10.5, -12.25, -11, -11.5, 0.5),
        (-100, -900, -100, -100, 1.0), (-900, -100, -100, -100, 1.0), (-410, -30, -10, -30, 2.0),
    ]),
    (oracle.ipo_loss, oracle.ipo_grad, mp_ipo, [
        (2, -1, 0.1), (0, 0, 0.1), (6.5, 1, 0.1), (-500, 300, 0.05), (-20.5, 29.75, 5.0),
    ]),
    (oracle.simpo_loss, oracle.simpo_grad, mp_simpo, [
        (-12, -30, 8, 15, 2.0, 0.5), (-4, -8, 4, 4, 2.0, 2.0), (-90, -400, 1, 1, 2.0, -180.0),
        (-500, -100, 1, 1, 2.0, 0.0), (-3, -7, 1, 100, 10.0, 5.0),
    ]),
    (oracle.orpo_loss, oracle.orpo_grad, mp_orpo, [
        (-12, -30, 8, 15, 0.1), (-16, -14, 8, 7, 1.0), (-8e-12, -30, 8, 15, 0.1), (-1e-12, -1e-12, 1, 1, 0.5),
        (0.0, -30, 8, 15, 0.1), (0.0, -1e-9, 1, 1, 0.1), (-12, -1e-12, 8, 1, 0.1), (-1e-300, -2, 1, 1, 0.1),
        (-800, -0.5, 1, 1, 0.1), (-0.5, -700, 1, 1, 0.1), (-2000, -1999, 1, 1, 0.1), (-0.6931, -0.6932, 1, 1, 0.1),
    ]),
]  # fmt: skip
PAIR_ROWS = [(loss, grad, formula, point) for loss, grad, formula, points in PAIR_POINTS for point in points]


@pytest.mark.parametrize(("loss", "grad", "formula", "inputs"), PAIR_ROWS)
def test_pairs_against_mpmath(loss, grad, formula, inputs):
    assert loss(*inputs) == precise(value_at(formula, inputs))
    slopes = grad(*inputs)
    assert slopes.chosen == precise(slope_at(formula, inputs, 0))
    assert slopes.rejected == precise(slope_at(formula, inputs, 1))


@pytest.mark.parametrize("z", [-800.0, -20.0, 0.0, 3.0, 800.0])
@pytest.mark.parametrize("eps", [0.1, 0.49])
def test_smoothed_dpo_against_mpmath(z, eps):
    inputs = (z, 0, 0, 0, 1.0)
    assert oracle.dpo_loss(*inputs, label_smoothing=eps) == precise(value_at(partial(mp_dpo, eps=eps), inputs))
    expected = slope_at(partial(mp_dpo, eps=eps), inputs, 0)
    assert oracle.dpo_grad(*inputs, label_smoothing=eps).chosen == close(expected)


@pytest.mark.parametrize("ratio", [-800.0, -40.0, -2.5, 0.75, 3.0, 40.0, 800.0])
@pytest.mark.parametrize("label", [True, False])
@pytest.mark.parametrize("form", ["log_sigmoid", "sigmoid"])
@pytest.mark.parametrize(("z_ref", "beta"), [(0.75, 0.1), (0.0, 1.0)])
def test_kto_against_mpmath(ratio, label, form, z_ref, beta):
    formula = partial(mp_kto, label=label, z_ref=z_ref, beta=beta, form=form, good=1.25, bad=0.5)
    options = {"value_function": form, "desirable_weight": 1.25, "undesirable_weight": 0.5}
    assert oracle.kto_loss(ratio, label, z_ref, beta, **options) == precise(value_at(formula, (ratio,)))
    slope = oracle.kto_grad(ratio, label, z_ref, beta, **options).log_ratio
    assert slope == precise(slope_at(formula, (ratio,), 0))


@pytest.mark.parametrize("x", [-800.0, -745.0, -37.5, -1e-9, 0.0, 0.3, 37.5, 800.0])
def test_sigmoids_against_mpmath(x):
    assert oracle.sigmoid(x) == pytest.approx(value_at(lambda v: 1 / (1 + mp.exp(-v)), (x,)), rel=1e-14, abs=5e-324)
    assert oracle.log_sigmoid(x) == pytest.approx(value_at(lambda v: -mp_softplus(-v), (x,)), rel=1e-14, abs=5e-324)


def test_orpo_at_probability_one():
    odds = 1 / math.expm1(2.0)
    assert oracle.orpo_loss(0.0, -30, 8, 15) == 0.0
    assert oracle.orpo_grad(0.0, -30, 8, 15) == (precise(-(1 + 0.1 * odds) / 8), 0.0)
    assert oracle.orpo_loss(-12, 0.0, 8, 15) == math.inf
    assert oracle.orpo_grad(-12, 0.0, 8, 15).rejected == math.inf
    assert math.isnan(oracle.orpo_loss(0.0, 0.0, 8, 15))


# --- identities ------------------------------------------------------------------------------------------------------

logps = st.floats(-500, 0)
betas = st.floats(0.01, 10)


@settings(max_examples=60, deadline=None)
@given(logps, logps, logps, logps, betas)
def test_swapping_the_answers_adds_z(w, lo, ref_w, ref_lo, beta):
    z = beta * ((w - ref_w) - (lo - ref_lo))
    swapped, plain = oracle.dpo_loss(lo, w, ref_lo, ref_w, beta), oracle.dpo_loss(w, lo, ref_w, ref_lo, beta)
    assert swapped == close(plain + z)


@settings(max_examples=60, deadline=None)
@given(logps, logps, logps, logps, betas, st.floats(0, 0.49))
def test_label_smoothing_adds_eps_z(w, lo, ref_w, ref_lo, beta, eps):
    z = beta * ((w - ref_w) - (lo - ref_lo))
    smoothed = oracle.dpo_loss(w, lo, ref_w, ref_lo, beta, label_smoothing=eps)
    # for very negative z the two terms nearly cancel, so the scale of the rounding is |z|
    assert smoothed == pytest.approx(oracle.dpo_loss(w, lo, ref_w, ref_lo, beta) + eps * z, rel=1e-12, abs=1e-11)


@settings(max_examples=60, deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0, 5), betas)
def test_default_kto_is_bco(ratio_w, ratio_l, z_ref, beta):
    delta = beta * z_ref
    bco = np.logaddexp(0, delta - beta * ratio_w) + np.logaddexp(0, beta * ratio_l - delta)
    ours = oracle.kto_loss([ratio_w, ratio_l], [1, 0], z_ref, beta, reduction="sum")
    assert ours == pytest.approx(bco, rel=1e-12)
    assert ours >= oracle.dpo_loss(ratio_w, ratio_l, 0, 0, beta) * (1 - 1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), betas)
def test_sheets_one_liner_is_beta_squared_times_ipo(ratio_w, ratio_l, beta):
    one_liner = (beta * (ratio_w - ratio_l) - 0.5) ** 2
    assert one_liner == pytest.approx(beta**2 * oracle.ipo_loss(ratio_w, ratio_l, beta), rel=1e-9, abs=1e-12)


def test_sheets_one_liner_at_the_golden_pair():
    assert 0.1**2 * oracle.ipo_loss(0.5, -0.75, 0.1) == close(0.140625)


@settings(max_examples=60, deadline=None)
@given(logps, logps, betas)
def test_simpo_without_margin_on_equal_lengths_is_dpo_without_reference(w, lo, beta):
    assert oracle.simpo_loss(w, lo, 7, 7, beta, 0.0) == close(oracle.dpo_loss(w, lo, 0, 0, beta / 7))


@pytest.mark.parametrize(
    ("value", "landmark"),
    [
        (oracle.dpo_loss(-9, -9.5, -9, -9.5), math.log(2)),
        (oracle.dpo_loss(-9, -9.5, -9, -9.5, label_smoothing=0.2), math.log(2)),
        (oracle.ipo_loss(0, 0), 25),
        (oracle.kto_loss(0.5, 1, 0.5), math.log(2)),
        (oracle.kto_loss([0, 0], [1, 0], value_function="sigmoid", desirable_weight=3), (3 + 1) / 4),
        (oracle.orpo_loss(-16, -30, 8, 15), 2 + 0.1 * math.log(2)),
        (oracle.dpo_grad(-9, -9.5, -9, -9.5).chosen, -0.05),
        (oracle.ipo_grad(0, 0).chosen, -10),
        (oracle.kto_grad(0.0, 1).log_ratio, -0.05),
        (oracle.kto_grad(0.0, 0, value_function="sigmoid").log_ratio, 0.025),
    ],
)
def test_landmark(value, landmark):
    assert value == close(landmark)


def test_larger_beta_ends_nearer_to_the_reference():
    """Where the chosen answer wins with p = 3/4, the mean slope vanishes at the gap logit(p)/beta."""
    for beta in (0.1, 0.5):
        gap = math.log(3) / beta
        wins, losses = oracle.dpo_grad(gap, 0, 0, 0, beta).chosen, oracle.dpo_grad(0, gap, 0, 0, beta).rejected
        assert 0.75 * wins + 0.25 * losses == pytest.approx(0, abs=1e-15)


# --- shapes, types, reductions ---------------------------------------------------------------------------------------

BATCHES = [
    (oracle.dpo_loss, oracle.dpo_grad, G2),
    (oracle.ipo_loss, oracle.ipo_grad, ([1, 0.5, 0.75], [-0.5, 3, -1.5])),
    (oracle.kto_loss, oracle.kto_grad, ([1.5, -2, 0.25], [1, 0, 1])),
    (oracle.simpo_loss, oracle.simpo_grad, ([-12, -45.5, -3], [-30, -20, -4], [8, 35, 2], [15, 10, 3])),
    (oracle.orpo_loss, oracle.orpo_grad, ([-12, -45.5, -3], [-30, -20, -4], [8, 35, 2], [15, 10, 3])),
]


@pytest.mark.parametrize(("loss", "grad", "inputs"), BATCHES)
def test_batch_is_its_pairs(loss, grad, inputs):
    rows = list(zip(*inputs, strict=True))
    alone = [loss(*row) for row in rows]
    each = loss(*map(np.array, inputs), reduction="none")
    assert isinstance(each, np.ndarray) and each.dtype == np.float64 and each.shape == (3,)
    assert list(each) == precise(alone)
    assert loss(*inputs) == close(math.fsum(alone) / 3)
    assert loss(*inputs, reduction="sum") == close(math.fsum(alone))
    for i, slopes in enumerate(grad(*inputs)):
        assert slopes.shape == (3,)
        assert list(slopes) == precise([grad(*row)[i] for row in rows])


@pytest.mark.parametrize(("loss", "grad", "inputs"), BATCHES)
def test_scalars_serve_every_pair_and_stay_floats_alone(loss, grad, inputs):
    first = [column[0] for column in inputs]
    mixed = [inputs[0], *first[1:]]
    assert loss(*mixed, reduction="none").shape == (3,)
    assert all(slopes.shape == (3,) for slopes in grad(*mixed))
    for reduction in ("none", "mean", "sum"):
        assert type(loss(*first, reduction=reduction)) is float
        assert loss(*first, reduction=reduction) == precise(loss(*first))
    assert all(type(slope) is float for slope in grad(*first))


def test_float32_and_integers_are_computed_in_float64():
    inputs = [np.array(column, dtype=np.float32) for column in G2]
    assert oracle.dpo_loss(*inputs) == close(0.677952823239360)
    assert oracle.dpo_grad(-12, -30, -14, -29, np.float32(0.5)).chosen == close(-0.5 / (1 + math.exp(1.5)))


@pytest.mark.parametrize(
    "labels", [[1, 0, 1], [True, False, True], np.array([1.0, 0.0, 1.0]), np.array([1, 0, 1], "u1")]
)
def test_labels_of_every_type(labels):
    assert oracle.kto_loss([1.5, -2, 0.25], labels) == close(0.633273740232216)


def test_kto_weights_enter_a_mean_over_all_rows():
    ratios, labels = [1.5, -2, 0.25], [1, 0, 1]
    each = oracle.kto_loss(ratios, labels, reduction="none")
    weighted = oracle.kto_loss(ratios, labels, desirable_weight=2, undesirable_weight=0.5)
    assert weighted == close((2 * each[0] + 0.5 * each[1] + 2 * each[2]) / 3)


@pytest.mark.parametrize("loss", [oracle.dpo_loss, partial(oracle.dpo_loss, label_smoothing=0.1)])
def test_non_finite_log_probs_are_not_masked(loss):
    assert math.isnan(loss(math.nan, -1, -1, -1))
    assert math.isnan(loss(-math.inf, -1, -math.inf, -1))
    assert loss(-math.inf, -1, -1, -1) == math.inf
    assert math.isnan(loss([math.nan, -1], -1, -1, -1))
    assert math.isnan(oracle.simpo_loss(-math.inf, -math.inf, 1, 1))
    assert math.isnan(oracle.orpo_loss(math.nan, -1, 1, 1))
    assert oracle.orpo_loss(-math.inf, -1, 1, 1) == math.inf


def test_dpo_at_an_infinite_gap():
    assert oracle.dpo_loss(-1, -math.inf, -1, -1) == 0.0
    assert oracle.dpo_grad(-1, -math.inf, -1, -1) == (0.0, 0.0)


# --- bad input -------------------------------------------------------------------------------------------------------

GOOD = {
    "dpo": {
        "logp_chosen": [-1.0, -2.0],
        "logp_rejected": [-3.0, -1.0],
        "logp_ref_chosen": -2.0,
        "logp_ref_rejected": -2,
    },
    "ipo": {"log_ratio_w": [0.5, 1.0], "log_ratio_l": [-0.5, 2.0]},
    "kto": {"log_ratio": [0.5, 1.0], "is_desirable": [1, 0]},
    "simpo": {
        "chosen_logps": [-9.0, -3.0],
        "rejected_logps": [-8.0, -4.0],
        "chosen_lengths": [3, 2],
        "rejected_lengths": [4, 2],
    },
}
GOOD["orpo"] = GOOD["simpo"]
FIRST = {name: next(iter(inputs)) for name, inputs in GOOD.items()}
BAD = [
    *[(name, {FIRST[name]: [-1.0, -2.0, -3.0]}, r"\(3,\) and \(2,\)") for name in GOOD],
    *[(name, {FIRST[name]: [-1.0]}, r"\(1,\) and \(2,\)") for name in GOOD],
    *[(name, {FIRST[name]: [[-1.0], [-2.0]]}, r"shape \(2, 1\)") for name in GOOD],
    *[(name, {key: [] for key in GOOD[name]}, "empty") for name in GOOD],
    *[(name, {FIRST[name]: [-1.0, None]}, "real numbers") for name in GOOD],
    *[(name, {FIRST[name]: ["-1.0", "-2.0"]}, "real numbers") for name in GOOD],
    *[(name, {FIRST[name]: [True, False]}, "real numbers") for name in GOOD],
    *[(name, {FIRST[name]: [-1.0, [-2.0]]}, "no array") for name in GOOD],
    *[(name, {"beta": bad}, "beta") for name in GOOD if name != "orpo" for bad in (0, -0.1, math.inf, math.nan, [0.1])],
    *[("orpo", {"lambda_": bad}, "lambda_") for bad in (-0.1, math.inf, math.nan)],
    *[("dpo", {"label_smoothing": bad}, "label_smoothing") for bad in (-0.1, 0.5, 1.0, math.nan)],
    *[("kto", {"is_desirable": bad}, "labels") for bad in ([1, 2], [1, -1], [0.5, 1], [math.nan, 1], 2)],
    *[("kto", {"value_function": bad}, "value_function") for bad in ("sigmod", "", None)],
    *[("kto", {key: -1.0}, key) for key in ("desirable_weight", "undesirable_weight")],
    *[(name, {f"{side}_lengths": bad}, f"{side}_lengths must be above 0")
      for name in ("simpo", "orpo") for side in ("chosen", "rejected")
      for bad in (0, [3, 0], [-1, 2], math.nan, math.inf)],
    *[("simpo", {"gamma": bad}, "gamma") for bad in (math.nan, math.inf)],
    *[("orpo", {key: [-1.0, 0.5]}, f"{key} must not") for key in ("chosen_logps", "rejected_logps")],
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "message"), BAD)
@pytest.mark.parametrize("kind", ["loss", "grad"])
def test_bad_input_is_named(name, changes, message, kind):
    function = getattr(oracle, f"{name}_{kind}")
    function(**GOOD[name])  # the fault is in the change alone
    with pytest.raises(InputError, match=message) as caught:
        function(**GOOD[name] | changes)
    assert caught.value.where == f"{name}_{kind}"


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("reduction", ["avg", "", None, "Mean"])
def test_unknown_reduction(name, reduction):
    with pytest.raises(InputError, match="unknown reduction"):
        getattr(oracle, f"{name}_loss")(**GOOD[name], reduction=reduction)


def test_both_shapes_and_names_are_in_the_message():
    with pytest.raises(InputError, match=r"logp_chosen and logp_rejected disagree .*\(4,\) and \(3,\)"):
        oracle.dpo_loss(np.zeros(4), np.zeros(3), 0, 0)


@pytest.mark.parametrize("function", [oracle.sigmoid, oracle.log_sigmoid])
def test_sigmoids_take_any_shape_and_refuse_text(function):
    assert function(np.zeros((2, 3))).shape == (2, 3)
    with pytest.raises(InputError, match="real numbers"):
        function("0")
