"""Every golden row on every array library, in float64 and float32; the rows themselves against mpmath and the sheet."""

from __future__ import annotations

import numpy as np
import pytest
from objectives.golden import complaints
from objectives.libraries import JAX, NUMPY, STRICT, TORCH
from objectives.rows import RECIPES, ROWS

import penchant

SHEET = {
    "dpo: G1": 0.632599035317169,
    "dpo: G2": 0.677952823239360,
    "dpo: G3": 12.5625000000061,
    "ipo: G1": 14.0625,
    "ipo: G2": 25.3541666666667,
    "ipo: G3": 18241.28125,
    "kto: K1": 0.633273740232216,
    "kto: K1 paper": 0.468828827614754,
    "kto: K2": 0.608418265126965,
    "kto: K2 paper": 0.454974774834587,
    "kto: K3": 18.8750000440512,
    "kto: K3 paper": 0.999999955948810,
    "simpo: S1 and P": 0.474076984180107,
    "simpo: S2": 0.407615429456097,
    "simpo: S3": 0.00335782719569589,
    "dpo: P": 0.554355244468527,
    "dpo: P smoothed": 0.584355244468527,
    "ipo: P": 4.0,
    "ipo: P per token": 21.9336111111111,
    "kto: P": 1.24191409557906 / 2,
    "kto: P paper": 0.925140309312501 / 2,
    "orpo: P": 1.54349888068705,
    "r_dpo: P": 0.718459648013286,
    "hinge: P": 0.85,
    "tdpo: P": 0.560766128508147,
    "dr_dpo: z 0.3, -1 and 2": 0.553860124166136,
    "plackett_luce: s 0.7, -0.2 and 0.4": 1.80174011464987,
    "robust_dpo: P": 0.516855244468527,
    "soft_dpo: P": 0.584355244468527,
    "odpo: P": 0.908918197956528,
    "rao_kupper: P with the margin 0.5": 0.798138869381592,
    "focal_dpo: P": 0.539200752144019,
    "ln_dpo: P": 0.186719917790404,
    "dpo_shift: P": 0.5650706676896,
    "dpop: P": 0.341153874732088,
    "minor_dpo: P": 0.598138869381592,
    "dpo_nll: P": 2.05435524446853,
    "cpo: P": 1.65297761052607,
    "alphapo: P": 0.169758526498702,
    "simper: P": -0.0877948769118171,
    "asft: P": 1.66454134578689,
    "repo: P": 0.1,
    "slic: P": 3.2,
    "exponential: P": 0.740818220681718,
    "discopop: P": 0.849337579289386,
    "exo: P": 2.25819919150928,
    "rebel: P": 4.0,
    "reward_aware: P": 0.0528345619913077,
    "f_dpo: P at a quarter": 0.566800258153843,
    "js_dpo: P": 0.635588700557685,
    "chi_po: P": 0.31269260018455,
    "bco: P": 1.24191409557906,
    "cal_dpo: P": 25.0485873515737,
    "apo_down: P": 0.975391480500819,
    "npo: P": 12.8879332014714,
    "tdpo1: P": 0.567232135122319,
    "cpo_simpo: P": 0.549076984180107,
    "info_nca: s 0.7, -0.2 and 0.4": 1.01151696006442,
    "nca_list: s 0.7, -0.2 and 0.4": 1.38117695848318,
    "exo_list: s 0.7, -0.2 and 0.4": 0.248762796477811,
    "lipo: two answers at P": 0.369070246428543 * 0.554355244468527,
    "rrhf: P": 1.5,
    "dro: a rating of 1": 0.02,
    "sigmoid: -3.5": 0.0293122307513563,
    "sigmoid: 0.25": 0.562176500885798,
    "log_sigmoid: -3.5": -3.52975041827262,
    "log_sigmoid: 40": -4.24835425529159e-18,
    "log_sigmoid: -800": -800.0,
}


def rows_of(function):
    return [row for row in ROWS if row.function == function]


@pytest.fixture(params=RECIPES)
def function(request):
    """Every function with golden rows, in turn."""
    return request.param


def test_typed_numbers_are_the_recipes(function):
    for row in rows_of(function):
        loss, slopes = row.recipe.recompute(row, len(row.steep))
        assert agrees(row.loss, loss), row
        for name, typed, exact in zip(row.slopes, row.slopes.values(), slopes, strict=True):
            assert len(typed) == len(exact), (str(row), name)
            pairs = zip(flat(typed), flat(exact), strict=True)
            assert all(agrees(*both) for both in pairs), (str(row), name)


def flat(values):
    """The numbers of a column, of lists or not."""
    return [number for value in values for number in (value if isinstance(value, (tuple, list)) else (value,))]


def agrees(typed, exact):
    """To 1e-15 relative; a number too small for float64 is typed as 0."""
    return abs(typed - exact) <= 1e-15 * abs(exact) if typed else float(exact) == 0.0


def test_printed_numbers_are_reproduced(all_rows):
    typed = {str(row): row.loss for row in all_rows}
    for name, printed in SHEET.items():
        assert typed[name] == pytest.approx(printed, rel=3e-15), name


def test_rows_have_different_names(all_rows):
    assert len({str(row) for row in all_rows}) == len(all_rows)


def test_values_and_slopes(function, library):
    """To 1e-12 relative."""
    given = rows_of(function)
    if library.name == "jax" and (given[0].recipe.couples_rows or given[0].recipe.lists):
        given = [row for row in given if row is given[0] or "800" in row.name]  # a program for each shape: rest below
    assert list(complaints(given, getattr(penchant, function), library, "float64")) == []


@pytest.mark.slow
def test_all_rows_of_lists_and_batches_in_jax(function, jax_library):
    assert list(complaints(rows_of(function), getattr(penchant, function), jax_library, "float64")) == []


@pytest.mark.parametrize(
    "library", [NUMPY, STRICT, TORCH, pytest.param(JAX, marks=pytest.mark.slow)], ids=lambda library: library.name
)
def test_values_and_slopes_in_float32(function, library):
    """To 1e-6 relative."""
    assert list(complaints(rows_of(function), getattr(penchant, function), library, "float32")) == []


def test_values_on_python_numbers(function):
    for row in rows_of(function):
        columns = [np.array(column).tolist() for column in row.inputs.values()]
        several = [columns, *([[column[0] for column in columns]] if len(columns[0]) == 1 else [])]
        for given in several:
            result = np.mean(getattr(penchant, function)(*given, **row.constants))
            assert result == pytest.approx(row.loss, rel=1e-12, abs=1e-300), row
