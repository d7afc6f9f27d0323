"""Every objective against :mod:`penchant.numpy`, which shares no code with it: values and derivatives at random
points."""

from __future__ import annotations

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax.extend.core import jaxpr_as_fun
from objectives.cases import variants
from objectives.libraries import TORCH
from objectives.rows import ROWS

from penchant import log_sigmoid, sigmoid
from penchant import numpy as oracle

random = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def close(expected, rtol=1e-12, atol=1e-300):
    return pytest.approx(np.asarray(expected), rel=rtol, abs=atol)


def tried(objective):
    """Every set of constants that golden rows name for an objective."""
    return [constants for name, constants in variants() if name == objective.name]


def test_value(any_objective, library, points):
    objective = any_objective
    columns = points(objective)
    arrays = library.arrays(columns)
    for constants in tried(objective):
        for reduction in ("none", "mean", "sum") if objective.unreduced else (None,):
            options = constants | ({"reduction": reduction} if reduction else {})
            expected = objective.true_loss(*columns, **options)
            result = np.asarray(objective.loss(*arrays, **options))
            assert result.shape == np.shape(expected)
            assert result == close(expected, rtol=1e-12, atol=2e-14 if objective.slope_floor > 1e-300 else 1e-300)


@random
@given(data=st.data(), reduction=st.sampled_from(["none", "mean", "sum"]))
def test_value_at_any_point_with_any_constants(objective, random_rows, random_constants, data, reduction):
    columns = random_rows(data, objective.loss)
    constants = random_constants(data, objective.loss)
    result = objective.loss(*columns, **constants, reduction=reduction)
    floor = 1e-14 if objective.slope_floor > 1e-300 else 1e-300
    expected = close(objective.true_loss(*columns, **constants, reduction=reduction), atol=floor)
    assert np.asarray(result) == expected
    if reduction == "none":
        assert (
            np.asarray(objective.loss(*(column.tolist() for column in columns), **constants, reduction="none"))
            == expected
        )


NO_SLOPE_BUT_DIGITS = {"wpo": 1e-5}  # its weights are exponentials of log-probs, and carry no gradient


def test_float32_is_as_good_as_its_inputs(objective, points):
    """At 200 points: to 1e-6 relative, or to twice what rounding the inputs to float32 changes where that is more: a
    loss of exp(-z) has z times the relative error of z. Losses that are a difference of numbers near 1: to 1e-6."""
    columns = [column if column.dtype == bool else column.astype("float32") for column in points(objective)]
    exact = [column if column.dtype == bool else column.astype("float64") for column in columns]
    true = objective.true_loss(*exact, reduction="none")
    error = np.abs(np.asarray(objective.loss(*columns, reduction="none"), dtype="float64") - true)
    slopes = zip(objective.steep, objective.true_slopes(*exact), strict=True)
    rounded = sum(np.abs(slope * exact[i]).reshape(len(true), -1).sum(1) for i, slope in slopes) * 2.0**-24
    floor = 1e-6 if objective.slope_floor > 1e-300 or objective.name == "simper" else 1e-37
    allowed = np.maximum(NO_SLOPE_BUT_DIGITS.get(objective.name, 1e-6) * np.abs(true) + 2 * rounded, floor)
    assert (error <= allowed).all()


@random
@given(x=st.floats(-800, 800, allow_subnormal=False))
def test_sigmoids(library, x):
    assert float(sigmoid(library.array(x))) == close(oracle.sigmoid(x), rtol=1e-14)
    assert float(log_sigmoid(library.array(x))) == close(oracle.log_sigmoid(x), rtol=1e-14)


@random
@given(data=st.data())
def test_one_number_for_a_batch(library, objectives, random_rows, random_constants, data):
    """Losses that couple the rows have one value, and nothing to reduce."""
    coupled = [objective for objective in objectives.values() if objective.couples_rows]
    objective = data.draw(st.sampled_from(coupled), label="objective")
    columns = random_rows(data, objective.loss)
    constants = random_constants(data, objective.loss)
    result = objective.loss(*library.arrays(columns), **constants)
    assert tuple(result.shape) == ()
    assert np.asarray(result) == close(objective.true_loss(*columns, **constants), rtol=1e-12)


@pytest.fixture
def target(variant, points):
    """A loss with its constants, 200 points, which inputs have a slope, and the closed-form slopes."""
    objective, constants = variant
    columns = points(objective)

    def loss(*arrays):
        return objective.loss(*arrays, **constants, **objective.unreduced)

    return loss, columns, objective.steep, objective.true_slopes(*columns, **constants), objective.slope_floor


@pytest.fixture
def rowwise_target(variant, target):
    if variant[0].couples_rows:
        pytest.skip("one number for the batch: there is nothing to map over")
    return target


def test_slopes_at_200_points(target, autodiff):
    loss, cloud, steep, expected, floor = target
    found = autodiff.slopes(loss, autodiff.arrays(cloud), steep)
    assert len(found) == len(expected)
    for slope, true in zip(found, expected, strict=True):
        assert slope.shape == true.shape and len(slope) == 200
        assert slope == close(true, atol=floor)


def test_torch_func(rowwise_target):
    loss, columns, steep, expected, floor = rowwise_target
    tensors = [torch.from_numpy(column) for column in columns]
    value = torch.func.vmap(loss)(*tensors)
    assert value.numpy() == close(loss(*columns), atol=floor)
    for slope, true in zip(torch.func.vmap(torch.func.grad(loss, argnums=steep))(*tensors), expected, strict=True):
        assert slope.numpy() == close(true, atol=floor)


def test_jax_transformations(objective, points, jax_library):
    """One program per loss: jit of vmap of value and slope."""
    columns, options = points(objective), tried(objective)[-1] | objective.unreduced
    check_jax(partial(objective.loss, **options), columns, objective, tried(objective)[-1])


@pytest.mark.slow
def test_jax_transformations_with_all_constants(variant, points, jax_library):
    objective, constants = variant
    if not objective.couples_rows:
        check_jax(partial(objective.loss, **constants, **objective.unreduced), points(objective), objective, constants)


def check_jax(loss, columns, objective, constants):
    steep, floor = objective.steep, objective.slope_floor
    expected = objective.true_slopes(*columns, **constants)
    transformed = jax.jit(jax.vmap(jax.value_and_grad(loss, argnums=steep)))
    value, slopes = transformed(*map(jnp.asarray, columns))
    assert np.asarray(value) == close(loss(*columns), atol=floor)
    for slope, true in zip(slopes, expected, strict=True):
        assert np.asarray(slope) == close(true, atol=floor)


def test_a_batch_with_one_loss_compiles_in_jax(any_objective, points, jax_library):
    objective = any_objective
    if not objective.couples_rows:
        pytest.skip("mapped over its rows elsewhere")
    columns = points(objective, 12)
    value, slopes = jax.jit(jax.value_and_grad(objective.loss, argnums=objective.steep))(*map(jnp.asarray, columns))
    assert float(value) == pytest.approx(objective.true_loss(*columns), rel=1e-12)
    for slope, true in zip(slopes, objective.true_slopes(*columns), strict=True):
        assert np.asarray(slope) == close(true, atol=objective.slope_floor)


def test_second_derivatives_are_finite(any_objective, points):
    """At 200 points, and far out and at 0, where golden rows are."""
    objective = any_objective
    far = [row for row in ROWS if row.function == f"{objective.name}_loss" and not row.recipe.couples_rows]
    clouds = [(points(objective), {}), *(([np.array(c) for c in row.inputs.values()], row.constants) for row in far)]
    for columns, constants in clouds:
        leaves = [tensor.requires_grad_(i in objective.steep) for i, tensor in enumerate(TORCH.arrays(columns))]
        steep = [leaves[i] for i in objective.steep]
        loss = objective.loss(*leaves, **constants)
        slopes = torch.autograd.grad(loss, steep, create_graph=True, materialize_grads=True)
        total = sum(slope.sum() for slope in slopes)
        if total.requires_grad:
            seconds = torch.autograd.grad(total, steep, materialize_grads=True)
            assert all(torch.isfinite(second).all() for second in seconds), constants


def test_jit_over_some_inputs_while_others_are_closed_over(any_objective, points, jax_library):
    """Lengths and labels are often fixed data, captured by the function that is compiled."""
    objective = any_objective
    first, *others = jax_library.arrays(points(objective, 24))
    traced = jax.make_jaxpr(lambda column: objective.loss(column, *others))(first)  # jit without its compiler
    (value,) = jaxpr_as_fun(traced)(first)
    assert float(value) == close(objective.loss(first, *others))


def test_constants_may_be_traced(any_objective, points, autodiff):
    """Under ``grad`` a constant may have no value to check, and has a slope."""
    objective = any_objective
    if not objective.constants:
        pytest.skip("no constants")
    constant = objective.constants[0]
    columns = autodiff.arrays(points(objective, 24))

    def loss(value):
        return objective.loss(*columns, **{constant: value})

    (slope,) = autodiff.slopes(loss, [autodiff.array(0.25)], [0])
    step = 2.0**-17
    difference = (float(loss(0.25 + step)) - float(loss(0.25 - step))) / (2 * step)
    assert float(slope) == pytest.approx(difference, rel=1e-6)


QUICK = ("dpo", "kto", "orpo", "aot", "lipo")


@pytest.mark.parametrize("names", [QUICK, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"])
def test_torch_compile_without_graph_breaks(names, objectives, points):
    """One graph per loss: nothing in the door looks at values while compiling."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Dynamo warns of each lru_cache in array-api-compat
        for objective in [objectives[name] for name in names or objectives]:
            torch.compiler.reset()  # the losses share the door's code, of which Dynamo keeps eight versions
            tensors = [torch.from_numpy(column) for column in points(objective, 8)]
            compiled = torch.compile(objective.loss, backend="eager", fullgraph=True)
            assert torch.equal(compiled(*tensors), objective.loss(*tensors)), objective.name
