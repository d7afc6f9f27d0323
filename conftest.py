"""README.md and docs/ hold tests, too: their code blocks (tests/docs_blocks.py)."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tests"))
HAVE_SYBIL = find_spec("sybil") is not None

if HAVE_SYBIL:
    from docs_blocks import pytest_collect_file, pytest_xdist_make_scheduler

    __all__ = ["pytest_collect_file", "pytest_xdist_make_scheduler"]


def pytest_report_header() -> list[str]:
    return [] if HAVE_SYBIL else ["sybil is not installed: the code blocks of README.md and docs/ are not run"]
