"""The site builds offline without a warning, asks for nothing from elsewhere, and has a page for everything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from penchant.cli import app
from penchant.objectives import METHODS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_methods_that_a_trl_user_is_sent_to_exist():
    named = re.findall(r"--method (\w+)", (DOCS / "trl.md").read_text(encoding="utf-8"))
    assert len(named) > 15
    assert set(named) <= set(METHODS)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_all_code_stands_in_a_block_that_is_run_or_called_text(page):
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^```(\S*)", text, flags=re.M)
    assert set(fences[::2]) <= {"python", "console", "text", "{toctree}", "{include}"}
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    assert re.findall(r"\n\n    \S.*", re.sub(r"<!--.*?-->", "", outside, flags=re.S)) == []


@pytest.mark.slow
def test_the_site(tmp_path):
    pytest.importorskip("furo")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(tmp_path)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for name in METHODS:
        page = (tmp_path / "methods" / f"{name}.html").read_text(encoding="utf-8")
        assert 'class="figure-svg"' in page and "<math" in page, name
    for name in app:
        if not name.startswith("-"):
            assert f"penchant {name}" in (tmp_path / "commands" / f"{name}.html").read_text(encoding="utf-8")
    for page in tmp_path.rglob("*.html"):
        fetched = r'<(?:script|img|iframe)[^>]*src="https?:|<link[^>]*rel="(?:stylesheet|preload)"[^>]*href="https?:'
        assert re.findall(fetched, page.read_text(encoding="utf-8")) == [], page.name
