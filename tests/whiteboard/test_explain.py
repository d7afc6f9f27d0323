"""The pages of `penchant explain`."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from penchant import numpy as oracle
from penchant.cli import main
from penchant.errors import InputError
from penchant.objectives import METHODS
from penchant.objectives.catalogue import MEANING
from penchant.whiteboard import derivative, examples
from penchant.whiteboard.advice import ADVICE
from penchant.whiteboard.diagram import draw
from penchant.whiteboard.explain import as_markdown, as_text, explain
from penchant.whiteboard.neighbours import LIMITS, both, by_constant
from penchant.whiteboard.pitfalls import pitfalls
from penchant.whiteboard.prose import PROSE
from penchant.whiteboard.pushes import pushes, told
from penchant.whiteboard.subjects import get_subject
from penchant.whiteboard.walkthroughs import WALKTHROUGHS
from penchant.whiteboard.walkthroughs.blocks import SIGNS, width

TITLES = [
    "In one line",
    "Formula",
    "Symbols",
    "Pseudocode",
    "Steps",
    "Diagram",
    "Worked example",
    "Derivative",
    "What it does to each side",
    "When to use it",
    "Needs",
    "Constants",
    "Pitfalls",
    "Neighbours",
    "Source",
]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_whole_page(name: str) -> None:
    sections = explain(name)
    assert [section.title for section in sections if section.title] == TITLES
    assert all(section.text for section in sections)
    page = {section.title: section.text for section in sections}
    assert METHODS[name].formula in page["Formula"] and METHODS[name].paper.place in page["Source"]
    text = as_text(sections, name)
    assert as_markdown(sections, name).startswith(f"# {name}")
    assert not re.search(r"\bnan\b|\bNone\b(?!\.)|\bd_\w|[.?]\.$", text, flags=re.M)


@pytest.mark.parametrize("name", METHODS)
def test_the_steps_of_a_page_end_in_the_loss(name: str) -> None:
    method, rows = METHODS[name], examples.random_rows(METHODS[name], 50)
    found, expected = WALKTHROUGHS[name].loss(rows), examples.loss(method, rows)
    assert np.shape(found) == np.shape(expected) == (() if method.couples_rows else (50,))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_derivatives_are_those_of_the_loss(name: str) -> None:
    """The chain over the steps, and the differences where it is not derived, against autograd through the loss."""
    method, rows = METHODS[name], examples.random_rows(METHODS[name], 5)
    steep = examples.steep_symbols(method)
    tensors = {key: torch.tensor(value) if isinstance(value, np.ndarray) else value for key, value in rows.items()}
    leaves = [tensors[key].requires_grad_() for key in steep]
    expected = torch.autograd.grad(
        examples.loss(method, tensors).sum(), leaves, allow_unused=True, materialize_grads=True
    )
    by_steps = derivative.run(WALKTHROUGHS[name], rows)
    by_differences = examples.slopes(WALKTHROUGHS[name], rows, steep)
    for key, slope in zip(steep, expected, strict=True):
        scale = max(1e-6, slope.abs().max().item())
        np.testing.assert_allclose(by_differences[key], slope, rtol=1e-5, atol=1e-6 * scale)
        if key in by_steps:
            np.testing.assert_allclose(
                np.broadcast_to(by_steps[key], slope.shape), slope, rtol=1e-9, atol=1e-12 * scale
            )
    if name in PROSE:
        assert set(by_steps) >= set(steep)


@pytest.mark.parametrize(
    ("name", "limit"), [pytest.param(name, one, id=f"{name}-{one.other}") for name in LIMITS for one in LIMITS[name]]
)
def test_a_method_at_its_limit_is_its_neighbour(name: str, limit) -> None:
    mine, theirs = both(name, limit)
    np.testing.assert_allclose(np.ravel(mine), np.ravel(theirs), rtol=1e-9)


def test_neighbours_by_a_constant_are_found_by_computing_both() -> None:
    assert by_constant(METHODS["cdpo"]) == ["with label_smoothing = 0 it is dpo"]
    assert by_constant(METHODS["beta_dpo"]) == ["with alpha = 0 it is dpo"]
    assert "with rejected_weight = 1 it is dpo" in by_constant(METHODS["dpo_shift"])


@pytest.mark.parametrize("name", METHODS)
def test_a_diagram_has_every_input_and_step_and_its_lines_meet(name: str) -> None:
    method = METHODS[name]
    lines = draw(WALKTHROUGHS[name], list(examples.constants_of(method))).splitlines()
    assert max(map(width, lines)) <= 130
    text = "\n".join(lines)
    for symbol in (*examples.symbols_of(method), *(step.name for step in WALKTHROUGHS[name].steps)):
        assert SIGNS.get(symbol, symbol) in text, symbol
    grid = [[c for c in line if width(c)] for line in lines]
    ends = {"┐": "│├┤┼┘", "│": "│├┤┼┘┴", "├": "│├┤┼┘", "┤": "│├┤┼┘", "┼": "│├┤┼┘"}
    for above, below in zip(grid, [*grid[1:], []], strict=True):
        for place, character in enumerate(above):
            if character in ends:
                assert place < len(below) and below[place] in ends[character], (name, text)


def test_pushes_of_dpo_are_its_closed_form() -> None:
    wrong, start, right = pushes(METHODS["dpo"])
    assert start.loss == pytest.approx(np.log(2)) and start.sides["chosen"] == pytest.approx(0.05)
    grad = oracle.dpo_grad(10.0, -10.0, 0.0, 0.0)
    assert right.sides == {"chosen": pytest.approx(-grad.chosen), "rejected": pytest.approx(-grad.rejected)}
    assert wrong.sides["chosen"] > start.sides["chosen"] > right.sides["chosen"]


@pytest.mark.parametrize(
    ("name", "nats", "chosen", "rejected"),
    [("dpop", 0, 0.15, -0.15), ("minor_dpo", 0, 0.05, 0.0), ("hinge", 20, 0.0, 0.0), ("rso", 20, 0.0, 0.0)],
)
def test_pushes_at_a_kink_are_the_gradients_that_a_run_has(name, nats, chosen, rejected) -> None:
    method = METHODS[name]
    ratios = [torch.tensor([half], dtype=torch.float64, requires_grad=True) for half in (nats / 2, -nats / 2)]
    method.loss(*ratios, **method.constants).backward()
    assert [-ratio.grad.item() for ratio in ratios] == pytest.approx([chosen, rejected])
    found = next(
        push for push in pushes(method) if push.place.startswith("where" if nats == 0 else f"{nats} nats in the r")
    )
    assert found.sides == pytest.approx({"chosen": chosen, "rejected": rejected})


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.data == "pairs"])
def test_only_the_difference_counts_where_a_common_fall_changes_nothing(name) -> None:
    """Anchored losses push both sides equally hard as well, as long as they move apart evenly."""
    text = told(found := pushes(METHODS[name]))
    if "only the difference counts" in text:
        assert [push.fallen for push in found] == pytest.approx([push.loss for push in found])
    anchored = {"apo_zero", "bco", "sppo", "cal_dpo", "chi_po", "wpo"}
    assert ("both rise or fall together" in text) == (name in anchored)
    assert "only the difference counts" in text or name not in {"dpo", "ipo", "hinge", "tpo", "mallowspo"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cdpo", "a loss that stays at 0.6931"),
        ("cal_dpo", "a loss that stays at 50.69"),
        *((name, "a loss that stays where it began") for name in ("r_dpo", "odpo", "modpo", "reward_aware")),
        *((name, "a loss that stays where it began") for name in ("rao_kupper", "plackett_luce", "info_nca")),
        *((name, "only what the loss makes of other terms moves") for name in ("dpo_nll", "mpo", "alpha_dpo")),
    ],
)
def test_what_a_reference_that_is_the_policy_leaves_of_the_loss(name, words) -> None:
    (text,) = [text for text in pitfalls(METHODS[name]) if text.startswith("Reference not frozen")]
    assert text.endswith(f"log-ratios of 0, and {words}")


def test_pitfalls_speak_of_what_the_method_has() -> None:
    for name, method in METHODS.items():
        text = ". ".join(pitfalls(method))
        assert method.needs_reference or "log-ratios" not in text, name
        assert "beta" in method.constants or "beta means" not in text, name
    assert "delta means something else" in ". ".join(pitfalls(METHODS["slic"]))
    assert "Sums over tokens in place" not in ". ".join(pitfalls(METHODS["tpo"]))


def test_a_greek_letter_is_not_made_a_capital() -> None:
    assert "- β²-times the loss" in as_text(explain("ipo"), "ipo")
    assert "sheet" not in as_text(explain("kto"), "kto")


def test_of_nca_lists_answers_those_rise_above_an_equal_share() -> None:
    """Not those rated above the average: of 10, 9 and 1 the 9 falls."""
    ratings, start = np.array([[10.0, 9.0, 1.0]]), np.zeros((1, 3))
    slopes = oracle.nca_list_grad(start, start, ratings, temperature=1.0).policy[0]
    shares = np.exp(ratings[0]) / np.exp(ratings[0]).sum()
    assert ((slopes < 0) == (shares > 1 / 3)).all() and slopes[1] > 0


def test_davidsons_margin_grows_with_the_weight_of_ties() -> None:
    """On 80 wins, 10 losses and 10 ties: at 0 a tie is half a win, and too large a weight drives the margin far out."""

    def best(nu: float) -> float:
        z = np.linspace(0.0, 12.0, 24001)
        costs = [
            oracle.davidson_loss(sign * z, 0 * z, tie, 1.0, nu, reduction="none")
            for sign, tie in ((1, False), (-1, False), (1, True))
        ]
        return z[np.argmin(0.8 * costs[0] + 0.1 * costs[1] + 0.1 * costs[2])]

    margins = [best(nu) for nu in (1e-6, 0.1, 1.0, 10.0)]
    assert margins[0] == pytest.approx(np.log(0.85 / 0.15), abs=1e-3) and margins == sorted(margins) and margins[-1] > 7


def test_orpo_on_summed_log_probs_compares_sums() -> None:
    found = oracle.orpo_loss(-90.0, -80.0, 1, 1, 1.0) - 90.0
    assert found == pytest.approx(np.logaddexp(0.0, 10.0))


def test_the_worked_example_and_its_derivative_are_right() -> None:
    four = [examples.PAIR[name] for name in ("pw", "pl", "rw", "rl")]
    page = {section.title: section.text for section in explain("dpo")}
    assert page["Worked example"].splitlines()[-1].split()[-1] == f"{oracle.dpo_loss(*four):.6g}"
    assert page["Derivative"].splitlines()[-2].split()[-1] == f"{oracle.dpo_grad(*four).rejected:.6g}"
    assert page["Derivative"].splitlines()[-1].split()[-1] == f"{oracle.dpo_grad(*four).chosen:.6g}"


@pytest.mark.parametrize("name", PROSE)
def test_prose_names_methods_and_constants_that_exist(name: str) -> None:
    assert set(PROSE[name].values) <= set(METHODS[name].constants)
    assert PROSE[name].pitfalls and PROSE[name].neighbours


def test_an_unknown_method_is_one_clear_line() -> None:
    with pytest.raises(InputError, match="Did you mean 'ipo'"):
        explain("ipoo")


def test_every_method_has_advice_or_prose_and_not_both() -> None:
    assert set(ADVICE) | set(PROSE) == set(METHODS)
    assert not set(ADVICE) & set(PROSE)
    for name, (use, wrong) in ADVICE.items():
        assert use.endswith(".") and not wrong.endswith("."), name


def test_constants_are_told_in_the_docstring_words() -> None:
    told = next(section.text for section in explain("dpop") if section.title == "Constants")
    assert "0.3 in the paper" in told and "lambda = 50.0" in told
    told = next(section.text for section in explain("r_dpo") if section.title == "Constants")
    assert "what one more token is taken to be worth" in told.lower() and "docstring" not in told


def test_a_default_that_no_source_confirms_is_marked_and_the_mark_explained():
    page = as_text(explain("minor_dpo"), "minor_dpo")
    assert "- beta = 0.1?: " in page and MEANING in page
    assert "?" not in next(section.text for section in explain("npo") if section.title == "Constants")


def test_a_method_is_explained_and_checked_by_its_other_names(capsys):
    with pytest.raises(SystemExit):
        main(["explain", "rdpo"])
    assert capsys.readouterr().out.startswith("robust_dpo\n") and get_subject("rdpo").name == "robust_dpo"
