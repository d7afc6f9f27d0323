"""The examples in the docstrings print what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import penchant

ROOMS = ("numpy", "objectives")
WITH_EXAMPLES = ["arrays", "evaluation.statistics"] + [
    f"{room}.{path.stem}"
    for room in ROOMS
    for path in sorted((Path(penchant.__file__).parent / room).glob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name):
    failed, attempted = doctest.testmod(import_module(f"penchant.{name}"))
    assert attempted > 0
    assert failed == 0
