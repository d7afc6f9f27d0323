"""How to weigh desirable against undesirable answers, from their numbers.

KTO: Model Alignment as Prospect Theoretic Optimization, K. Ethayarajh, W. Xu, N. Muennighoff and others, 2024,
arXiv:2402.01306, section 4.2: the weights are to make lambda_D n_D / (lambda_U n_U) lie between 1 and 4/3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LOW, HIGH = 1.0, 4 / 3


def weight_report(rows: Sequence[Any], constants: Mapping[str, Any]) -> str:
    """One line on the two classes: their numbers, the ratio that the weights make of them, and a better weight."""
    good = sum(row.label for row in rows)
    bad = len(rows) - good
    counts = f"{good} desirable and {bad} undesirable answers"
    if not good or not bad:
        return f"{counts}: of one class alone, the loss only pulls one way"
    ratio = constants["desirable_weight"] * good / max(constants["undesirable_weight"] * bad, 1e-300)
    said = f"{counts}; weight times number is {ratio:.3g} to 1"
    if LOW - 1e-9 <= ratio <= HIGH + 1e-9:
        return f"{said}, within the 1 to 4/3 that KTO's authors advise"
    if good >= bad:
        better = f"--undesirable-weight {_inside(good / bad / HIGH, good / bad / LOW)}"
    else:
        better = f"--desirable-weight {_inside(LOW * bad / good, HIGH * bad / good)}"
    return f"{said}; KTO's authors advise 1 to 4/3: {better} with the other at 1"


def _inside(low: float, high: float) -> str:
    """The middle, in as few digits as stay inside."""
    middle = (low + high) / 2
    for digits in range(1, 6):
        text = f"{middle:.{digits}g}"
        if low <= float(text) <= high:
            return text
    return f"{middle:g}"
