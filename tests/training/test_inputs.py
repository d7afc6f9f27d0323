"""What a method's loss asks for is what the trainer can compute; a term that nobody computes is refused in one line."""

from __future__ import annotations

import dataclasses

import pytest

from penchant import InputError
from penchant.objectives import METHODS
from penchant.training import inputs
from penchant.vocabulary import TERMS


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_the_catalogue_can_be_trained_with(method):
    inputs.check_trainable(METHODS[method])


def test_every_term_of_the_vocabulary_comes_from_somewhere():
    for name, term in TERMS.items():
        kind = next((kind for kind in ("answers", "lists") if kind in term.needs), "pairs")
        assert inputs.known(name, kind), name


def test_a_term_that_nobody_computes_is_named(monkeypatch):
    monkeypatch.setitem(TERMS, "chosen_scores", dataclasses.replace(TERMS["chosen_scores"], columns=()))
    with pytest.raises(InputError) as caught:
        inputs.check_trainable(METHODS["rebel"])
    message = str(caught.value)
    assert message.startswith("method 'rebel' cannot be trained with yet: the trainer does not compute chosen_scores")
    assert "penchant.rebel_loss" in message and "\n" not in message
