"""What goes in comes out: numbers, lists and arrays of every library keep their kind; half precision is computed in
float32."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from penchant import dpo_loss, ipo_loss, kto_loss, log_sigmoid, sigmoid, simpo_loss

REDUCTIONS = ("none", "mean", "sum")


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_numbers_give_a_float(objective, points, reduction):
    first = [column[0].tolist() for column in points(objective, 1)]
    result = objective.loss(*first, reduction=reduction)
    assert type(result) is float
    assert result == objective.loss(*first)


def test_lists_give_a_list_or_a_float(objective, points):
    columns = [column.tolist() for column in points(objective, 3)]
    each = objective.loss(*columns, reduction="none")
    assert type(each) is list and len(each) == 3 and all(type(loss) is float for loss in each)
    for reduction, expected in (("mean", sum(each) / 3), ("sum", sum(each))):
        result = objective.loss(*columns, reduction=reduction)
        assert type(result) is float
        assert result == pytest.approx(expected, rel=1e-14)
    assert objective.loss(*map(tuple, columns)) == objective.loss(*columns)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_arrays_give_arrays_of_their_library_and_type(objective, points, library, dtype):
    columns = library.arrays(points(objective, 24), dtype)
    each = objective.loss(*columns, reduction="none")
    assert isinstance(each, library.kind) and tuple(each.shape) == (24,)
    assert str(each.dtype).endswith(dtype)
    plain = np.asarray(each)
    for reduction, expected in (("mean", plain.mean()), ("sum", plain.sum())):
        result = objective.loss(*columns, reduction=reduction)
        # NumPy's own functions give np.float64 for a 0-dimensional array
        assert isinstance(result, (library.kind, np.generic) if library.name == "numpy" else library.kind)
        assert tuple(result.shape) == () and str(result.dtype).endswith(dtype)
        assert float(result) == pytest.approx(float(expected), rel=1e-6)


def test_mean_is_the_default(objective, points, library):
    columns = library.arrays(points(objective, 24))
    assert float(objective.loss(*columns)) == float(objective.loss(*columns, reduction="mean"))


@pytest.mark.parametrize("kind", ["python number", "0-dimensional array"])
def test_a_scalar_serves_every_row_with_all_its_digits(objective, points, library, kind):
    columns = points(objective, 24)
    spread = [columns[0], *(np.broadcast_to(column[0], column.shape) for column in columns[1:])]
    one = (lambda column: column[0].tolist()) if kind == "python number" else (lambda column: library.array(column[0]))
    result = objective.loss(library.array(columns[0]), *map(one, columns[1:]), reduction="none")
    assert isinstance(result, library.kind)
    expected = objective.loss(*library.arrays(spread), reduction="none")
    assert np.asarray(result) == pytest.approx(np.asarray(expected), rel=1e-14)


def test_numpy_and_lists_among_arrays_join_their_library(library):
    result = dpo_loss(library.array([-12.0, -9.0]), np.array([-30.0, -8.0]), [-14.0, -9.0], -29.0, reduction="none")
    assert isinstance(result, library.kind)
    expected = dpo_loss([-12.0, -9.0], [-30.0, -8.0], [-14.0, -9.0], -29.0, reduction="none")
    assert np.asarray(result).tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_tensors_are_computed_in_float32(objective, points, dtype):
    columns = [torch.from_numpy(column) for column in points(objective, 50)]
    halves = [column if column.dtype == torch.bool else column.to(dtype) for column in columns]
    rounded = [column if column.dtype == torch.bool else column.to(torch.float32) for column in halves]
    for reduction in REDUCTIONS:
        result = objective.loss(*halves, reduction=reduction)
        assert result.dtype == torch.float32
        assert torch.equal(result, objective.loss(*rounded, reduction=reduction))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_the_slope_of_half_precision_tensors_is_the_rounded_float32_slope(dtype):
    leaf = torch.tensor([-12.3, -300.7], dtype=dtype, requires_grad=True)
    same = leaf.detach().to(torch.float32).requires_grad_()
    rest = [torch.tensor(column, dtype=dtype) for column in ([-30.0, -310.0], [-14.1, -301.0], [-29.0, -309.0])]
    dpo_loss(leaf, *rest).backward()
    dpo_loss(same, *(column.float() for column in rest)).backward()
    assert torch.equal(leaf.grad, same.grad.to(dtype))


@pytest.mark.parametrize(
    ("make", "half"), [(np.array, np.float16), (jnp.array, jnp.bfloat16), (jnp.array, jnp.float16)]
)
def test_half_precision_of_numpy_and_jax_is_computed_in_float32(make, half):
    a, b = make([1.3, -700.1], dtype=half), make([0.7, 12.9], dtype=half)
    result = ipo_loss(a, b, reduction="none")
    assert result.dtype == "float32"
    assert np.array_equal(result, ipo_loss(a.astype("float32"), b.astype("float32"), reduction="none"))


def test_the_widest_float_type_wins():
    wide, narrow = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float32)
    assert dpo_loss(narrow, narrow, wide, wide).dtype == torch.float64
    assert dpo_loss(narrow, narrow, narrow.half(), 0.0).dtype == torch.float32


def test_lengths_and_labels_do_not_widen_or_narrow():
    logps = torch.tensor([-12.0, -9.0])
    assert simpo_loss(logps, logps, torch.tensor([8, 3]), torch.tensor([15, 4])).dtype == torch.float32
    assert kto_loss(logps, torch.tensor([True, False])).dtype == torch.float32
    assert kto_loss(logps.double(), torch.tensor([1, 0], dtype=torch.int8)).dtype == torch.float64


def test_integers_are_not_computed_as_integers(library):
    result = dpo_loss(*library.arrays(([-12], [-30], [-14], [-29]), "int64"))
    assert float(result) == pytest.approx(0.554355244468527, rel=1e-6)


@pytest.mark.parametrize("function", [sigmoid, log_sigmoid])
def test_sigmoids_keep_kind_and_shape(function, library):
    expected = function(0.25)
    assert type(expected) is float
    assert function([0.25, 0.25]) == [expected, expected]
    for shape in ((), (2,), (2, 3)):
        result = function(library.array(np.full(shape, 0.25)))
        assert isinstance(result, (library.kind, np.generic) if library.name == "numpy" else library.kind)
        assert tuple(result.shape) == shape
        assert np.asarray(result) == pytest.approx(np.full(shape, expected), rel=1e-15)
