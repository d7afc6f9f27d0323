r"""The oracle: the study sheet's losses in float64 NumPy, each with its derivative in closed form.

It shares no code with :mod:`penchant.objectives`, so that each can be tested against the other.

Notation: :math:`\sigma(x) = 1/(1+e^{-x})`; w is the chosen answer, l the rejected one; :math:`\rho =
\log\pi_\theta(y|x) - \log\pi_{ref}(y|x)` is a log-ratio: of probabilities, not of odds (only ORPO works with odds).
Inputs are Python numbers, lists or arrays, scalar or of shape ``(pairs,)``; a scalar serves every pair. Losses take
``reduction="mean"``, ``"sum"`` or ``"none"`` (one loss per pair). ``*_grad`` differentiates each pair's loss before
reduction, by the policy only. Infinite and NaN log-probs follow IEEE arithmetic without a warning.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from penchant.numpy.common import AnswerGrad as AnswerGrad
from penchant.numpy.common import PairGrad as PairGrad
from penchant.numpy.common import log_sigmoid as log_sigmoid
from penchant.numpy.common import sigmoid as sigmoid

if TYPE_CHECKING:
    from penchant.numpy.anchored import *
    from penchant.numpy.batches import *
    from penchant.numpy.displacement import *
    from penchant.numpy.divergences import *
    from penchant.numpy.gold_answers import *
    from penchant.numpy.lengths import *
    from penchant.numpy.links import *
    from penchant.numpy.listwise import *
    from penchant.numpy.logistic import *
    from penchant.numpy.mixes import *
    from penchant.numpy.negatives import *
    from penchant.numpy.pair_anchors import *
    from penchant.numpy.rated_lists import *
    from penchant.numpy.ratings import *
    from penchant.numpy.reference_free import *
    from penchant.numpy.ties import *
    from penchant.numpy.token_level import *
    from penchant.numpy.vocabulary_level import *

_PAGES = (
    "logistic",
    "ratings",
    "ties",
    "lengths",
    "displacement",
    "reference_free",
    "gold_answers",
    "links",
    "divergences",
    "pair_anchors",
    "negatives",
    "mixes",
    "anchored",
    "token_level",
    "vocabulary_level",
    "batches",
    "listwise",
    "rated_lists",
)

for _page in _PAGES:  # what ends in _loss or _grad is published
    _names = vars(import_module(f"penchant.numpy.{_page}"))
    globals().update({name: value for name, value in _names.items() if name.endswith(("_loss", "_grad"))})
