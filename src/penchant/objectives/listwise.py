r"""Losses on lists: K answers to one prompt, in order or with ratings.

Notation: :math:`s_k = \beta[\log\pi(y_k|x) - \log\pi_{ref}(y_k|x)]`, the implicit reward of answer k. All lists of a
batch have the same number of answers, the last axis.
"""

from __future__ import annotations

from penchant.arrays import logsumexp, reduce
from penchant.objectives.door import objective
from penchant.records import Array


@objective
def plackett_luce_loss(
    policy_list_logps: Array, ref_list_logps: Array, beta: float = 0.1, *, reduction: str = "mean"
) -> Array:
    r"""DPO on rankings: the negative log-likelihood of the whole order under the Plackett-Luce model.

    .. math:: -\sum_{k=1}^{K-1}\log\frac{e^{s_k}}{\sum_{j \ge k} e^{s_j}}

    The answers stand from best to worst. With two of them this is DPO.

    Args:
        policy_list_logps: Shape ``(lists, answers)``, or ``(answers,)`` for one list, best answer first; nats, summed
            over each answer's tokens.
        ref_list_logps: The same under the reference; carries no gradient.
        beta: > 0; 0.1 typical.
        reduction: ``"none"`` for shape ``(lists,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log K! when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Rafael Rafailov et al., "Direct Preference Optimization: Your Language Model is Secretly a Reward Model", 2023,
        arXiv:2305.18290, appendix A.3. Robin L. Plackett, "The Analysis of Permutations", 1975.

    Example:
        >>> round(plackett_luce_loss([7.0, -2.0, 4.0], [0.0, 0.0, 0.0]), 9)
        1.801740115
    """
    s = beta * (policy_list_logps - ref_list_logps)
    steps = [logsumexp(s[..., k:]) - s[..., k] for k in range(s.shape[-1] - 1)]
    return reduce(sum(steps), reduction)
