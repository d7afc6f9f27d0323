r"""Losses on lists: K answers to one prompt, in order or with ratings.

Notation: :math:`s_k = \beta[\log\pi(y_k|x) - \log\pi_{ref}(y_k|x)]`, the implicit reward of answer k. All lists of a
batch have the same number of answers, the last axis.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.scores import log1p_sum_exp
from penchant.objectives.surrogates import logistic
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
        beta: > 0; 0.1, the paper's "unless noted otherwise"; it trains on pairs only and derives this loss beside.
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
    steps = [log1p_sum_exp(s[..., k + 1 :] - s[..., k : k + 1]) for k in range(s.shape[-1] - 1)]
    return reduce(sum(steps), reduction)


@objective
def d2o_loss(
    policy_list_logps: Array,
    ref_list_logps: Array,
    beta: float = 0.1,
    alpha: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Distributional dispreference optimisation: the model's own answers against one that is known to be bad.

    .. math:: -\log\sigma\Big(\frac{\beta}{K}\sum_{k=1}^{K}\log\frac{\pi(y_k|x)}{\pi^-(y_k|x)} -
              \alpha\log\frac{\pi(y_l|x)}{\pi^+(y_l|x)}\Big)

    No answer is held up as good: the K others are the model's own. The last answer of a list is the bad one. The paper
    has two references, a harmful one for the own answers and a helpful one for the bad answer; with one reference and
    one own answer this is DPO.

    Args:
        policy_list_logps: Shape ``(lists, answers)``, or ``(answers,)`` for one list, the bad answer last; nats, summed
            over each answer's tokens.
        ref_list_logps: The same under the references; carries no gradient.
        beta: > 0; weight of the own answers' mean log-ratio; 0.1 in the paper.
        alpha: Weight of the bad answer's log-ratio; 0.1 in the paper.
        reduction: ``"none"`` for shape ``(lists,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and references agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Shitong Duan et al., "Negating Negatives: Alignment with Human Negative Samples via Distributional Dispreference
        Optimization", 2024, arXiv:2403.03419.

    Example:
        >>> d2o_loss([-12.0, -30.0], [-14.0, -29.0])
        0.5543552444685271
    """
    xp = compat.array_namespace(policy_list_logps)
    ratios = policy_list_logps - ref_list_logps
    return reduce(logistic(beta * xp.mean(ratios[..., :-1], axis=-1) - alpha * ratios[..., -1]), reduction)
