r"""Published sums of other losses.

Notation: :math:`\rho` log-ratio of policy and reference, nats, summed over tokens; :math:`\bar p` log-prob per token;
w the chosen answer, l the rejected one.
"""

from __future__ import annotations

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.scores import nll
from penchant.objectives.surrogates import logistic
from penchant.records import Array


@objective
def mpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    log_ratio_baseline: Array,
    chosen_logps: Array,
    chosen_lengths: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Mixed preference optimisation: 0.8 of DPO, 0.2 of BCO, and fine-tuning on the chosen answer.

    .. math:: -0.8\log\sigma(\beta[\rho_w - \rho_l]) - 0.2\big[\log\sigma(\beta[\rho_w - \bar\rho]) +
              \log\sigma(\beta[\bar\rho - \rho_l])\big] - \bar p_w

    Which of two answers is better, how good each is by itself, and how to write one. On the command line it is
    ``0.8*dpo + 0.2*bco + nll``, where the parts can have constants of their own.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        log_ratio_baseline: Running mean of the log-ratios of all answers, one number, nats; carries no gradient.
        chosen_logps: Policy log-prob of the chosen answer, nats, summed over its tokens.
        chosen_lengths: Tokens of the chosen answer, exactly those summed.
        beta: > 0; 0.1 in the paper, for both parts.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; 1.2 log 2 plus the chosen answer's negative log-likelihood per token when policy and reference
        agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, a length is below 1, or beta is not positive.

    References:
        Weiyun Wang et al., "Enhancing the Reasoning Ability of Multimodal Large Language Models via Mixed Preference
        Optimization", 2024, arXiv:2411.10442.

    Example:
        >>> round(mpo_loss(2.0, -1.0, 0.5, -12.0, 8), 9)
        2.191867015
    """
    preference = logistic(beta * (log_ratio_w - log_ratio_l))
    quality = logistic(beta * (log_ratio_w - log_ratio_baseline)) + logistic(beta * (log_ratio_baseline - log_ratio_l))
    return reduce(0.8 * preference + 0.2 * quality + nll(chosen_logps, chosen_lengths), reduction)
