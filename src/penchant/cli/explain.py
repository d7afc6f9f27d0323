"""``penchant explain``: a method as a page of a textbook."""

from __future__ import annotations


def explain(method: str, *, markdown: bool = False) -> None:
    """Explain a method: formula, steps, a worked example with numbers, derivative, constants, pitfalls, neighbours.

    Parameters
    ----------
    method
        Any method of `penchant methods`.
    markdown
        Print the page as Markdown.
    """
    from penchant.objectives import get_method
    from penchant.whiteboard import explain as page

    sections, name = page.explain(method), get_method(method).name
    print(page.as_markdown(sections, name) if markdown else page.as_text(sections, name))
