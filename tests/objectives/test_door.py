"""What the door refuses, and that the message says in one line what was wrong."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import penchant
from penchant import InputError, kto_loss, orpo_loss
from penchant.objectives import METHODS
from penchant.objectives.door import objective as door

PAIRS = {"chosen_logps": [-12.0, -9.0], "rejected_logps": [-30.0, -8.0]}
GOOD = {
    "dpo_loss": {f"policy_{name}": column for name, column in PAIRS.items()}
    | {"ref_chosen_logps": [-14.0, -9.5], "ref_rejected_logps": [-29.0, -8.5]},
    "ipo_loss": {"log_ratio_w": [2.0, 0.5], "log_ratio_l": [-1.0, 0.5]},
    "kto_loss": {"log_ratio": [2.0, -1.0], "is_desirable": [1, 0]},
    "simpo_loss": PAIRS | {"chosen_lengths": [8, 3], "rejected_lengths": [15, 4]},
    "orpo_loss": PAIRS | {"chosen_lengths": [8, 3], "rejected_lengths": [15, 4]},
}
RATIOS = GOOD["ipo_loss"]
GOOD |= {
    "r_dpo_loss": GOOD["dpo_loss"] | {"chosen_lengths": [8, 3], "rejected_lengths": [15, 4]},
    "hinge_loss": RATIOS,
    "dr_dpo_loss": RATIOS,
    "tdpo_loss": RATIOS | {"chosen_sequence_kl": [0.4, 1.0], "rejected_sequence_kl": [0.7, 0.5]},
}
LISTS = {"policy_list_logps": [[-12.0, -9.0, -3.0], [-5.0, -8.0, -2.0]], "ref_list_logps": [[-14.0, -9.5, -3.0]] * 2}
FIRST = {function: next(iter(inputs)) for function, inputs in GOOD.items()}
LAST = {function: list(inputs)[-1] for function, inputs in GOOD.items()}
CONSTANT = {function: "lambda_" if function == "orpo_loss" else "beta" for function in GOOD}


def refused(function, changes, *words):
    """The call fails with a one-line message that has the function's name and every word in it."""
    call = getattr(penchant, function)
    call(**GOOD[function])  # the fault is in the change alone
    with pytest.raises(InputError) as caught:
        call(**GOOD[function] | changes)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{function}: ")
    for word in words:
        assert str(word) in message, word
    assert len(message) < 250
    return message


def on(library, function, changes):
    columns = GOOD[function] | changes
    return {name: library.array(column) for name, column in columns.items()}


@pytest.fixture(params=GOOD)
def function(request):
    return request.param


# --- constants -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, -1e-9, math.nan, math.inf, -math.inf, "x", "0.1", True, None, [0.1]], ids=repr)
def test_a_constant_out_of_its_domain(function, value):
    refused(function, {CONSTANT[function]: value}, f"'{CONSTANT[function]}'", value)


def test_zero_is_no_beta_but_a_lambda(function):
    if function == "orpo_loss":
        assert orpo_loss(**GOOD[function], lambda_=0) == pytest.approx((12 / 8 + 9 / 3) / 2)
    else:
        refused(function, {"beta": 0}, "'beta'", "> 0", "(got 0)")


@pytest.mark.parametrize(
    ("function", "changes", "domain"),
    [
        ("dpo_loss", {"label_smoothing": 0.5}, "in [0, 0.5)"),
        ("dpo_loss", {"label_smoothing": -0.1}, "in [0, 0.5)"),
        ("dpo_loss", {"label_smoothing": math.nan}, "in [0, 0.5)"),
        ("orpo_loss", {"lambda_": -1}, ">= 0"),
        ("kto_loss", {"desirable_weight": -1}, ">= 0"),
        ("kto_loss", {"undesirable_weight": -0.5}, ">= 0"),
        ("simpo_loss", {"gamma": math.inf}, "a number"),
        ("simpo_loss", {"gamma": "half"}, "a number"),
    ],
)
def test_the_domain_is_in_the_message(function, changes, domain):
    ((name, value),) = changes.items()
    refused(function, changes, f"'{name}'", domain, value)


@pytest.mark.parametrize("make", [np.float32, np.float64, np.array])
def test_a_constant_may_be_a_numpy_scalar(function, make):
    call, name = getattr(penchant, function), CONSTANT[function]
    expected = call(**GOOD[function], **{name: 0.25})
    assert call(**GOOD[function], **{name: make(0.25)}) == pytest.approx(expected, rel=1e-14)
    refused(function, {name: make(-0.25)}, f"'{name}'", -0.25)


def test_a_constant_may_be_a_scalar_of_the_rows_library(library, function):
    call, name, columns = getattr(penchant, function), CONSTANT[function], on(library, function, {})
    expected = call(**columns, **{name: 0.25})
    assert float(call(**columns, **{name: library.array(0.25)})) == pytest.approx(float(expected), rel=1e-14)
    with pytest.raises(InputError, match=f"'{name}'"):
        call(**columns, **{name: library.array(-0.25)})


@pytest.mark.parametrize(
    ("value", "hint"), [("average", "Known: mean, none, sum"), ("Mean", "'mean'"), ("", "sum"), (None, "'none'")]
)
def test_an_unknown_reduction(function, value, hint):
    if function == "dr_dpo_loss":
        pytest.skip("one number for the batch: there is nothing to reduce")
    refused(function, {"reduction": value}, "reduction", repr(value), hint)


def test_an_unknown_value_function():
    refused("kto_loss", {"value_function": "logsigmoid"}, "value_function", "'logsigmoid'", "'log_sigmoid'")


def test_new_arguments_are_keywords(function):
    constants = len(METHODS[function.removesuffix("_loss")].constants)
    columns = list(GOOD[function].values())
    with pytest.raises(TypeError, match="positional"):
        getattr(penchant, function)(*columns, *[0.1] * constants, "mean")


# --- shapes, labels, lengths, on every library -----------------------------------------------------------------------


@pytest.fixture
def refuses(library):
    """The same with arrays of every library."""

    def check(function, changes, *words):
        call = getattr(penchant, function)
        call(**on(library, function, {}))
        with pytest.raises(InputError) as caught:
            call(**on(library, function, changes))
        message = str(caught.value)
        assert "\n" not in message and message.startswith(f"{function}: ")
        for word in words:
            assert word in message, word

    return check


def test_a_column_beside_rows(refuses, function):
    refuses(function, {LAST[function]: [[1.0], [1.0]]}, LAST[function], "(2, 1)")
    refuses(function, {FIRST[function]: [[-1.0], [-2.0]]}, FIRST[function], "(2, 1)")


def test_columns_throughout(refuses, function):
    refuses(function, {name: [[1.0], [1.0]] for name in GOOD[function]}, FIRST[function], "(2, 1)")


def test_different_numbers_of_rows(refuses, function):
    refuses(function, {FIRST[function]: [-1.0, -2.0, -3.0]}, FIRST[function], LAST[function], "(3,)", "(2,)")
    refuses(function, {LAST[function]: [1.0]}, FIRST[function], LAST[function], "(1,)", "(2,)")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ref_list_logps": [[-1.0, -2.0]] * 2}, ("policy_list_logps (2, 3)", "ref_list_logps (2, 2)", "per answer")),
        ({"ref_list_logps": [[-1.0, -2.0, -3.0]] * 3}, ("(2, 3)", "(3, 3)", "per row")),
        ({"ref_list_logps": -1.0}, ("'ref_list_logps' has shape ()", "(rows, answers)")),
        ({"policy_list_logps": [[[-1.0, -2.0]]]}, ("'policy_list_logps' has shape (1, 1, 2)", "(rows, answers)")),
        ({"policy_list_logps": [[], []]}, ("'policy_list_logps' is empty",)),
        ({"policy_list_logps": [[-1.0], [-2.0]], "ref_list_logps": [[-1.0], [-2.0]]}, ("at least two answers",)),
    ],
    ids=["answers", "rows", "number", "three dimensions", "empty", "one answer"],
)
def test_lists_of_other_shapes(library, changes, words):
    penchant.plackett_luce_loss(**{name: library.array(column) for name, column in LISTS.items()})
    with pytest.raises(InputError) as caught:
        penchant.plackett_luce_loss(**{name: library.array(column) for name, column in (LISTS | changes).items()})
    assert "\n" not in str(caught.value) and str(caught.value).startswith("plackett_luce_loss: ")
    assert all(word in str(caught.value) for word in words)


def test_an_empty_batch(refuses, function):
    refuses(function, {name: [] for name in GOOD[function]}, FIRST[function], "empty")


@pytest.mark.parametrize("function", ["simpo_loss", "orpo_loss", "r_dpo_loss"])
@pytest.mark.parametrize("side", ["chosen", "rejected"])
@pytest.mark.parametrize("lengths", [[3, 0], [-1, 3], [math.nan, 3.0]], ids=str)
def test_a_length_without_tokens(refuses, function, side, lengths):
    refuses(function, {f"{side}_lengths": lengths}, f"'{side}_lengths'", "length", str(float(lengths[1])))


@pytest.mark.parametrize("labels", [[1, 2], [1, -1], [0.5, 1], [math.nan, 1]], ids=str)
def test_a_label_that_is_neither_true_nor_false(refuses, labels):
    refuses("kto_loss", {"is_desirable": labels}, "'is_desirable'", str(float(labels[1])))


@pytest.mark.parametrize("labels", [[True, False, True], [1, 0, 1], [1.0, 0.0, 1.0]], ids=str)
def test_labels_of_every_type_mean_the_same(library, labels):
    ratios = [1.5, -2.0, 0.25]
    for dtype in ("int64", "uint8", "float32", "float64"):
        result = kto_loss(library.array(ratios), library.array(labels, dtype))
        assert float(result) == pytest.approx(0.633273740232216, rel=1e-12)
    assert kto_loss(ratios, labels) == pytest.approx(0.633273740232216, rel=1e-12)


def test_complex_numbers(refuses, function, library):
    call, columns = getattr(penchant, function), on(library, function, {})
    columns[FIRST[function]] = library.make(np.array([-1j, -2.0]))
    with pytest.raises(InputError, match=f"'{FIRST[function]}' must hold real numbers"):
        call(**columns)


@pytest.mark.parametrize("value", [None, [-1.0, [-2.0]], object()], ids=["None", "ragged", "object"])
def test_what_is_no_number(library, function, value):
    columns = on(library, function, {})
    for name in GOOD[function]:
        with pytest.raises(InputError, match=f"'{name}'"):
            getattr(penchant, function)(**columns | {name: value})
        refused(function, {name: value}, f"'{name}'")


def test_words_among_numbers(function):
    refused(function, {FIRST[function]: ["-1", "-2"]}, f"'{FIRST[function]}'", "real numbers")


# --- libraries -------------------------------------------------------------------------------------------------------


def test_mixed_libraries(function):
    torch_and_jax = {FIRST[function]: torch.zeros(2) - 1, LAST[function]: jnp.ones(2)}
    refused(function, torch_and_jax, "mix", "torch", "jax", "Convert")


def test_an_author_who_invents_a_parameter_is_told():
    def sharp_loss(chosen_logps, rejected_logps, sharpness=1.0, *, reduction="mean"): ...

    with pytest.raises(TypeError, match=r"sharp_loss: not in the vocabulary: sharpness$"):
        door(sharp_loss)
