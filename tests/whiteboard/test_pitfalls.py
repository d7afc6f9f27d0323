"""The examples of docs/pitfalls.md run, section by section, and name findings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "pitfalls.md").read_text(encoding="utf-8")
SECTIONS = {part.splitlines()[0]: part for part in PAGE.split("\n## ")[1:]}
PREAMBLE = "import numpy as np\nimport penchant\n"


def blocks(section: str) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", section, flags=re.S))


@pytest.mark.parametrize("title", SECTIONS)
def test_the_example_is_true(title: str) -> None:
    source = blocks(SECTIONS[title])
    assert "assert" in source
    exec(compile(PREAMBLE + source, title, "exec"), {})


def test_the_findings_that_the_page_names_exist() -> None:
    room = Path(__file__).parents[2] / "src" / "penchant" / "whiteboard"
    known = "".join(path.read_text(encoding="utf-8") for path in room.glob("*.py"))
    named = re.findall(r"`penchant check`\s+(?:reports|remarks on)([^.]*)\.", PAGE)
    codes = [code for text in named for code in re.findall(r"`([a-z_-]+)`", text)]
    assert len(codes) > 15
    for code in codes:
        assert f'"{code}"' in known, code
