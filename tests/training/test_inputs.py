"""A method whose inputs the trainer does not compute is refused in one line, before anything is read or written."""

from __future__ import annotations

import pytest

import penchant
from penchant import InputError
from penchant.objectives import METHODS
from penchant.training.inputs import missing_inputs


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("tdpo", ("chosen_sequence_kl, rejected_sequence_kl", "penchant.tdpo_loss")),
        ("plackett_luce", ("policy_list_logps", "penchant.plackett_luce_loss")),
    ],
)
def test_a_method_that_cannot_be_trained_yet(tmp_path, method, words):
    with pytest.raises(InputError) as caught:
        penchant.train(model="m", data="d.jsonl", method=method, output_dir=tmp_path / "run")
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"method {method!r} cannot be trained with yet")
    assert all(word in message for word in words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["dpo", "ipo", "kto", "simpo", "orpo", "hinge", "r_dpo"])
def test_a_method_of_known_inputs(method):
    assert missing_inputs(METHODS[method]) == []
