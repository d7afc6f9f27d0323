"""The curves on the methods' pages of the site."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from penchant.objectives import METHODS


class Axis:
    """What is drawn, kept."""

    def __init__(self):
        self.lines = []

    def plot(self, x, y, label=""):
        self.lines.append((label, np.asarray(y, dtype=float)))

    def __getattr__(self, name):
        return lambda *_, **__: ([], [])


@pytest.fixture(scope="module")
def curves():
    pytest.importorskip("matplotlib")
    sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "_ext"))
    import curves

    yield curves
    sys.path.pop(0)


@pytest.mark.parametrize("name", METHODS)
def test_every_curve_is_there_and_smooth_where_nothing_but_the_gradient_moves(name, curves):
    method, losses, pushes = METHODS[name], Axis(), Axis()
    {"pairs": curves._pairs, "answers": curves._answers, "lists": curves._lists}[method.data](method, losses, pushes)
    for label, values in losses.lines + pushes.lines:
        assert np.isfinite(values).all(), label
    assert any(np.ptp(values) > 0 or values[0] != 0 for _, values in pushes.lines)
    if name in (
        "lipo",
        "wpo",
        "alpha_dpo",
        "beta_dpo",
    ):  # ranks, weights and margins that are constants for the gradient
        assert max(np.abs(values).max() for _, values in pushes.lines) < 1
