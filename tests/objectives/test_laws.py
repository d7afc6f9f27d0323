"""Laws that hold for every input: landmarks, shifts, swaps, signs, bounds, limits, and pairs that do not mix."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penchant import dpo_loss, ipo_loss, kto_loss, orpo_loss, simpo_loss
from penchant.objectives import METHODS

random = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

few = settings(random, max_examples=10)  # of four rows each, for every method


def number(low, high):
    return st.floats(low, high, allow_subnormal=False)


# multiples of 1/64: sums and differences of these are exact, so that the laws on shifts hold to the last bit
grid = st.integers(-500 * 64, 0).map(lambda k: k / 64)
logps = number(-500, 0)
ratios = number(-100, 100)
betas = number(0.01, 10)
eps = number(0, 0.49)


def slopes(loss, *inputs, by=None):
    """Derivatives of a loss of numbers, by the first two inputs or those at the positions ``by``."""
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    wanted = [leaves[i] for i in (by or (0, 1))]
    return [slope.item() for slope in torch.autograd.grad(loss(*leaves), wanted)]


# --- pairs do not mix ------------------------------------------------------------------------------------------------


@few
@given(data=st.data())
def test_entry_i_depends_on_row_i_alone(rowwise_method, random_rows, random_constants, data):
    method = rowwise_method
    columns = random_rows(data, method.loss)
    constants = random_constants(data, method.loss)
    others = random_rows(data, method.loss)
    i = data.draw(st.integers(0, 3), label="row")
    each = method.loss(*columns, **constants, reduction="none")
    for column, other in zip(columns, others, strict=True):
        column[np.arange(4) != i] = other[np.arange(4) != i]
    assert method.loss(*columns, **constants, reduction="none")[i] == each[i]
    alone = method.loss(*(column[i].tolist() for column in columns), **constants)
    assert each[i] == pytest.approx(alone, rel=1e-14, abs=1e-300)


@few
@given(data=st.data())
def test_reductions_are_of_the_rows(rowwise_method, random_rows, random_constants, data):
    method = rowwise_method
    columns = random_rows(data, method.loss)
    constants = random_constants(data, method.loss)
    each = method.loss(*columns, **constants, reduction="none")
    assert each.shape == (4,)
    assert method.loss(*columns, **constants, reduction="sum") == pytest.approx(math.fsum(each), rel=1e-14)
    assert method.loss(*columns, **constants, reduction="mean") == pytest.approx(math.fsum(each) / 4, rel=1e-14)


@few
@given(data=st.data())
def test_the_order_of_rows_is_of_no_consequence(rowwise_method, random_rows, random_constants, data):
    method = rowwise_method
    columns = random_rows(data, method.loss)
    constants = random_constants(data, method.loss)
    order = data.draw(st.permutations(range(4)), label="order")
    each = method.loss(*columns, **constants, reduction="none")
    shuffled = method.loss(*(column[order] for column in columns), **constants, reduction="none")
    assert shuffled == pytest.approx(each[order], rel=1e-14, abs=1e-300)


@few
@given(data=st.data())
def test_losses_are_never_negative(rowwise_method, random_rows, random_constants, data):
    method = rowwise_method
    columns = random_rows(data, method.loss)
    losses = method.loss(*columns, **random_constants(data, method.loss), reduction="none")
    lower = {"robust_dpo": -np.inf, "simper": -1.0}.get(method.name, 0.0)
    # a divergence is a sum of terms that cancel where it is 0
    assert (
        losses >= lower - (1e-13 if method.name in ("exo", "reward_aware", "rao_kupper", "exo_list") else 0.0)
    ).all()


# --- I1: policy = reference ------------------------------------------------------------------------------------------


@random
@given(w=logps, lo=logps, beta=betas, eps=eps)
def test_dpo_where_policy_is_reference(w, lo, beta, eps):
    assert dpo_loss(w, lo, w, lo, beta) == pytest.approx(math.log(2), rel=1e-15)
    assert dpo_loss(w, lo, w, lo, beta, label_smoothing=eps) == pytest.approx(math.log(2), rel=1e-15)


@random
@given(beta=betas, ratio=ratios)
def test_ipo_where_policy_is_reference(beta, ratio):
    assert ipo_loss(0.0, 0.0, beta) == pytest.approx(1 / (4 * beta**2), rel=1e-14)
    assert ipo_loss(ratio, ratio, beta) == ipo_loss(0.0, 0.0, beta)


@random
@given(label=st.booleans(), beta=betas, good=number(0, 3), bad=number(0, 3), z_ref=number(0, 5))
def test_kto_at_its_baseline(label, beta, good, bad, z_ref):
    weights = {"desirable_weight": good, "undesirable_weight": bad}
    weight = good if label else bad
    assert kto_loss(z_ref, label, z_ref, beta, **weights) == pytest.approx(weight * math.log(2), rel=1e-15)
    assert kto_loss(z_ref, label, z_ref, beta, value_function="sigmoid", **weights) == weight / 2


# --- I2: shifts ------------------------------------------------------------------------------------------------------


@random
@given(w=grid, lo=grid, ref_w=grid, ref_lo=grid, shift=grid, beta=betas, eps=eps)
def test_dpo_knows_only_the_difference_of_log_ratios(w, lo, ref_w, ref_lo, shift, beta, eps):
    loss = dpo_loss(w, lo, ref_w, ref_lo, beta, label_smoothing=eps)
    assert dpo_loss(w + shift, lo + shift, ref_w, ref_lo, beta, label_smoothing=eps) == loss
    assert dpo_loss(w + shift, lo, ref_w + shift, ref_lo, beta, label_smoothing=eps) == loss
    assert dpo_loss(w, lo + shift, ref_w, ref_lo + shift, beta, label_smoothing=eps) == loss
    by_w, by_lo = slopes(lambda *x: dpo_loss(*x, beta, label_smoothing=eps), w, lo, ref_w, ref_lo)
    assert by_w == -by_lo


@random
@given(a=grid, b=grid, shift=grid, beta=betas)
def test_ipo_knows_only_the_difference_of_log_ratios(a, b, shift, beta):
    assert ipo_loss(a + shift, b + shift, beta) == ipo_loss(a, b, beta)
    by_a, by_b = slopes(lambda *x: ipo_loss(*x, beta), a, b)
    assert by_a == -by_b


@random
@given(w=number(-20, 0), lo=number(-20, 0), m=st.integers(1, 64), n=st.integers(1, 64), beta=betas, gamma=number(-5, 5))
def test_simpo_slopes_balance_per_token(w, lo, m, n, beta, gamma):
    by_w, by_lo = slopes(lambda a, b: simpo_loss(a, b, m, n, beta, gamma), m * w, n * lo)
    assert m * by_w == pytest.approx(-n * by_lo, rel=1e-14)


def test_kto_and_orpo_know_more_than_a_difference():
    labels = [True, False]
    assert kto_loss([2.0, -1.0], labels) != pytest.approx(kto_loss([3.0, 0.0], labels), rel=1e-6)
    assert orpo_loss(-12.0, -30.0, 8, 8) != pytest.approx(orpo_loss(-11.0, -29.0, 8, 8) + 1 / 8, rel=1e-6)


# --- I3 and I4: swaps and linear terms -------------------------------------------------------------------------------


@random
@given(w=logps, lo=logps, ref_w=logps, ref_lo=logps, beta=betas)
def test_swapping_the_answers_adds_z(w, lo, ref_w, ref_lo, beta):
    z = beta * ((w - ref_w) - (lo - ref_lo))
    swapped = dpo_loss(lo, w, ref_lo, ref_w, beta)
    assert swapped == near(dpo_loss(w, lo, ref_w, ref_lo, beta) + z, z)


@random
@given(w=logps, lo=logps, ref_w=logps, ref_lo=logps, beta=betas, eps=eps)
def test_conservative_dpo_adds_eps_z(w, lo, ref_w, ref_lo, beta, eps):
    z = beta * ((w - ref_w) - (lo - ref_lo))
    smoothed = dpo_loss(w, lo, ref_w, ref_lo, beta, label_smoothing=eps)
    assert smoothed == near(dpo_loss(w, lo, ref_w, ref_lo, beta) + eps * z, z)


def near(value, z):
    """Two terms of size z may cancel: the rounding to allow for is z's."""
    return pytest.approx(value, rel=1e-12, abs=1e-14 * (1 + abs(z)))


# --- I9: signs -------------------------------------------------------------------------------------------------------


@random
@given(w=logps, lo=logps, ref_w=logps, ref_lo=logps, beta=betas)
def test_dpo_pushes_the_answers_apart_by_at_most_beta(w, lo, ref_w, ref_lo, beta):
    by_w, by_lo = slopes(lambda *x: dpo_loss(*x, beta), w, lo, ref_w, ref_lo)
    assert -beta <= by_w <= 0 <= by_lo <= beta
    if abs(beta * ((w - ref_w) - (lo - ref_lo))) < 700:
        assert by_w < 0 < by_lo


@random
@given(w=number(-20, 0), lo=number(-20, -1e-6), m=st.integers(1, 64), n=st.integers(1, 64), beta=betas, lam=betas)
def test_simpo_and_orpo_push_the_answers_apart(w, lo, m, n, beta, lam):
    by_w, by_lo = slopes(lambda a, b: simpo_loss(a, b, m, n, beta), m * w, n * lo)
    assert by_w < 0 < by_lo
    by_w, by_lo = slopes(lambda a, b: orpo_loss(a, b, m, n, lam), m * w, n * lo)
    assert by_w <= -1 / m
    assert by_lo > 0 if w < -1e-300 else by_lo >= 0


@random
@given(
    ratio=number(-30, 30), z_ref=number(0, 5), beta=number(0.01, 1), form=st.sampled_from(["log_sigmoid", "sigmoid"])
)
def test_kto_pushes_good_up_and_bad_down(ratio, z_ref, beta, form):
    for label, sign in ((True, -1), (False, 1)):
        (slope,) = slopes(lambda r: kto_loss(r, label, z_ref, beta, value_function=form), ratio, by=[0])  # noqa: B023
        assert sign * slope > 0


@random
@given(gap=ratios, beta=betas)
def test_ipo_pulls_to_its_margin_from_both_sides(gap, beta):
    by_a, by_b = slopes(lambda a, b: ipo_loss(a, b, beta), gap, 0.0)
    margin = 1 / (2 * beta)
    assert np.sign(by_a) == -np.sign(by_b) == np.sign(gap - margin)
    for exact in (0.125, 0.25, 0.5, 2.0):
        assert slopes(lambda a, b: ipo_loss(a, b, exact), 1 / (2 * exact), 0.0) == [0.0, 0.0]  # noqa: B023


# --- I10: bounds -----------------------------------------------------------------------------------------------------


@random
@given(ratio=number(-1e4, 1e4), label=st.booleans(), z_ref=number(0, 5), beta=betas, weight=number(0, 3))
def test_the_papers_kto_is_bounded_with_its_slope(ratio, label, z_ref, beta, weight):
    def loss(r):
        weights = {"desirable_weight": weight, "undesirable_weight": weight}
        return kto_loss(r, label, z_ref, beta, value_function="sigmoid", **weights)

    assert 0 <= loss(ratio) <= weight
    (slope,) = slopes(loss, ratio, by=[0])
    assert abs(slope) <= weight * beta / 4 * (1 + 1e-15)
    if beta * abs(ratio - z_ref) > 50:
        assert abs(slope) <= weight * beta * 1e-21


def test_the_sheets_kto_keeps_pushing_where_the_papers_gives_up():
    (sheet,) = slopes(lambda r: kto_loss(r, True, beta=0.5), -80.0, by=[0])
    (paper,) = slopes(lambda r: kto_loss(r, True, beta=0.5, value_function="sigmoid"), -80.0, by=[0])
    assert sheet == pytest.approx(-0.5, rel=1e-12)
    assert abs(paper) < 1e-16


# --- identities between methods --------------------------------------------------------------------------------------


@random
@given(ratio_w=ratios, ratio_l=ratios, z_ref=number(0, 5), beta=betas)
def test_the_sheets_kto_is_bco_and_bounds_dpo_from_above(ratio_w, ratio_l, z_ref, beta):
    delta = beta * z_ref
    bco = np.logaddexp(0, delta - beta * ratio_w) + np.logaddexp(0, beta * ratio_l - delta)
    ours = kto_loss([ratio_w, ratio_l], [True, False], z_ref, beta, reduction="sum")
    assert ours == pytest.approx(bco, rel=1e-11)
    assert ours >= dpo_loss(ratio_w, ratio_l, 0.0, 0.0, beta) * (1 - 1e-12)


@random
@given(ratio_w=ratios, ratio_l=ratios, beta=betas)
def test_the_sheets_one_liner_is_beta_squared_times_ipo(ratio_w, ratio_l, beta):
    one_liner = (beta * (ratio_w - ratio_l) - 0.5) ** 2
    assert beta**2 * ipo_loss(ratio_w, ratio_l, beta) == pytest.approx(one_liner, rel=1e-9, abs=1e-12)


@random
@given(w=logps, lo=logps, length=st.integers(1, 64), beta=betas)
def test_simpo_without_margin_on_equal_lengths_is_dpo_without_reference(w, lo, length, beta):
    expected = dpo_loss(w, lo, 0.0, 0.0, beta / length)
    assert simpo_loss(w, lo, length, length, beta, 0.0) == pytest.approx(expected, rel=1e-11)


@random
@given(w=number(-20, 0), lo=number(-20, -1e-6), m=st.integers(1, 64), n=st.integers(1, 64), lam=number(0, 2))
def test_orpo_is_fine_tuning_plus_lambda_times_a_penalty(w, lo, m, n, lam):
    fine_tuning = orpo_loss(m * w, n * lo, m, n, 0.0)
    assert fine_tuning == pytest.approx(-w, rel=1e-14)
    penalty = orpo_loss(m * w, n * lo, m, n, 1.0) - fine_tuning
    assert orpo_loss(m * w, n * lo, m, n, lam) == pytest.approx(fine_tuning + lam * penalty, rel=1e-12, abs=1e-14)


@random
@given(w=number(-700, -40), lo=number(-700, -40))
def test_orpos_odds_are_probabilities_where_those_are_small(w, lo):
    penalty = orpo_loss(w, lo, 1, 1, 1.0) + w
    assert penalty == pytest.approx(np.logaddexp(0, lo - w), rel=1e-12, abs=1e-12)


def test_kto_in_the_catalogue_is_the_papers():
    ratio, label = [1.5, -2.0, 0.25], [True, False, True]
    constants = METHODS["kto"].with_constants({})
    assert METHODS["kto"].loss(ratio, label, **constants) == pytest.approx(0.468828827614754, rel=1e-14)
