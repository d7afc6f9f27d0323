"""Golden rows: for every published function what it must return and how steep it is there.

One page per kind of loss, each with its ``RECIPES`` and ``ROWS``; :mod:`.recipe` says how the numbers were made.
A new row is written with any numbers first; then ``PYTHONPATH=tests python -m objectives.rows METHOD_loss`` prints the
numbers to type for each of the function's rows.

Names: G1-G3, K1-K3, S1-S3 are the rows of the study sheet's audit; P is the catalogue's test point.
"""

from __future__ import annotations

from dataclasses import replace

from . import (
    anchored,
    batches,
    displacement,
    divergences,
    gold_answers,
    lengths,
    links,
    listwise,
    logistic,
    mixes,
    negatives,
    pair_anchors,
    rated_lists,
    ratings,
    reference_free,
    scalars,
    ties,
    token_level,
    vocabulary_level,
)
from .recipe import Recipe, Row

_PAGES = (
    scalars,
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
    vocabulary_level,
    batches,
    listwise,
    rated_lists,
)

RECIPES: dict[str, Recipe] = {function: recipe for page in _PAGES for function, recipe in page.RECIPES.items()}
ROWS: list[Row] = [replace(row, recipe=RECIPES[row.function]) for page in _PAGES for row in page.ROWS]
