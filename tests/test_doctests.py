"""The examples in the docstrings print what they say."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

WITH_EXAMPLES = ("arrays", "numpy", "objectives.pairwise", "objectives.unpaired", "evaluation.statistics")


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name):
    failed, attempted = doctest.testmod(import_module(f"penchant.{name}"))
    assert attempted > 0
    assert failed == 0
