"""Adding a method is one function, one binding and its golden rows: a toy method gets the rest by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from objectives.golden import complaints
from objectives.libraries import JAX, NUMPY, STRICT, TORCH
from objectives.rows.recipe import Recipe, Row, type_row

from penchant import InputError
from penchant import objectives as room
from penchant.arrays import reduce
from penchant.cli import main
from penchant.cli.methods import as_markdown
from penchant.objectives import METHODS, Method, Paper, get_method
from penchant.objectives.door import objective
from penchant.objectives.surrogates import logistic


@objective
def toy_loss(log_ratio_w, log_ratio_l, chosen_lengths, beta=0.1, gamma=0.0, *, reduction="mean"):
    """DPO divided by the chosen answer's length. Nobody, "A toy", 2026, arXiv:2601.00001."""
    return reduce(logistic(beta * (log_ratio_w - log_ratio_l) - gamma) / chosen_lengths, reduction)


TOY = Method("toy", toy_loss, "a toy", "-log σ(β(a - b) - γ)/m", Paper("Nobody", "A toy", 2026, "2601.00001"))


def formula(a, b, m, beta, gamma):
    from mpmath import exp, log1p

    return log1p(exp(gamma - beta * (a - b))) / m


RECIPE = Recipe(formula, ("log_ratio_w", "log_ratio_l", "chosen_lengths"), {"beta": 0.1, "gamma": 0.0})
ROW = Row(
    "toy_loss", "P", (2.0, -1.0, 8.0), 0.06929440555856589, (-0.005319468539854263, 0.005319468539854263), {}, RECIPE
)


@pytest.fixture
def toy(monkeypatch):
    """The toy in the catalogue, as if a page had listed it."""
    monkeypatch.setitem(METHODS, "toy", TOY)
    monkeypatch.setitem(room.LOSSES, "toy_loss", toy_loss)
    return TOY


def run(*words):
    with pytest.raises(SystemExit) as done:
        main(list(words))
    assert done.value.code == 0


def test_it_has_a_name_needs_and_a_row_of_the_table(toy, capsys):
    assert get_method("toy") is toy
    assert (toy.data, toy.needs, toy.constants) == ("pairs", ("reference", "lengths"), {"beta": 0.1, "gamma": 0.0})
    assert "| **toy** | yes | yes | lengths | a toy |" in as_markdown()
    assert "[Nobody 2026](https://arxiv.org/abs/2601.00001)" in as_markdown("toy")
    run("methods", "toy")
    told = capsys.readouterr().out
    assert "toy: a toy" in told and "beta=0.1, gamma=0.0" in told and "penchant.toy_loss" in told


def test_it_scores_a_table_by_its_name(toy, capsys, tmp_path):
    table = tmp_path / "logps.csv"
    names = ("policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
    table.write_text(",".join((*names, "chosen_lengths", "rejected_lengths")) + "\n-12,-30,-14,-29,8,15\n" * 1)
    run("score", str(table), "--method", "toy")
    told = capsys.readouterr().out
    assert "0.06929" in told, told


def test_it_goes_into_sums_and_its_constants_are_checked(toy):
    columns = {"log_ratio_w": 2.0, "log_ratio_l": -1.0, "chosen_lengths": 8.0}
    mix = get_method("2*toy(beta=0.1) + hinge(beta=0.1)")
    assert mix.loss(**columns) == pytest.approx(2 * ROW.loss + 0.7, rel=1e-14)
    with pytest.raises(InputError, match="'beta' must be a number > 0"):
        toy.with_constants({"beta": -1.0})
    with pytest.raises(InputError, match="has no constant 'tau'"):
        toy.with_constants({"tau": 1.0})


@pytest.mark.parametrize("library", [NUMPY, STRICT, TORCH, JAX], ids=lambda library: library.name)
def test_its_golden_row_holds_on_every_library(toy, library):
    assert list(complaints([ROW], toy_loss, library, "float32")) == []
    if library.name != "jax":  # float64 is the fixture's matter there
        assert list(complaints([ROW], toy_loss, library, "float64")) == []


def test_its_numbers_are_typed_by_its_recipe_and_a_wrong_one_is_noticed(toy):
    assert type_row(ROW, 2) == ", ".join(map(repr, (ROW.loss, *ROW.steep)))
    wrong = Row(ROW.function, "wrong", ROW.given, ROW.loss * (1 + 1e-9), ROW.steep, {}, RECIPE)
    (told,) = complaints([wrong], toy_loss, NUMPY, "float64")
    assert told.startswith("toy: wrong in float64 on numpy:")


def test_its_laws_follow_from_its_signature(toy):
    a, b, m = np.array([0.0, 3.0, -2.0]), np.array([0.0, 1.0, 5.0]), np.array([1, 4, 9])
    each = toy_loss(a, b, m, reduction="none")
    assert each[0] == pytest.approx(math.log(2))
    assert toy_loss(a, b, m) == pytest.approx(each.mean()) and toy_loss(a, b, m, reduction="sum") == pytest.approx(
        each.sum()
    )
    slopes = TORCH.slopes(toy_loss, TORCH.arrays((a, b, m)), (0, 1, 2))
    assert (slopes[0] == -slopes[1]).all() and not slopes[2].any()  # lengths carry no gradient
    with pytest.raises(InputError, match="holds a length below 1"):
        toy_loss(a, b, 0 * m)
