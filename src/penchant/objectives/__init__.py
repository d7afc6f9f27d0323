"""The published objectives as plain functions, and the catalogue of methods. No torch is imported here."""

from typing import TYPE_CHECKING

from penchant.objectives.catalogue import METHODS as METHODS
from penchant.objectives.catalogue import Method as Method
from penchant.objectives.catalogue import Paper as Paper
from penchant.objectives.catalogue import get_method as get_method

if TYPE_CHECKING:
    from penchant.objectives.anchored import *
    from penchant.objectives.batches import *
    from penchant.objectives.displacement import *
    from penchant.objectives.divergences import *
    from penchant.objectives.gold_answers import *
    from penchant.objectives.lengths import *
    from penchant.objectives.links import *
    from penchant.objectives.listwise import *
    from penchant.objectives.logistic import *
    from penchant.objectives.mixes import *
    from penchant.objectives.negatives import *
    from penchant.objectives.pair_anchors import *
    from penchant.objectives.rated_lists import *
    from penchant.objectives.ratings import *
    from penchant.objectives.reference_free import *
    from penchant.objectives.ties import *
    from penchant.objectives.token_level import *
    from penchant.objectives.vocabulary_level import *

LOSSES = {method.loss.__name__: method.loss for method in METHODS.values()}
"""Every published loss by its function's name; each is an attribute of this package and of ``penchant`` too."""

globals().update(LOSSES)
