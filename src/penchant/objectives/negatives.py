r"""Losses that know rejected answers only: unlearning.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\rho_w = \log\pi(y_w|x)/\pi_{ref}(y_w|x)`, :math:`\rho_l` likewise, :math:`\sigma` the logistic function,
:math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.scores import mean_logps
from penchant.objectives.surrogates import logistic
from penchant.records import Array


@objective
def npo_loss(
    log_ratio_l: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Negative Preference Optimization: unlearning from rejected answers alone.

    .. math:: -\frac2\beta\log\sigma(-\beta\rho_l)

    DPO without its chosen answer. Towards beta = 0 the slope is that of plain gradient ascent, which never ends; a
    larger beta lets answers go once they are unlikely enough.

    Args:
        log_ratio_l: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the rejected answer, nats.
        beta: > 0; 0.1 in the authors' code.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, scaled by 2/beta as in the paper; 2 log 2 / beta when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Ruiqi Zhang, Licong Lin, Yu Bai, Song Mei, "Negative Preference Optimization: From Catastrophic Collapse to
        Effective Unlearning", 2024, arXiv:2404.05868.

    Example:
        >>> round(npo_loss(-1.0), 9)
        12.887933201
    """
    return reduce(2 / beta * logistic(-beta * log_ratio_l), reduction)


@objective
def simnpo_loss(
    rejected_logps: Array,
    rejected_lengths: Array,
    beta: float = 2.5,
    gamma: float = 0.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""SimNPO: unlearning without a reference, per token.

    .. math:: -\frac2\beta\log\sigma\Big(-\frac{\beta}{|y_l|}\log\pi(y_l|x) - \gamma\Big)

    NPO's reference makes it spend its effort on answers that were likely before, not on those that are easy to recall
    now; here an answer's own log-prob per token decides.

    Args:
        rejected_logps: Shape ``(pairs,)`` or scalar; nats, summed over the rejected answer's tokens.
        rejected_lengths: Tokens of the rejected answer, at least 1 and exactly those summed (end-of-turn included).
        beta: > 0; 2.5 and 4.5 in the authors' two recipes for TOFU.
        gamma: Margin; 0 in the authors' code.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, scaled by 2/beta as in NPO.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Chongyu Fan, Jiancheng Liu, Licong Lin et al., "Simplicity Prevails: Rethinking Negative Preference Optimization
        for LLM Unlearning", 2024, arXiv:2410.07163.

    Example:
        >>> round(simnpo_loss(-30.0, 15), 9)
        0.005372279
    """
    z = -beta * mean_logps(rejected_logps, rejected_lengths) - gamma
    return reduce(2 / beta * logistic(z), reduction)
