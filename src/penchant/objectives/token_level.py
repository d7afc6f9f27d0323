r"""Losses that know more of an answer than its summed log-prob: one number per answer from its tokens or vocabulary.

Notation: r log-ratio of policy and reference, w the chosen answer, l the rejected one; D the forward KL divergence
:math:`\sum_t KL(\pi_{ref}(\cdot|x, y_{<t}) \| \pi(\cdot|x, y_{<t}))` along an answer, in nats.
"""

from __future__ import annotations

from penchant.arrays import reduce, stop_gradient
from penchant.objectives.door import objective
from penchant.objectives.surrogates import logistic
from penchant.records import Array


@objective
def tdpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    chosen_sequence_kl: Array,
    rejected_sequence_kl: Array,
    beta: float = 0.1,
    alpha: float = 0.5,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Token-level DPO (TDPO2): the rejected answer is kept from drifting further than the chosen one.

    .. math:: -\log\sigma\Big(\beta\big[r_w - r_l - \alpha\,(D_l - \mathrm{sg}\,D_w)\big]\Big)

    sg holds the chosen answer's divergence constant, so that only the rejected one's is pulled at.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        chosen_sequence_kl: KL(reference, policy) at each token of the chosen answer, summed; nats.
        rejected_sequence_kl: The same for the rejected answer.
        beta: > 0; 0.1 in the paper.
        alpha: Weight of the divergences; 0.5 in the paper, 0 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Yongcheng Zeng et al., "Token-level Direct Preference Optimization", 2024, arXiv:2404.11999.

    Example:
        >>> round(tdpo_loss(2.0, -1.0, 0.4, 0.7), 9)
        0.560766129
    """
    drift = rejected_sequence_kl - stop_gradient(chosen_sequence_kl)
    return reduce(logistic(beta * (log_ratio_w - log_ratio_l - alpha * drift)), reduction)
