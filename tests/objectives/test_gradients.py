"""What carries a gradient and what does not, and derivatives where careless formulas break: at 0, 800, P = 1."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from objectives.cases import EDGES

from penchant import alphapo_loss, dpo_loss, f_dpo_loss, ipo_loss, kto_loss, log_sigmoid, orpo_loss, sigmoid, simpo_loss
from penchant import numpy as oracle

PAPER = {"value_function": "sigmoid"}


# --- constants of the optimisation -----------------------------------------------------------------------------------


def test_reference_log_probs_carry_no_gradient_in_torch():
    policy = [torch.tensor([-12.0, -9.0], requires_grad=True) for _ in range(2)]
    reference = [torch.tensor([-14.0, -8.0], requires_grad=True) for _ in range(2)]
    dpo_loss(*policy, *reference).backward()
    assert all(leaf.grad is None or not leaf.grad.any() for leaf in reference)
    assert all(leaf.grad.abs().min() > 0.01 for leaf in policy)
    assert not dpo_loss(*(leaf.detach() for leaf in policy), *reference).requires_grad


@pytest.mark.parametrize("options", [{}, PAPER], ids=["sheet", "paper"])
@pytest.mark.parametrize("z_ref", [0.5, [0.5, 0.75]])
def test_the_baseline_carries_no_gradient_in_torch(options, z_ref):
    ratio = torch.tensor([2.0, -1.0], requires_grad=True)
    baseline = torch.tensor(z_ref, requires_grad=True)
    kto_loss(ratio, [True, False], baseline, **options).backward()
    assert baseline.grad is None or not baseline.grad.any()
    assert ratio.grad.abs().min() > 0.01


def test_a_baseline_made_of_the_policy_adds_nothing_to_its_gradient():
    ratio = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
    kto_loss(ratio, [True, False], ratio.mean(), reduction="sum").backward()
    expected = oracle.kto_grad([2.0, -1.0], [True, False], 0.5).log_ratio
    assert ratio.grad.numpy() == pytest.approx(expected, rel=1e-12)


def test_references_and_baselines_carry_no_gradient_in_jax():
    column = jnp.array([-12.0, -9.0])
    slopes = jax.grad(lambda *x: dpo_loss(*x), argnums=(0, 1, 2, 3))(column, column - 3, column - 2, column + 1)
    assert all(np.abs(slope).min() > 0.01 for slope in slopes[:2])
    assert not np.any(slopes[2]) and not np.any(slopes[3])
    for z_ref in (jnp.array(0.5), jnp.array([0.5, 0.75])):
        for options in ({}, PAPER):
            slope = jax.grad(lambda z, o=options: kto_loss(column, [True, False], z, **o))(z_ref)
            assert not np.any(slope)


def test_a_row_gets_no_gradient_from_another(objective, points, autodiff):
    plain = points(objective, 24)
    steepness = np.abs(objective.true_slopes(*plain)[0]).reshape(24, -1).max(1)
    here = int(np.argmax(steepness))  # a row whose own slope is not 0

    def one(*arrays):
        return objective.loss(*arrays, reduction="none")[here : here + 1]

    found = autodiff.slopes(one, autodiff.arrays(plain), objective.steep)
    assert all((np.delete(slope, here, 0) == 0.0).all() for slope in found)
    assert np.any(found[0][here] != 0.0)


# --- second derivatives ----------------------------------------------------------------------------------------------

SUM = {"reduction": "sum"}
UNIT = {"beta": 1.0} | SUM
# a function of z, and its second derivative at 0 and far out on both sides
CURVES = {
    "log_sigmoid": (log_sigmoid, -0.25, 0.0),
    "sigmoid": (sigmoid, 0.0, 0.0),
    "dpo": (lambda z: dpo_loss(z, 0.0, 0.0, 0.0, **UNIT), 0.25, 0.0),
    "cdpo": (lambda z: dpo_loss(0.0, -z, 0.0, 0.0, label_smoothing=0.25, **UNIT), 0.25, 0.0),
    "kto-good": (lambda z: kto_loss(z, True, **UNIT), 0.25, 0.0),
    "kto-bad": (lambda z: kto_loss(z, False, **UNIT), 0.25, 0.0),
    "kto-good-paper": (lambda z: kto_loss(z, True, **UNIT, **PAPER), 0.0, 0.0),
    "kto-bad-paper": (lambda z: kto_loss(z, False, **UNIT, **PAPER), 0.0, 0.0),
    "simpo": (lambda z: simpo_loss(z, 0.0, 1, 1, gamma=0.0, **UNIT), 0.25, 0.0),
    "ipo": (lambda z: ipo_loss(z, 0.0, **SUM), 2.0, 2.0),
}


def second_derivatives(autodiff, function, x):
    """Of a function summed over the entries of x, which do not mix."""
    if autodiff.name == "jax":
        return np.asarray(jax.grad(lambda y: jax.grad(lambda z: function(z).sum())(y).sum())(x))
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(leaf).sum(), leaf, create_graph=True)
    return torch.autograd.grad(slope.sum(), leaf)[0].numpy()


@pytest.mark.parametrize("curve", CURVES)
def test_second_derivative_at_0_and_far_out(autodiff, curve):
    function, at_0, far_out = CURVES[curve]
    middle, right, left = second_derivatives(autodiff, function, autodiff.array([0.0, 800.0, -800.0]))
    assert middle == pytest.approx(at_0, abs=1e-15)
    assert right == left == far_out


@pytest.mark.parametrize(("chosen", "rejected"), [(-2.0, -2.0), (-0.5, -800.0), (-800.0, -0.5), (0.0, -2.0)])
def test_second_derivative_of_orpo_is_the_slope_of_its_slope(autodiff, chosen, rejected):
    def loss(w):
        return orpo_loss(w, rejected, 1, 1, reduction="sum")

    step = 1e-5  # to the left alone: a probability above 1 has no odds
    here, beside = (oracle.orpo_grad(w, rejected, 1, 1).chosen for w in (chosen, chosen - step))
    difference = (here - beside) / step
    (second,) = second_derivatives(autodiff, loss, autodiff.array([chosen]))
    assert second == pytest.approx(difference, rel=1e-4, abs=1e-9)


# --- kinks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"), [("dpop", (-0.15, 0.15)), ("minor_dpo", (-0.05, 0.0))], ids=["dpop", "minor_dpo"]
)
def test_the_slope_where_training_starts_is_that_of_the_penaltys_idle_side(name, expected, objectives, autodiff):
    """The libraries' own maxima have slopes of 0, 1/2 or 1 at 0: 26 or 51 times DPO's first step for dpop."""
    columns = autodiff.arrays(([0.0], [0.0]))
    found = autodiff.slopes(objectives[name].loss, columns, (0, 1))
    assert [slope.item() for slope in found] == pytest.approx(expected, rel=1e-15)
    assert objectives[name].true_slopes(0.0, 0.0) == pytest.approx(expected, rel=1e-15)


# --- far from 0 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [1e4, -1e4])
def test_no_overflow_and_no_warning_in_float32(library, z):
    x, zero, one = (library.array([value], "float32") for value in (z, 0.0, 1.0))
    good, bad = library.array([True]), library.array([False])
    chosen, rejected = (zero - 0.5, zero - abs(z)) if z > 0 else (zero - abs(z), zero - 0.5)
    minus = max(-z, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {
            "log_sigmoid": (log_sigmoid(x), -minus),
            "sigmoid": (sigmoid(x), float(z > 0)),
            "dpo": (dpo_loss(x, zero, zero, zero, beta=1.0), minus),
            "cdpo": (dpo_loss(x, zero, zero, zero, beta=1.0, label_smoothing=0.25), minus + z / 4),
            "ipo": (ipo_loss(x, zero, beta=0.5), (z - 1) ** 2),
            "kto good": (kto_loss(x, good, beta=1.0), minus),
            "kto bad": (kto_loss(x, bad, beta=1.0), minus + z),
            "kto good paper": (kto_loss(x, good, beta=1.0, **PAPER), float(z < 0)),
            "kto bad paper": (kto_loss(x, bad, beta=1.0, **PAPER), float(z > 0)),
            "simpo": (simpo_loss(x, zero, one, one, beta=1.0, gamma=0.0), minus),
            "orpo": (orpo_loss(chosen, rejected, one, one), 0.5 if z > 0 else 1.1 * -z + 0.0432752),
        }
    for name, (result, expected) in found.items():
        assert "float32" in str(result.dtype), name
        assert np.asarray(result).item() == pytest.approx(expected, rel=1e-6), name


@pytest.mark.parametrize("z", [1e4, -1e4])
@pytest.mark.parametrize("name", ["dpo", "ipo", "kto", "simpo", "orpo", "hinge", "r_dpo", "tdpo", "plackett_luce"])
def test_slopes_stay_finite_in_float32(name, objectives, autodiff, z):
    objective = objectives[name]
    inputs = {
        "dpo": (z, 0.0, 0.0, 0.0),
        "ipo": (z, 0.0),
        "kto": (z, True, 0.0),
        "simpo": (min(z, 0.0), -max(z, 0.0), 1, 1),
        "orpo": (min(z, -0.5), -max(z, 0.5), 1, 1),
        "hinge": (z, 0.0),
        "r_dpo": (z, 0.0, 0.0, 0.0, 5, 5),
        "tdpo": (z, 0.0, 0.5, 0.5),
        "plackett_luce": ((z, 0.0), (0.0, 0.0)),
    }[name]
    columns = autodiff.arrays(([value] for value in inputs), "float32")
    variants = [{}, PAPER] if objective.name == "kto" else [{}]
    for options in variants:
        found = autodiff.slopes(lambda *x, o=options: objective.loss(*x, **o), columns, objective.steep)
        expected = objective.true_slopes(*inputs, **options)
        for slope, true in zip(found, expected, strict=True):
            assert slope[0] == pytest.approx(np.asarray(true), rel=1e-6, abs=1e-37)


@pytest.mark.parametrize(("dtype", "far"), [("float32", 100.0), ("float64", 800.0)])
def test_the_forward_kl_beyond_the_largest_number(library, dtype, far):
    """Two exponentials that overflow are no NaN: the loss is exact on the right side and finite on the wrong one."""
    columns = ([-far, -far - 20, -far, 0.0, -far], [-far - 20, -far, -far, -far, 0.0])
    arrays = library.arrays([np.resize(column, 24) for column in columns], dtype)  # JAX has compiled for 24 rows

    def loss(*pair):
        return f_dpo_loss(*pair, alpha=1.0, reduction="none")

    ahead, behind, level, far_ahead, far_behind = np.asarray(loss(*arrays)).tolist()[:5]
    assert ahead == far_ahead == 0.0
    assert level == pytest.approx(np.log(2), rel=1e-6)
    assert 1e30 < far_behind <= behind < np.inf
    if library.differentiate:
        by_chosen, by_rejected = library.slopes(loss, arrays, (0, 1))
        assert np.isfinite([by_chosen, by_rejected]).all()
        assert (by_chosen[[0, 3]] == 0).all() and (by_rejected[[0, 3]] == 0).all()
        assert (by_chosen[[1, 2, 4]] < 0).all() and (by_rejected[[1, 2]] > 0).all()


def test_a_bent_reward_beyond_the_largest_number(library):
    """AlphaPO below -352 nats per token in float32 was inf - inf, as was a forward KL of equal answers."""
    columns = library.arrays(([-400.0, -400.0, -390.0], [-390.0, -400.0, -400.0]), "float32")

    def loss(*pair):
        return alphapo_loss(*pair, 1, 1, reduction="none")

    behind, level, ahead = np.asarray(loss(*columns)).tolist()
    assert 1e30 < behind < np.inf and level == pytest.approx(0.825939, rel=1e-6) and ahead == 0
    if library.differentiate:
        by_chosen, by_rejected = library.slopes(loss, columns, (0, 1))
        assert (by_chosen <= 0).all() and (by_rejected >= 0).all() and np.isfinite([by_chosen, by_rejected]).all()
        assert by_chosen[0] < 0 < by_rejected[0] and by_chosen[1] == -by_rejected[1]
    equal = library.arrays(([-1e4], [-1e4]), "float32")
    assert float(f_dpo_loss(*equal, beta=1e3, alpha=1.0)) == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("name", EDGES)
def test_losses_at_their_edges_are_what_the_formula_says(name, objectives, library):
    objective, (columns, options) = objectives[name], EDGES[name]
    expected = objective.true_loss(*columns, **options, reduction="none")
    arrays = library.arrays(columns, "float64")
    found = objective.loss(*arrays, **options, reduction="none")
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-12)
    broken = library.arrays([np.full(len(columns[0]), np.nan), *columns[1:]], "float64")
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.asarray(objective.loss(*broken, **options, reduction="none"))).all()
    if library.differentiate:
        true = objective.true_slopes(*columns, **options)
        slopes = library.slopes(lambda *x: objective.loss(*x, **options, reduction="none"), arrays, objective.steep)
        for slope, one in zip(slopes, true, strict=True):
            np.testing.assert_allclose(slope, one, rtol=1e-12)


# --- ORPO where a probability reaches one ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mean", [-1e-3, -1e-6, -1e-7, -2e-8, -1e-8, -1e-20, 0.0])
def test_orpo_value_as_the_chosen_probability_reaches_one(library, mean, dtype):
    chosen, rejected = library.arrays(([8 * mean], [-30.0]), dtype)
    result = orpo_loss(chosen, rejected, 8, 15, lambda_=0.5)
    expected = oracle.orpo_loss(np.asarray(chosen), np.asarray(rejected), 8, 15, lambda_=0.5)
    assert float(result) == pytest.approx(expected, rel=1e-6 if dtype == "float32" else 1e-12, abs=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mean", [-1e-3, -1e-6, -1e-7, -2e-8, -1e-8, -1e-20, 0.0])
def test_orpo_slope_as_the_chosen_probability_reaches_one(autodiff, mean, dtype):
    columns = autodiff.arrays(([8 * mean], [-30.0]), dtype)
    found = autodiff.slopes(lambda w, lo: orpo_loss(w, lo, 8, 15, lambda_=0.5), columns, (0, 1))
    expected = oracle.orpo_grad(*map(np.asarray, columns), 8, 15, lambda_=0.5)
    for slope, true in zip(found, expected, strict=True):
        assert slope == pytest.approx(true, rel=1e-6 if dtype == "float32" else 1e-12, abs=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mean", [-1e-3, -1e-6, -1e-8, -1e-12])
def test_orpo_slope_as_the_rejected_probability_nears_one(autodiff, mean, dtype):
    columns = autodiff.arrays(([-12.0], [15 * mean]), dtype)
    found = autodiff.slopes(lambda w, lo: orpo_loss(w, lo, 8, 15, lambda_=0.5), columns, (0, 1))
    expected = oracle.orpo_grad(*map(np.asarray, columns), 8, 15, lambda_=0.5)
    for slope, true in zip(found, expected, strict=True):
        assert slope == pytest.approx(true, rel=1e-6 if dtype == "float32" else 1e-12, abs=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_orpo_slope_where_the_rejected_probability_is_one(autodiff, dtype):
    """Infinite for that answer and right for all others: no NaN reaches the rest of a batch."""
    columns = autodiff.arrays(([-2.0, -3.0, -800.0], [-4.0, 0.0, 0.0]), dtype)
    found = autodiff.slopes(lambda w, lo: orpo_loss(w, lo, 2, 2, reduction="none"), columns, (0, 1))
    expected = oracle.orpo_grad(*map(np.asarray, columns), 2, 2)
    for slope, true in zip(found, expected, strict=True):
        assert slope == pytest.approx(true, rel=1e-6 if dtype == "float32" else 1e-12, abs=0)
    assert found[1][1] == found[1][2] == np.inf


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_orpo_is_infinite_where_the_rejected_probability_is_one(library, dtype):
    """As its docstring says, and without a warning (a RuntimeWarning fails every test here)."""
    for chosen in (-12.0, -0.5, -800.0):
        assert float(orpo_loss(*library.arrays(([chosen], [0.0]), dtype), 8, 15)) == np.inf
    assert orpo_loss(-12.0, 0.0, 8, 15) == np.inf
