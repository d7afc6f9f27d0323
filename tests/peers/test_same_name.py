"""The page of differences is what its script prints, from the code of both sides as installed."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date(monkeypatch):
    pytest.importorskip("trl")
    pytest.importorskip("liger_kernel")
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    path = list(sys.path)
    page = import_module("same_name").page()
    sys.path[:] = path
    assert (ROOT / "docs" / "same-name.md").read_text(encoding="utf-8") == page
