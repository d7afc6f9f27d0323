r"""Losses on pairs of which some state no preference.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\rho_w = \log\pi(y_w|x)/\pi_{ref}(y_w|x)`, :math:`\rho_l` likewise, :math:`\sigma` the logistic function,
:math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.surrogates import logistic
from penchant.records import Array


@objective
def rao_kupper_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    is_tie: Array,
    beta: float = 0.1,
    tie_margin: float = 1.0986122886681098,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DPO with ties, by Rao and Kupper: rewards within a margin of one another may count as equal.

    .. math:: \text{win: } -\log\sigma(z - \alpha), \quad \text{tie: } -\log\big[(e^{2\alpha} -
              1)\,\sigma(z-\alpha)\,\sigma(-z-\alpha)\big], \quad z = \beta(\rho_w - \rho_l)

    The probabilities of a win, a loss and a tie add up to 1. Ties pull the two answers together; without them they are
    thrown away.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        is_tie: True where neither answer was preferred, same shape.
        beta: > 0; 0.1 is among the paper's values.
        tie_margin: > 0; alpha, log 3 in the paper: equals tie half of the time.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log(1 + e^alpha) for a win when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Jinghong Chen, Guangyu Yang, Weizhe Lin et al., "On Extending Direct Preference Optimization to Accommodate
        Ties", 2024, arXiv:2409.17431.

    Example:
        >>> round(rao_kupper_loss(2.0, -1.0, False, tie_margin=0.5), 9)
        0.798138869
    """
    z = beta * (log_ratio_w - log_ratio_l)
    xp = compat.array_namespace(z)
    win, loss = logistic(z - tie_margin), logistic(-z - tie_margin)
    tie = win + loss - xp.log(xp.expm1(2 * tie_margin + xp.zeros_like(z)))
    return reduce(xp.where(is_tie, tie, win), reduction)


@objective
def davidson_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    is_tie: Array,
    beta: float = 0.1,
    nu: float = 1.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DPO with ties, by Davidson: ties are a third outcome with a weight of its own.

    .. math:: \text{win: } -\log\frac{e^z}{e^z + 1 + 2\nu e^{z/2}}, \quad \text{tie: } -\log\frac{2\nu e^{z/2}}{e^z +
              1 + 2\nu e^{z/2}}, \quad z = \beta(\rho_w - \rho_l)

    The probabilities of a win, a loss and a tie add up to 1. At nu = 1 a win costs exactly twice DPO's loss at half the
    margin.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        is_tie: True where neither answer was preferred, same shape.
        beta: > 0; 0.1 is among the paper's values.
        nu: > 0; 1 in the paper: equals tie half of the time. Towards 0 wins cost what they do in DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log(2 + 2 nu) for a win when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Jinghong Chen, Guangyu Yang, Weizhe Lin et al., "On Extending Direct Preference Optimization to Accommodate
        Ties", 2024, arXiv:2409.17431.

    Example:
        >>> round(davidson_loss(2.0, -1.0, False), 9)
        1.241914096
    """
    z = beta * (log_ratio_w - log_ratio_l)
    xp = compat.array_namespace(z)
    log_weight = xp.log(2 * nu + xp.zeros_like(z))
    # log-odds of the other two outcomes; torch's logaddexp has no second derivative far out
    against_tie = z / 2 + logistic(z) - log_weight
    against_win = logistic(-log_weight - z / 2) - z
    return reduce(logistic(-xp.where(is_tie, against_tie, against_win)), reduction)
