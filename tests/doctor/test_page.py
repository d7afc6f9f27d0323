"""The page on the doctor has a section for every rule, in the rule's own words."""

from __future__ import annotations

from pathlib import Path

from penchant.doctor.catalogue import RULES, as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


def test_page_is_made_of_the_rules():
    page = PAGE.read_text(encoding="utf-8")
    assert as_markdown() in page
    assert page.count("\n### D") == len(RULES)
