"""Every objective against :mod:`penchant.numpy`, which shares no code with it: values and derivatives at random
points."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penchant import log_sigmoid, sigmoid
from penchant import numpy as oracle

random = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

TRANSFORMED = 1e-8  # what a transformation could break is the derivative as such, not its last digits


def close(expected, rtol=1e-12, atol=1e-300):
    return pytest.approx(np.asarray(expected), rel=rtol, abs=atol)


@random
@given(data=st.data(), reduction=st.sampled_from(["none", "mean", "sum"]))
def test_value(objective, library, random_rows, random_constants, data, reduction):
    columns = random_rows(data, objective.loss)
    constants = random_constants(data, objective.loss)
    result = objective.loss(*library.arrays(columns), **constants, reduction=reduction)
    expected = objective.true_loss(*columns, **constants, reduction=reduction)
    assert np.asarray(result) == close(expected)


@random
@given(data=st.data())
def test_value_of_lists(objective, random_rows, random_constants, data):
    columns = random_rows(data, objective.loss)
    constants = random_constants(data, objective.loss)
    result = objective.loss(*(column.tolist() for column in columns), **constants, reduction="none")
    assert result == close(objective.true_loss(*columns, **constants, reduction="none"))


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
    assert np.asarray(result) == close(objective.true_loss(*columns, **constants), rtol=1e-11)


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
        assert slope.numpy() == close(true, rtol=TRANSFORMED, atol=floor)


def test_jax_transformations(rowwise_target, jax_library):
    loss, columns, steep, expected, floor = rowwise_target
    transformed = jax.jit(jax.vmap(jax.value_and_grad(loss, argnums=steep)))
    value, slopes = transformed(*map(jnp.asarray, columns))
    assert np.asarray(value) == close(loss(*columns), atol=floor)
    for slope, true in zip(slopes, expected, strict=True):
        assert np.asarray(slope) == close(true, rtol=TRANSFORMED, atol=floor)


def test_jit_over_some_inputs_while_others_are_closed_over(any_objective, points, jax_library):
    """Lengths and labels are often fixed data, captured by the function that is compiled."""
    objective = any_objective
    first, *others = jax_library.arrays(points(objective, 20))
    compiled = jax.jit(lambda column: objective.loss(column, *others))
    assert float(compiled(first)) == close(objective.loss(first, *others))


def test_constants_may_be_traced(any_objective, points, autodiff):
    """Under ``grad`` a constant may have no value to check, and has a slope."""
    objective = any_objective
    if not objective.constants:
        pytest.skip("no constants")
    constant = objective.constants[0]
    columns = autodiff.arrays(points(objective, 20))

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
