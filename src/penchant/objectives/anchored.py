"""Losses that hold each answer against an anchor: answers with a thumbs-up or thumbs-down, and pairs taken singly."""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import log_sigmoid, reduce, sigmoid
from penchant.objectives.door import objective
from penchant.objectives.surrogates import squared
from penchant.records import Array


@objective
def kto_loss(
    log_ratio: Array,
    is_desirable: Array,
    z_ref: float | Array = 0.0,
    beta: float = 0.1,
    *,
    value_function: str = "log_sigmoid",
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
    reduction: str = "mean",
) -> Array:
    r"""Kahneman-Tversky Optimization: desirable answers above a baseline, undesirable ones below it.

    .. math:: u = \pm\beta\,(r - z_{ref}), \qquad L = -\log\sigma(u) \text{ (default)}, \qquad
              L = \lambda\,(1 - \sigma(u)) \text{ (the paper)}

    with + for desirable answers and r the log-probability ratio. The default is not the paper's KTO: it is binary
    cross-entropy, the loss of BCO with delta = beta * z_ref, whose slope tends to beta on hard or mislabelled answers.
    The paper's value function is ``value_function="sigmoid"``: bounded, with a slope that vanishes in both tails, so
    that hopeless answers are left alone. ``penchant train --method kto`` uses the paper's.

    Args:
        log_ratio: Shape ``(answers,)`` or scalar; policy minus reference log-prob of the answer, nats.
        is_desirable: True/False or 1/0, the same shape.
        z_ref: The baseline in nats, usually one number for the batch: max(0, mean log-ratio of answers set under other
            prompts). Carries no gradient.
        beta: > 0; 0.1 in the paper.
        value_function: ``"log_sigmoid"`` (binary cross-entropy, as BCO's) or ``"sigmoid"`` (the paper).
        desirable_weight: >= 0; the paper's lambda_D.
        undesirable_weight: >= 0; the paper's lambda_U.
        reduction: ``"none"`` for shape ``(answers,)``, ``"mean"`` over all answers, or ``"sum"``.

    Returns:
        The loss; log 2 (or 1/2 in the paper's form) times the weight where the log-ratio equals the baseline.

    Raises:
        InputError: if shapes disagree, a label is neither true nor false, the batch is empty, or a constant is out of
            its domain.

    References:
        Kawin Ethayarajh et al., "KTO: Model Alignment as Prospect Theoretic Optimization", 2024, arXiv:2402.01306,
        equation 8. Seungjae Jung et al., "Binary Classifier Optimization for Large Language Model Alignment", 2024,
        arXiv:2404.04656.

    Example:
        >>> round(kto_loss([1.5, -2.0, 0.25], [True, False, True]), 9)
        0.63327374
    """
    xp = compat.array_namespace(log_ratio)
    gain = beta * xp.where(is_desirable, log_ratio - z_ref, z_ref - log_ratio)
    losses = -log_sigmoid(gain) if value_function == "log_sigmoid" else sigmoid(-gain)
    weights = xp.where(is_desirable, xp.full_like(gain, desirable_weight), xp.full_like(gain, undesirable_weight))
    return reduce(weights * losses, reduction)


@objective
def dro_loss(
    log_ratio: Array, score: Array, prompt_value: Array, beta: float = 1.0, *, reduction: str = "mean"
) -> Array:
    r"""Direct reward optimisation: one rated answer per prompt, against the value of the prompt.

    .. math:: \tfrac12\big(s - V(x) - \beta\,r\big)^2

    with s the rating and r the log-ratio. At the optimum V is the log-partition function of the best policy, times
    beta: what makes pairs unnecessary. A gradient flows into the policy and into V, so that a loop with a value head
    can learn both from this one loss, as the paper does (it gives V a network of its own). ``penchant train`` has no
    such head: it takes V(x) from the data's ``prompt_value`` and holds it fixed, for instance the mean rating of
    several answers to the prompt. That is the paper's loss for the policy given V, not its whole algorithm.

    Args:
        log_ratio: Shape ``(answers,)`` or scalar; policy minus reference log-prob of the answer, nats.
        score: Rating of the answer; higher is better.
        prompt_value: V of the answer's prompt, in the rating's unit; carries a gradient.
        beta: > 0; the paper's tau, 1 there; the strength of the pull to the reference.
        reduction: ``"none"`` for shape ``(answers,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, in squared units of the rating; 0 where rating, value and log-ratio agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Pierre Harvey Richemond et al., "Offline Regularised Reinforcement Learning for Large Language Models
        Alignment", 2024, arXiv:2405.19107.

    Example:
        >>> round(dro_loss(2.0, 1.0, 0.2, beta=0.5), 9)
        0.02
    """
    return reduce(squared(score - prompt_value - beta * log_ratio, 0.0) / 2, reduction)
