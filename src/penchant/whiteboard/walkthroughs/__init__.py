"""The steps of every method: those of ``anatomy``, and these for the pages alone, which `penchant check` does not bend.

A test holds every one of them to the catalogue's loss and its derivative on random rows.
"""

from __future__ import annotations

from penchant.whiteboard.anatomy import ANATOMIES, Anatomy
from penchant.whiteboard.walkthroughs import comparing, many, sides, tokens

_PAGES = (comparing.LABELS, comparing.LINKS, sides.SIDES, tokens.PER_TOKEN, tokens.TOKENS, many.BATCHES, many.LISTS)
WALKTHROUGHS = ANATOMIES | {name: Anatomy(name, steps) for page in _PAGES for name, steps in page.items()}
"""The steps of every method of the catalogue, and of the log-sigmoid."""
