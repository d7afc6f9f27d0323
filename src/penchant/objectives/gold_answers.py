r"""Losses that compare two answers and imitate a third.

Notation: p log-prob of an answer under the policy, nats, summed over tokens; :math:`\bar p` per token; w the chosen
answer, l the rejected one, g the gold one.
"""

from __future__ import annotations

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.scores import mean_logps, nll
from penchant.objectives.surrogates import logistic
from penchant.records import Array


@objective
def tpo_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    gold_logps: Array,
    gold_lengths: Array,
    beta: float = 0.01,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Triple preference optimisation: CPO that imitates a third, gold answer instead of the chosen one.

    .. math:: -\log\sigma\big(\beta[p_w - p_l]\big) - \alpha\,\bar p_g

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; policy log-prob of the chosen answer, nats, summed over its tokens.
        rejected_logps: The same for the rejected answer.
        gold_logps: The same for the gold answer.
        gold_lengths: Tokens of the gold answer, exactly those summed.
        beta: > 0; 0.01 in TRL's recipe, 0.1 in the authors' first script.
        alpha: Weight of the imitation; 1 in TRL's recipe, 0.5 in the authors' first script.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats.

    Raises:
        InputError: if shapes disagree, the batch is empty, a length is below 1, or a constant is out of its domain.

    References:
        Amir Saeidi et al., "Triple Preference Optimization: Achieving Better Alignment using a Single Step
        Optimization", 2024, arXiv:2405.16681.

    Example:
        >>> round(tpo_loss(-12.0, -30.0, -10.0, 8, beta=0.1), 9)
        1.402977611
    """
    return reduce(logistic(beta * (chosen_logps - rejected_logps)) + alpha * nll(gold_logps, gold_lengths), reduction)


@objective
def tpo_l_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    gold_logps: Array,
    gold_lengths: Array,
    beta: float = 2.0,
    gamma: float = 0.5,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Triple preference optimisation by length: SimPO that imitates a third, gold answer.

    .. math:: -\log\sigma\big(\beta[\bar p_w - \bar p_l] - \gamma\big) - \alpha\,\bar p_g

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; policy log-prob of the chosen answer, nats, summed over its tokens.
        rejected_logps: The same for the rejected answer.
        chosen_lengths: Tokens of the chosen answer, exactly those summed.
        rejected_lengths: The same for the rejected answer.
        gold_logps: Policy log-prob of the gold answer, nats, summed over its tokens.
        gold_lengths: Tokens of the gold answer, exactly those summed.
        beta: > 0; the defaults of beta and gamma are SimPO's.
        gamma: Target margin of rewards.
        alpha: Weight of the imitation; 1 in TRL's trainer.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats.

    Raises:
        InputError: if shapes disagree, the batch is empty, a length is below 1, or a constant is out of its domain.

    References:
        Amir Saeidi et al., "Triple Preference Optimization: Achieving Better Alignment using a Single Step
        Optimization", 2024, arXiv:2405.16681.

    Example:
        >>> round(tpo_l_loss(-12.0, -30.0, 8, 15, -10.0, 8), 9)
        1.724076984
    """
    gap = mean_logps(chosen_logps, chosen_lengths) - mean_logps(rejected_logps, rejected_lengths)
    return reduce(logistic(beta * gap - gamma) + alpha * nll(gold_logps, gold_lengths), reduction)
