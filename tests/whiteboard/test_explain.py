"""The pages of `penchant explain`."""

from __future__ import annotations

import numpy as np
import pytest

from penchant import numpy as oracle
from penchant.errors import InputError
from penchant.objectives import METHODS
from penchant.whiteboard.explain import EXAMPLE, as_markdown, as_text, explain, slopes
from penchant.whiteboard.inputs import sample_rows
from penchant.whiteboard.prose import PROSE
from penchant.whiteboard.subjects import get_subject
from penchant.whiteboard.walkthroughs import WALKTHROUGHS


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_page(name: str) -> None:
    sections = {section.title: section.text for section in explain(name)}
    assert METHODS[name].formula in sections["Formula"]
    assert METHODS[name].paper.place in sections["Source"]
    assert all(text for text in sections.values())
    assert as_text(explain(name), name) and as_markdown(explain(name), name).startswith(f"# {name}")


@pytest.mark.parametrize("name", PROSE)
def test_prose_names_methods_and_constants_that_exist(name: str) -> None:
    assert set(PROSE[name].values) <= set(METHODS[name].constants)
    assert PROSE[name].pitfalls and PROSE[name].neighbours


def test_the_worked_example_and_its_derivative_are_right() -> None:
    four = [EXAMPLE[name] for name in ("pw", "pl", "rw", "rl")]
    text = next(section.text for section in explain("dpo") if section.title == "Worked example")
    assert text.splitlines()[-1].split()[-1] == f"{oracle.dpo_loss(*four):.6g}"
    grad = oracle.dpo_grad(*four)
    found = slopes(get_subject("dpo"))
    assert found == {"pw": pytest.approx(grad.chosen, rel=1e-7), "pl": pytest.approx(grad.rejected, rel=1e-7)}


def test_an_unknown_method_is_one_clear_line() -> None:
    with pytest.raises(InputError, match="Did you mean 'ipo'"):
        explain("ipoo")


def test_advice_is_given_to_methods_of_the_catalogue_once():
    from penchant.objectives import METHODS
    from penchant.whiteboard.advice import ADVICE
    from penchant.whiteboard.prose import PROSE

    assert set(ADVICE) <= set(METHODS)
    assert not set(ADVICE) & set(PROSE)
    for name, (use, wrong) in ADVICE.items():
        assert use.endswith(".") and not wrong.endswith("."), name


def test_constants_are_told_in_the_docstring_words():
    told = next(section.text for section in explain("dpop") if section.title == "Constants")
    assert "0.3 in the paper" in told and "lambda = 50.0" in told


@pytest.mark.parametrize("name", WALKTHROUGHS)
def test_the_steps_of_a_page_end_in_the_loss(name: str) -> None:
    subject = get_subject(name)
    rows = sample_rows(50, subject.extras)
    rows |= {constant: np.full(50, float(value)) for constant, value in subject.constants.items()}
    np.testing.assert_allclose(WALKTHROUGHS[name].loss(rows), subject.formula.loss(rows), rtol=1e-9, atol=1e-12)
