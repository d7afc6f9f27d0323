"""Every objective broken in the usual ways: the proof notices, but for mutants that compute the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).resolve().parents[2] / "scripts" / "mutants.py"
    spec = importlib.util.spec_from_file_location("mutants", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def missed(script, found):
    return [(name, what) for name, what, by in found if by is None and (name, what) not in script.EQUIVALENT]


def test_dpo_broken_in_the_usual_ways(script):
    found = list(script.of_losses("dpo"))
    assert missed(script, found) == []
    told = {what for _, what, _ in found}
    assert {"the pair swapped", "ref_chosen_logps dropped", "beta ignored", "references and labels attached"} <= told
    assert len(found) >= 15


@pytest.mark.slow
def test_every_mutant_is_noticed(script):
    found = [*script.of_losses(), *script.of_primitives()]
    assert missed(script, found) == []
    assert len(found) > 900


@pytest.mark.slow
def test_what_is_listed_as_equivalent_is_not_noticed(script):
    """Each of them once: two places of a function may be broken in the same words."""
    found = [*script.of_losses(), *script.of_primitives()]
    assert sorted((name, what) for name, what, by in found if by is None) == sorted(script.EQUIVALENT)
