"""The catalogue: every method is a loss with bound constants and a paper; what it needs is read off its signature."""

from __future__ import annotations

from penchant.errors import InputError, suggest
from penchant.objectives.catalogue import anchored, lengths, links, lists, logistic, pair_anchors, token_level
from penchant.objectives.catalogue.method import Method, Paper, shown

__all__ = ["METHODS", "Method", "Paper", "get_method", "shown"]

_PAGES = (logistic, lengths, links, pair_anchors, anchored, token_level, lists)

METHODS: dict[str, Method] = {method.name: method for page in _PAGES for method in page.METHODS}
"""Every method by name, in the order of the pages."""


def get_method(name: str) -> Method:
    """Look a method up.

    Raises:
        InputError: with the nearest name, if there is none of this name.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(f"no method {name!r}", fix=suggest(str(name), METHODS))
    return METHODS[name]
