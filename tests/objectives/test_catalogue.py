"""The catalogue is read off the signatures, and nothing in it goes without golden rows."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import penchant
from penchant import InputError, get_method
from penchant import objectives as room
from penchant.objectives import METHODS, Method
from penchant.objectives.catalogue import OTHER_NAMES, UNCONFIRMED
from penchant.vocabulary import CHOICES, CONSTANTS, DATA, TERMS
from penchant.vocabulary import NEEDS as NEED_WORDS

# what the papers ask for; a method that is not listed here is held to its signature alone
NEEDS = {
    "dpo": ("pairs", "reference"),
    "ipo": ("pairs", "reference"),
    "kto": ("answers", "reference", "labels", "mismatched answers"),
    "simpo": ("pairs", "lengths"),
    "orpo": ("pairs", "lengths"),
    "hinge": ("pairs", "reference"),
    "r_dpo": ("pairs", "reference", "lengths"),
    "dr_dpo": ("pairs", "reference", "the whole batch"),
    "tdpo": ("pairs", "reference", "vocabulary statistics"),
    "plackett_luce": ("lists", "reference"),
}


def test_every_method_has_golden_rows_with_its_own_constants(method, all_rows):
    mine = [row for row in all_rows if row.function == method.loss.__name__]
    fitting = [row for row in mine if all(row.constants.get(name) == value for name, value in method.bound.items())]
    assert fitting, f"no golden row for {method.name} in rows/"


def test_every_published_loss_has_golden_rows(all_rows):
    published = set(room.LOSSES)
    assert published == {row.function for row in all_rows if row.function.endswith("_loss")}
    assert published == {name for name in dir(penchant) if name.endswith("_loss")}
    assert all(getattr(penchant, name) is getattr(room, name) is loss for name, loss in room.LOSSES.items())


def test_every_published_loss_and_its_derivative_are_in_the_oracle():
    published = {name for name in vars(penchant.numpy) if name.endswith(("_loss", "_grad"))}
    assert published == {name.replace("_loss", end) for name in room.LOSSES for end in ("_loss", "_grad")}


def test_every_option_of_a_loss_has_a_golden_row(method, all_rows):
    """A constant other than its default, and every word of a choice."""
    mine = [row for row in all_rows if row.function == method.loss.__name__]
    for name, p in inspect.signature(method.loss).parameters.items():
        if name in CONSTANTS:
            assert any(row.constants.get(name, p.default) != p.default for row in mine), name
        elif name in CHOICES and name != "reduction":
            assert {row.constants.get(name, p.default) for row in mine} == set(CHOICES[name].words)


def test_golden_rows_reach_far_out_and_0(method, all_rows):
    mine = [row for row in all_rows if row.function == method.loss.__name__]
    assert any("800" in row.name for row in mine)
    assert any(row.name.startswith(("policy is reference", "z 0", "at the")) for row in mine)
    assert all(row.slopes for row in mine)


def test_every_parameter_is_in_the_vocabulary(method):
    parameters = inspect.signature(method.loss).parameters
    assert set(parameters) <= set(TERMS) | set(CONSTANTS) | set(CHOICES)
    assert list(parameters)[: len(method.inputs)] == list(method.inputs)
    assert all(name in parameters for name in method.bound)


def test_a_choice_is_a_keyword_and_reduction_comes_last(rowwise_method):
    parameters = inspect.signature(rowwise_method.loss).parameters
    for name, parameter in parameters.items():
        if name in CHOICES:
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
            assert parameter.default in CHOICES[name].words
    assert list(parameters)[-1] == "reduction"
    assert parameters["reduction"].default == "mean"


def test_every_default_is_in_its_domain(method):
    assert method.with_constants(method.constants) == method.constants


@pytest.mark.parametrize("name", NEEDS)
def test_what_a_method_needs(name):
    method, (data, *needs) = METHODS[name], NEEDS[name]
    assert (method.data, list(method.needs)) == (data, needs)
    assert method.needs_pairs == (data == "pairs")
    assert method.needs_reference == ("reference" in needs)
    assert method.uses_lengths == ("lengths" in needs)
    assert method.couples_rows == ("the whole batch" in needs)


def test_means_over_tokens_are_ranked_where_the_formula_compares_means(method, all_rows):
    """Such a loss cannot tell a rejected answer from one of twice the tokens and twice the log-prob; others can."""
    mine = [row for row in all_rows if row.function == method.loss.__name__ and row.loss < np.inf]
    same = [np.allclose(*(_of_answers(method, row, times) for times in (1.0, 2.0)), rtol=1e-9) for row in mine]
    assert all(same) if method.ranks_per_token else not all(same)


def _of_answers(method, row, times):
    """The loss of a golden row with the last answer's tokens and log-probs taken so many times."""
    inputs = {name: np.array(values, dtype=np.float64) for name, values in row.inputs.items()}
    for name, values in inputs.items():
        if name.endswith(("rejected_logps", "rejected_lengths", "log_ratio", "log_ratio_l")):
            values *= times
        elif name.endswith(("list_logps", "list_lengths")):
            values[:, -1] *= times
    return method.loss(**inputs, **row.constants)


def test_a_loss_of_two_kinds_of_rows_is_no_method():
    def mixed_loss(log_ratio_w, log_ratio, *, reduction="mean"): ...

    with pytest.raises(TypeError, match=r"mixed: its inputs belong to pairs and answers rows"):
        Method("mixed", mixed_loss, "", "", METHODS["dpo"].paper)


def test_every_need_is_in_the_vocabulary():
    words = {need for term in TERMS.values() for need in term.needs}
    assert words <= {*DATA, *NEED_WORDS}
    assert words | {"the whole batch"} == {*DATA, *NEED_WORDS}


def test_methods_by_name(method):
    assert get_method(method.name) is method and METHODS[method.name] is method


def test_a_method_says_where_it_comes_from(method):
    assert method.paper.place in method.loss.__doc__
    assert str(method.paper.year) in method.loss.__doc__
    assert str(method.paper) == f"{method.paper.authors} {method.paper.year}, {method.paper.place}"


def test_constants_of_the_methods():
    expected = {
        "dpo": {"beta": 0.1, "label_smoothing": 0.0},
        "ipo": {"beta": 0.1},
        "kto": {"beta": 0.1, "value_function": "sigmoid", "desirable_weight": 1.0, "undesirable_weight": 1.0},
        "simpo": {"beta": 2.0, "gamma": 0.5},
        "orpo": {"lambda_": 0.1},
    }
    assert {name: METHODS[name].constants for name in expected} == expected


def test_with_constants_puts_the_users_own_in_place():
    kto = METHODS["kto"]
    before = kto.constants
    assert kto.with_constants({"beta": 0.5}) == before | {"beta": 0.5}
    assert kto.with_constants({"value_function": "log_sigmoid"})["value_function"] == "log_sigmoid"
    assert kto.constants == before


def test_an_unknown_constant_is_refused_with_the_methods_own(method):
    with pytest.raises(InputError) as caught:
        method.with_constants({"sharpness": 1.0})
    message = str(caught.value)
    assert "\n" not in message
    assert f"'{method.name}'" in message and "'sharpness'" in message
    for name in method.constants:
        assert name.rstrip("_") in message.partition("Its constants:")[2]


def test_reduction_is_no_constant(method):
    with pytest.raises(InputError, match="'reduction'"):
        method.with_constants({"reduction": "sum"})


@pytest.mark.parametrize("name", ["lambda", "lambda_"])
def test_no_message_refuses_a_constant_and_lists_it(name):
    """Users are shown ``lambda``: "has no constant 'lambda'. Its constants: lambda" would leave them at a loss."""
    assert METHODS["orpo"].with_constants({name: 0.5}) == {"lambda_": 0.5}


@pytest.mark.parametrize(
    ("name", "constants", "words"),
    [
        ("dpo", {"beta": -1}, ("beta", "> 0", "-1")),
        ("dpo", {"label_smoothing": 0.5}, ("label_smoothing", "in [0, 0.5)", "0.5")),
        ("orpo", {"lambda_": -1}, ("lambda", ">= 0", "-1")),
        ("kto", {"value_function": "sigmod"}, ("value_function", "'sigmod'", "'sigmoid'")),
    ],
)
def test_a_constant_out_of_its_domain(name, constants, words):
    with pytest.raises(InputError) as caught:
        METHODS[name].with_constants(constants)
    assert all(word in str(caught.value) for word in (f"--method {name}", *words))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("dop", "Did you mean 'dpo'?"), ("KTO!", "See `penchant methods`"), ("simp", "'simpo'")],
)
def test_an_unknown_method(name, hint):
    with pytest.raises(InputError) as caught:
        get_method(name)
    assert str(caught.value).startswith(f"no method {name!r}.") and hint in str(caught.value)


def test_other_names_and_unconfirmed_defaults_are_of_the_catalogue():
    assert all(get_method(name) is METHODS[known] for name, known in OTHER_NAMES.items())
    assert not OTHER_NAMES.keys() & METHODS.keys()
    for name, constants in UNCONFIRMED.items():
        assert set(constants) <= METHODS[name].constants.keys(), name
