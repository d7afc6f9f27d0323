"""The catalogue: every method is a loss with bound constants and a paper; what it needs is read off its signature."""

from __future__ import annotations

from collections.abc import Callable

from penchant.errors import InputError, suggest
from penchant.objectives.catalogue import (
    anchored,
    batches,
    displacement,
    divergences,
    gold_answers,
    lengths,
    links,
    lists,
    logistic,
    mixes,
    negatives,
    pair_anchors,
    ratings,
    reference_free,
    ties,
    token_level,
)
from penchant.objectives.catalogue.method import Method, Paper, shown
from penchant.objectives.catalogue.mix import mix
from penchant.objectives.catalogue.own import method_from_file, own_method
from penchant.objectives.catalogue.unconfirmed import MEANING, UNCONFIRMED, mark
from penchant.records import Array

__all__ = ["MEANING", "METHODS", "OTHER_NAMES", "UNCONFIRMED", "Method", "Paper", "get_method", "mark", "shown"]

_PAGES = (
    logistic,
    ratings,
    ties,
    lengths,
    displacement,
    reference_free,
    gold_answers,
    links,
    divergences,
    pair_anchors,
    negatives,
    mixes,
    anchored,
    token_level,
    batches,
    lists,
)

METHODS: dict[str, Method] = {method.name: method for page in _PAGES for method in page.METHODS}
"""Every method by name, in the order of the pages."""


OTHER_NAMES = {
    "rdpo": "robust_dpo",
    "focalpo": "focal_dpo",
    "sigmoid_norm": "ln_dpo",
    "dpo_norm": "ln_dpo",
    "iterative_rpo": "dpo_nll",
    "truncated_quadratic": "squared_hinge",
    "tdpo2": "tdpo",
    "aot_paired": "aot",
    "infonca": "info_nca",
    "exo_rw": "exo_list",
    "lipo_lambda": "lipo",
}
"""Names that papers and other libraries use for methods that the catalogue has under another."""


def get_method(name: str | Callable[..., Array]) -> Method:
    """The method that a name of the catalogue, a sum (``0.8*dpo + 0.2*ipo + nll``), ``FILE.py:FUNCTION`` or a function
    stands for.

    Raises:
        InputError: with the nearest name, if there is none of this name; or saying what is wrong with the sum, the file
            or the function.
    """
    if callable(name):
        return own_method(name)
    if isinstance(name, str) and ".py:" in name:
        return method_from_file(name)
    if isinstance(name, str) and any(sign in name for sign in ("*", "+", "(", " - ")):
        return mix(name, get_method)
    known = OTHER_NAMES.get(name, name) if isinstance(name, str) else ""
    if known not in METHODS:
        raise InputError(f"no method {name!r}", fix=suggest(str(name), METHODS, "See `penchant methods`"))
    return METHODS[known]
