"""Laws of the whole catalogue: where policy and reference agree, shifts, signs, bounds, convexity, limits, identities.

A draw of Hypothesis is a seed and constants; each is tried on 200 rows at once. The slopes are the oracle's closed
forms, which are proven against autograd elsewhere.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from objectives.cases import OBJECTIVES, cloud

import penchant
from penchant import get_method
from penchant import numpy as oracle
from penchant.objectives import METHODS

random = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def words(text):
    return text.split()


seeds = st.integers(0, 2**32 - 1)
betas = st.floats(0.01, 10)
shares = st.floats(0, 0.49)
NAMES = {objective.name: objective for objective in OBJECTIVES}
LN2 = math.log(2)


def ratios(seed, scale=30.0, count=200):
    return np.random.default_rng(seed).normal(0, scale, (2, count))


def near(expected, rel=1e-12, floor=1e-13):
    return pytest.approx(np.asarray(expected), rel=rel, abs=floor)


# --- I1: policy = reference ------------------------------------------------------------------------------------------

LANDMARKS = {
    **dict.fromkeys(
        words(
            "dpo dr_dpo robust_dpo soft_dpo geometric_dpo ln_dpo dpo_shift dpop minor_dpo tdpo tdpo1 tis_dpo "
            "ld_dpo sampo mallowspo f_dpo js_dpo chi_po aot aot_unpaired beta_dpo d2o"
        ),
        lambda c: LN2,
    ),
    **dict.fromkeys(["hinge", "squared_hinge", "exponential", "apo_zero", "apo_down"], lambda c: 1.0),
    **dict.fromkeys(["bco", "nca", "nca_list"], lambda c: 2 * LN2),
    "focal_dpo": lambda c: LN2 / 2 ** c["focus"],
    "ipo": lambda c: 1 / (4 * c["beta"] ** 2),
    "savage": lambda c: 0.25,
    "sppo": lambda c: 1 / (2 * c["beta"] ** 2),
    "cal_dpo": lambda c: LN2 + 1 / (2 * c["beta"] ** 2),
    "exo": lambda c: -LN2 - math.log(c["epsilon"] * (1 - c["epsilon"])) / 2,
    "discopop": lambda c: (1 + LN2) / 2,
    "npo": lambda c: 2 * LN2 / c["beta"],
    "kto": lambda c: 0.5 * (c["desirable_weight"] if c["value_function"] == "sigmoid" else 2 * LN2),
    "plackett_luce": lambda c: math.log(24),
    "info_nca": lambda c: math.log(4),
}
"""The loss of a batch on which policy and reference agree; lists have four answers."""


def at_the_reference(objective):
    """The cloud with the policy in the reference's place, and what is a divergence or a running mean at 0."""
    columns = dict(zip(objective.terms, cloud(objective), strict=True))
    for name in columns:
        if "log_ratio" in name or name.endswith("_kl") or name in ("z_ref", "gap_mean"):
            columns[name] = np.zeros_like(columns[name])
        elif name.replace("policy_", "ref_") in columns and name.startswith("policy_"):
            columns[name] = columns[name.replace("policy_", "ref_")]
    return list(columns.values())


@pytest.mark.parametrize("name", LANDMARKS)
def test_where_policy_is_reference(name):
    objective = NAMES[name]
    for constants in ({}, {"beta": 0.3}):
        given = METHODS[name].with_constants(constants)
        found = objective.loss(*at_the_reference(objective), **given)
        assert found == near(LANDMARKS[name](given), rel=1e-14), constants


# --- I2: shifts ------------------------------------------------------------------------------------------------------

BY_DIFFERENCE = set(
    words(
        "dpo dr_dpo robust_dpo soft_dpo geometric_dpo focal_dpo odpo modpo rebel reward_aware rao_kupper "
        "davidson r_dpo ipo hinge squared_hinge savage exponential discopop exo sampo wpo mallowspo beta_dpo "
        "aot tdpo1 tdpo tis_dpo tpo ld_dpo"
    )
)
"""Pairs of which only the difference of log-ratios counts: both may fall together."""
BY_DIFFERENCE_PER_TOKEN = {"simpo", "ln_dpo", "repo", "alpha_dpo", "tpo_l"}


def pair_slopes(name, **constants):
    objective = NAMES[name]
    columns = cloud(objective)
    return objective.true_slopes(*columns, **constants)[:2], dict(zip(objective.terms, columns, strict=True))


@pytest.mark.parametrize("name", [name for name, m in METHODS.items() if m.data == "pairs" and name in NAMES])
def test_who_knows_only_differences(name):
    if name in ("npo", "simnpo"):
        pytest.skip("knows the rejected answer alone")
    (by_w, by_l), columns = pair_slopes(name)
    assert np.array_equal(by_w, -by_l) == (name in BY_DIFFERENCE)
    if "chosen_lengths" in columns and "rejected_lengths" in columns:
        m, n = columns["chosen_lengths"], columns["rejected_lengths"]
        balanced = np.allclose(m * by_w, -n * by_l, rtol=1e-13, atol=1e-300)
        assert balanced == (name in BY_DIFFERENCE_PER_TOKEN or (name in BY_DIFFERENCE and np.array_equal(m, n)))


# --- I3 to I7: identities --------------------------------------------------------------------------------------------


def dpo(a, b, beta, **options):
    return penchant.dpo_loss(a, b, 0.0, 0.0, beta, reduction="none", **options)


def each(name, *columns, **constants):
    return NAMES[name].loss(*columns, **constants, reduction="none")


@random
@given(seed=seeds, beta=betas, eps=shares)
def test_labels_swapped_or_in_doubt(seed, beta, eps):
    a, b = ratios(seed)
    z = beta * (a - b)
    plain, swapped = dpo(a, b, beta), dpo(b, a, beta)
    floor = 1e-13 * (1 + np.abs(z).max())
    assert swapped - plain == near(z, floor=floor)
    assert dpo(a, b, beta, label_smoothing=eps) == near(plain + eps * z, floor=floor)
    robust = [each("robust_dpo", *pair, beta, eps) for pair in ((a, b), (b, a))]
    assert robust[0] == near(plain - eps / (1 - 2 * eps) * z, floor=50 * floor)
    assert (1 - eps) * robust[0] + eps * robust[1] == near(plain, rel=1e-11, floor=50 * floor)
    slopes = [oracle.robust_dpo_grad(*pair, beta, eps).chosen for pair in ((a, b), (b, a))]
    unbiased = (1 - eps) * slopes[0] - eps * slopes[1]
    assert unbiased == near(oracle.dpo_grad(a, b, 0.0, 0.0, beta).chosen, floor=1e-12 * beta / (1 - 2 * eps))


@random
@given(seed=seeds, eps=st.floats(0.01, 0.49))
def test_conservative_and_exact_are_the_two_divergences(seed, eps):
    a, b = ratios(seed, 3.0)
    q, p = 1 - eps, 1 / (1 + np.exp(b - a))
    forward = q * np.log(q / p) + eps * np.log(eps / (1 - p))
    reverse = p * np.log(p / q) + (1 - p) * np.log((1 - p) / eps)
    entropy = -q * math.log(q) - eps * math.log(eps)
    assert dpo(a, b, 1.0, label_smoothing=eps) - entropy == near(forward, rel=1e-9, floor=1e-12)
    assert each("exo", a, b, 1.0, eps) == near(reverse, rel=1e-9, floor=1e-12)
    best = math.log(q / eps)
    assert each("exo", [best], [0.0], 1.0, eps)[0] == pytest.approx(0, abs=1e-15)


@random
@given(seed=seeds, beta=betas)
def test_losses_made_of_others(seed, beta):
    a, b = ratios(seed)
    z, true = beta * (a - b), np.ones(200, dtype=bool)
    floor = 1e-12 * (1 + np.abs(z).max())
    bco = each("bco", a, b, np.full(200, 0.7), beta)
    good, bad = (each("kto", r, true == label, 0.7, beta) for r, label in ((a, True), (b, False)))
    assert good + bad == near(bco, floor=floor)
    assert (bco >= dpo(a, b, beta) * (1 - 1e-13)).all()
    sppo = each("sppo", a, b, beta)
    assert sppo == near(((a - b - 1 / beta) ** 2 + (a + b) ** 2) / 2, rel=1e-10)
    assert each("cal_dpo", a, b, beta) == near(dpo(a, b, 1.0) + sppo, rel=1e-11)
    paper = [each("kto", r, true == label, 0.0, beta, value_function="sigmoid") for r, label in ((a, True), (b, False))]
    assert each("apo_zero", a, b, beta) == near(sum(paper))
    nca = 1.5 * dpo(a, 0 * a, beta) + beta * a / 2 + 0.5 * dpo(0 * b, b, beta)
    assert each("nca", a, b, beta) == near(nca, floor=floor)
    assert each("mpo", a, b, np.full(200, 0.7), -np.ones(200), np.ones(200), beta) == near(
        0.8 * dpo(a, b, beta) + 0.2 * bco + 1.0
    )


def test_mpo_is_the_sum_that_its_name_stands_for():
    columns = dict(zip(NAMES["mpo"].terms, cloud(NAMES["mpo"]), strict=True))
    zero = np.zeros(200)
    rows = columns | {"policy_chosen_logps": columns["log_ratio_w"], "policy_rejected_logps": columns["log_ratio_l"]}
    rows |= {"ref_chosen_logps": zero, "ref_rejected_logps": zero}
    mix = get_method("0.8*dpo + 0.2*bco + nll")
    assert penchant.mpo_loss(**columns) == near(mix.loss(**{name: rows[name] for name in mix.inputs}))


# --- I8: limits ------------------------------------------------------------------------------------------------------


@random
@given(seed=seeds, beta=betas)
def test_what_becomes_dpo(seed, beta):
    rng = np.random.default_rng(seed)
    a, b = ratios(seed)
    m, n = rng.integers(1, 60, (2, 200))
    zero, one = np.zeros(200), np.ones(200)
    plain = dpo(a, b, beta)
    floor = 1e-12 * (1 + np.abs(beta * (a - b)).max())
    kl = rng.uniform(0, 5, (2, 200))
    pairs = np.stack([a, b], -1)
    same = {
        "odpo": each("odpo", a, b, one + one, one, beta, 0.0),
        "modpo": each("modpo", a, b, zero, beta),
        "r_dpo": each("r_dpo", a, b, zero, zero, m, n, beta, 0.0),
        "ld_dpo": each("ld_dpo", a, b, zero, zero, a / 2, b / 3, zero, zero, beta, 1.0),
        "sampo": each("sampo", a, b, beta),
        "tdpo": each("tdpo", a, b, *kl, beta, 0.0),
        "tis_dpo": each("tis_dpo", a, b, zero, zero, beta),
        "focal_dpo": each("focal_dpo", a, b, beta, 0.0),
        "dpop": each("dpop", np.abs(a), b, beta) - dpo(np.abs(a), b, beta) + plain,
        "mallowspo": each("mallowspo", a, b, zero + 0.2, zero + 0.3, beta, -1 / math.log(0.25)),
        "dpo_shift": each("dpo_shift", a, b, beta, 1.0),
        "soft_dpo": each("soft_dpo", a, b, one, beta),
        "f_dpo": each("f_dpo", a, b, beta, 0.0),
        "plackett_luce": each("plackett_luce", pairs, 0 * pairs, beta),
        "info_nca": each("info_nca", pairs, 0 * pairs, np.stack([one, zero], -1), beta, 1e-3),
        "d2o": each("d2o", pairs, 0 * pairs, beta, beta),
    }
    for name, losses in same.items():
        assert losses == near(plain, rel=1e-11, floor=floor), name
    alone = [
        (name, NAMES[name].loss(a[:1], b[:1], *rest, beta)) for name, rest in (("dr_dpo", ()), ("aot_unpaired", ()))
    ]
    alone += [("aot", penchant.aot_loss(a[:1], b[:1], zero[:1], zero[:1], beta))]
    alone += [("beta_dpo", penchant.beta_dpo_loss(a[:1], b[:1], zero[:1], beta, 0.0))]
    for name, loss in alone:
        assert loss == near(plain[0], rel=1e-11, floor=floor), name


@random
@given(seed=seeds, beta=st.floats(0.01, 1), eta=st.floats(0.1, 3))
def test_reward_awares_default_is_soft_dpo_on_the_ratings_less_their_entropy(seed, beta, eta):
    """Nemotron-4's and NeMo's backward KL: the mean is over the ratings' preference, so hopeless pairs keep pulling."""
    (a, b), ratings = ratios(seed, 3.0), np.random.default_rng(seed).uniform(0, 5, (2, 200))
    share = 1 / (1 + np.exp(-eta * (ratings[0] - ratings[1])))
    entropy = -share * np.log(share) - (1 - share) * np.log1p(-share)
    aware = each("reward_aware", a, b, *ratings, beta, eta)
    assert aware + entropy == near(each("soft_dpo", a, b, share, beta), rel=1e-9, floor=1e-12)


@random
@given(seed=seeds, beta=st.floats(0.01, 1))
def test_dr_dpo_nears_the_mean_at_the_rate_of_its_temperature(seed, beta):
    a, b = ratios(seed, 3.0)
    mean = dpo(a, b, beta).mean()
    gaps = [mean - penchant.dr_dpo_loss(a, b, beta, temperature) for temperature in (1e3, 1e4)]
    assert gaps[0] == pytest.approx(10 * gaps[1], rel=0.01, abs=1e-12)


@random
@given(seed=seeds, beta=betas, gamma=st.floats(-3, 3))
def test_what_becomes_simpo_and_what_simpo_becomes(seed, beta, gamma):
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 60, (2, 200))
    w, lo = -rng.exponential(2, (2, 200)) * (m, n)
    zero, one = np.zeros(200), np.ones(200)
    simpo = each("simpo", w, lo, m, n, beta, gamma)
    assert each("cpo_simpo", w, lo, m, n, beta, gamma, 0.0) == near(simpo)
    assert each("tpo_l", w, lo, m, n, w, m, beta, gamma, 0.0) == near(simpo)
    assert each("alpha_dpo", w, lo, zero, zero, m, n, zero, one, beta, gamma, 0.0) == near(simpo)
    assert each("alphapo", w, lo, m, n, beta, gamma, 1e-9) == near(simpo, rel=1e-6, floor=1e-6)
    assert each("simpo", w, lo, m, m, beta, 0.0) == near(np.logaddexp(0.0, -beta * (w - lo) / m))  # DPO at beta / m
    assert each("tpo", w, lo, w, m, beta, 1.0) == near(each("cpo", w, lo, m, beta, 1.0))


# --- I9: signs -------------------------------------------------------------------------------------------------------

PUSHES_APART = words(
    "dpo robust_dpo hinge exponential squared_hinge savage alphapo repo dpo_shift simpo ln_dpo r_dpo odpo "
    "dpop bco apo_zero cpo orpo simper f_dpo js_dpo chi_po minor_dpo ld_dpo sampo wpo mallowspo tdpo "
    "tdpo1 tis_dpo beta_dpo alpha_dpo aot aot_unpaired tpo tpo_l cpo_simpo mpo dpo_nll asft slic "
    "geometric_dpo"
)


@pytest.mark.parametrize("name", [name for name in PUSHES_APART if name != "geometric_dpo"])
def test_chosen_answers_are_pushed_up_and_rejected_ones_down(name):
    (by_w, by_l), _ = pair_slopes(name)
    assert (by_w <= 0).all() and (by_l >= 0).all()
    assert (by_w < 0).any() and (by_l > 0).any()


@random
@given(beta=st.floats(0.01, 5), eps=st.floats(0.01, 0.4))
def test_where_slopes_change_their_sign(beta, eps):
    best, half = math.log((1 - eps) / eps) / beta, 1 / (2 * beta)
    for step in (1 - 1e-6, 1 + 1e-6):
        below = step < 1
        assert (oracle.ipo_grad(half * step, 0.0, beta).chosen < 0) == below
        assert (oracle.exo_grad(best * step, 0.0, beta, eps).chosen < 0) == below
        assert (oracle.dpo_grad(best * step, 0.0, 0.0, 0.0, beta, label_smoothing=eps).chosen < 0) == below
        assert (oracle.sppo_grad(half * step, 0.0, beta).chosen < 0) == below
        assert (oracle.sppo_grad(0.0, -half * step, beta).rejected > 0) == below
        assert (oracle.nca_grad(LN2 / beta * step, 0.0, beta).chosen < 0) == below
        assert (oracle.rebel_grad(3.0 * beta * step, 0.0, 3.0, 0.0, beta).chosen < 0) == below


def test_discopop_and_focal_turn_where_their_docstrings_say():
    for z in (-2.3713979 * 0.05, 1.4401223 * 0.05):
        left, right = (oracle.discopop_grad(z + step, 0.0, 1.0).chosen for step in (-1e-8, 1e-8))
        assert left * right < 0
    turn = -math.log(math.expm1(20.0))  # where -log σ(z) is 1 / 0.05
    left, right = (oracle.focal_dpo_grad(turn + step, 0.0, 1.0).chosen for step in (-1e-6, 1e-6))
    assert left > 0 > right
    a, b = ratios(5, 20.0)
    rises = oracle.apo_down_grad(a, b, 0.1).chosen > 0
    u, z = (0.1 / np.cosh(0.05 * x) ** 2 for x in (a, a - b))
    assert np.array_equal(rises, u > z)


# --- I10: bounds -----------------------------------------------------------------------------------------------------


@random
@given(seed=seeds, beta=betas)
def test_bounds(seed, beta):
    a, b = ratios(seed, 100.0)
    rng = np.random.default_rng(seed)
    for name, low, high in (("apo_zero", 0, 2), ("apo_down", 0, 2), ("savage", 0, 1)):
        losses = each(name, a, b, beta)
        assert (losses >= low).all() and (losses <= high).all(), name
    simper = each("simper", -np.abs(a), -np.abs(b), *rng.integers(1, 60, (2, 200)))
    assert (np.abs(simper) <= 1).all()
    labels = rng.random(200) < 0.5
    assert (np.abs(oracle.kto_grad(a, labels, 1.0, beta, value_function="sigmoid").log_ratio) <= beta / 4).all()
    assert (np.abs(oracle.dpo_grad(a, b, 0.0, 0.0, beta).chosen) <= beta).all()
    assert penchant.robust_dpo_loss(1e6, 0.0, 1.0, 0.1) == pytest.approx(-1e6 / 8)


# --- I11: convexity in z ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", words("dpo cdpo robust_dpo hinge exponential squared_hinge ipo"))
@random
@given(seed=seeds)
def test_convex(name, seed):
    method = METHODS[name]
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-20, 20, (2, 200))
    t = rng.random(200)
    zero = (0.0,) * (len(method.inputs) - 1)
    constants = method.with_constants({"beta": 1.0})
    f = [method.loss(z, *zero, **constants, reduction="none") for z in (x, y, t * x + (1 - t) * y)]
    assert (f[2] <= t * f[0] + (1 - t) * f[1] + 1e-9 * (1 + np.abs(f[0]) + np.abs(f[1]))).all()


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [("savage", -8.0, 0.0), ("focal_dpo", -60.0, -10.0), ("exo", 6.0, 20.0), ("discopop", 0.0, 0.1)],
)
def test_not_convex(name, left, right):
    loss = METHODS[name].loss
    ends = (loss(z, 0.0, 1.0) for z in (left, right))
    assert loss((left + right) / 2, 0.0, 1.0) > sum(ends) / 2
