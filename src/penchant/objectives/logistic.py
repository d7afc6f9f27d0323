r"""Logistic losses on pairs, and what label noise makes of them.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\sigma` the logistic function, :math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import log_sigmoid, reduce, stop_gradient
from penchant.objectives.door import objective
from penchant.objectives.label_noise import debias_labels, smooth_labels
from penchant.objectives.surrogates import logistic
from penchant.records import Array


@objective
def dpo_loss(
    policy_chosen_logps: Array,
    policy_rejected_logps: Array,
    ref_chosen_logps: Array,
    ref_rejected_logps: Array,
    beta: float = 0.1,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Array:
    r"""Direct Preference Optimization: a logistic loss on the difference of two log-probability ratios.

    .. math:: -\log\sigma\Big(\beta\big[\log\tfrac{\pi(y_w|x)}{\pi_{ref}(y_w|x)}
              - \log\tfrac{\pi(y_l|x)}{\pi_{ref}(y_l|x)}\big]\Big)

    The ratio :math:`\log\pi/\pi_{ref}` is a log-probability ratio, the implicit reward divided by beta; it is not a
    log odds ratio (only ORPO compares odds). Only the difference of the two ratios is pushed: both may fall. As a
    function of the difference a larger beta makes a steeper loss, yet at the optimum the difference is
    logit(p) / beta for a pair preferred with probability p: a larger beta means a smaller move away from the reference.

    Args:
        policy_chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        policy_rejected_logps: The same for the rejected answer.
        ref_chosen_logps: The same under the reference; carries no gradient.
        ref_rejected_logps: The same for the rejected answer; carries no gradient.
        beta: > 0; 0.01 to 0.5 in published recipes.
        label_smoothing: In [0, 0.5); the share of labels taken to be flipped (conservative DPO).
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Rafael Rafailov et al., "Direct Preference Optimization: Your Language Model is Secretly a Reward Model", 2023,
        arXiv:2305.18290, equation 7. With label smoothing: Eric Mitchell, "A note on DPO with noisy preferences &
        relationship to IPO", 2023, ericmitchell.ai/cdpo.pdf.

    Example:
        >>> round(dpo_loss(-10.5, -12.25, -11.0, -11.5, beta=0.1), 9)
        0.632599035
    """
    chosen_log_ratio = policy_chosen_logps - ref_chosen_logps
    rejected_log_ratio = policy_rejected_logps - ref_rejected_logps
    z = beta * (chosen_log_ratio - rejected_log_ratio)
    return reduce(smooth_labels(logistic, label_smoothing)(z), reduction)


@objective
def dr_dpo_loss(log_ratio_w: Array, log_ratio_l: Array, beta: float = 0.1, beta_prime: float = 1.0) -> Array:
    r"""Distributionally robustified DPO: pairs with a large loss, often mislabelled ones, count for less.

    .. math:: -\beta'\log\Big(\tfrac1N\sum_i e^{-\ell_i/\beta'}\Big), \quad
              \ell_i = -\log\sigma\big(\beta(r_{w,i} - r_{l,i})\big)

    with r the log-probability ratios. The gradient is that of the DPO losses weighted by softmax(-loss / beta').
    The loss couples the pairs of a batch: it is not a sum over them, and there is nothing to reduce.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.1 in the authors' code.
        beta_prime: > 0; 1 in the authors' code; towards infinity the loss becomes DPO's mean, towards 0 the smallest
            pair's loss.

    Returns:
        One number in nats, at most DPO's mean; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is not positive.

    References:
        Junkang Wu et al., "Towards Robust Alignment of Language Models: Distributionally Robustifying Direct Preference
        Optimization", 2024, arXiv:2407.07880.

    Example:
        >>> round(dr_dpo_loss([3.0, -10.0, 20.0], [0.0, 0.0, 0.0]), 9)
        0.553860124
    """
    xp = compat.array_namespace(log_ratio_w)
    losses = logistic(beta * (log_ratio_w - log_ratio_l))
    least = stop_gradient(xp.min(losses))  # taken out and added again: no underflow, and no cancellation at large beta'
    return least - beta_prime * xp.log1p(xp.mean(xp.expm1((least - losses) / beta_prime)))


@objective
def robust_dpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Robust DPO: an unbiased estimate of DPO's loss from labels of which a known share is flipped.

    .. math:: \frac{(1-\epsilon)\,\ell(z) - \epsilon\,\ell(-z)}{1-2\epsilon} = \ell(z) -
              \frac{\epsilon}{1-2\epsilon}\,z, \quad z = \beta(\rho_w - \rho_l),\ \ell(z) = -\log\sigma(z)

    The opposite correction to conservative DPO, which adds epsilon z and shrinks the optimum: averaged over flips this
    loss is DPO's on clean labels. The price is a loss without a lower bound (its slope far to the right is -epsilon /
    (1 - 2 epsilon)) and a variance that grows with epsilon.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        label_smoothing: In [0, 0.5); the share of labels taken to be flipped; 0 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, below 0 for large z; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Sayak Ray Chowdhury, Anush Kini, Nagarajan Natarajan, "Provably Robust DPO: Aligning Language Models with Noisy
        Feedback", 2024, arXiv:2403.00409.

    Example:
        >>> round(robust_dpo_loss(2.0, -1.0), 9)
        0.516855244
    """
    z = beta * (log_ratio_w - log_ratio_l)
    return reduce(debias_labels(logistic, label_smoothing)(z), reduction)


@objective
def soft_dpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    preference_probs: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DPO on soft labels: each pair says with which probability its chosen answer is the better.

    .. math:: -p\log\sigma(z) - (1-p)\log\sigma(-z), \quad z = \beta(\rho_w - \rho_l)

    Conservative DPO with a share of flips of its own for every pair; the optimum is at z = logit(p).

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        preference_probs: Probability in [0, 1] that the chosen answer is the better, same shape.
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, at least the entropy of p; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Hiroki Furuta, Kuang-Huei Lee, Shixiang Shane Gu et al., "Geometric-Averaged Preference Optimization for Soft
        Preference Labels", 2024, arXiv:2409.06691.

    Example:
        >>> round(soft_dpo_loss(2.0, -1.0, 0.9), 9)
        0.584355244
    """
    z = beta * (log_ratio_w - log_ratio_l)
    return reduce(preference_probs * logistic(z) + (1 - preference_probs) * logistic(-z), reduction)


@objective
def geometric_dpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    preference_probs: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Geometric DPO: soft labels shrink a pair's margin instead of mixing its loss.

    .. math:: -\log\sigma\big(\beta\,(2p - 1)(\rho_w - \rho_l)\big)

    What DPO becomes on the geometric averages of the two answers' likelihoods, weighted by p and 1 - p. A pair that is
    a toss-up (p = 1/2) does not pull at all, and one that is sure (p = 1) pulls as in DPO.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        preference_probs: Probability in [0, 1] that the chosen answer is the better, same shape.
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree, and for every pair with p = 1/2.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Hiroki Furuta, Kuang-Huei Lee, Shixiang Shane Gu et al., "Geometric-Averaged Preference Optimization for Soft
        Preference Labels", 2024, arXiv:2409.06691.

    Example:
        >>> geometric_dpo_loss(2.0, -1.0, 1.0) == dpo_loss(2.0, -1.0, 0.0, 0.0)
        True
    """
    z = beta * (2 * preference_probs - 1) * (log_ratio_w - log_ratio_l)
    return reduce(logistic(z), reduction)


@objective
def focal_dpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    focus: float = 0.05,
    *,
    reduction: str = "mean",
) -> Array:
    r"""FocalPO: pairs that are ranked wrongly count for less.

    .. math:: -\sigma(z)^{\gamma}\,\log\sigma(z), \quad z = \beta(\rho_w - \rho_l)

    The focal loss turned round: the factor is the probability of the right order, not of the wrong one, so that the
    model learns from pairs it can rank. Where -log σ(z) exceeds 1/gamma (z below -20 at 0.05) the slope changes its
    sign: such pairs are given up.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        focus: >= 0; the paper's gamma, which it holds at 0.05; 0 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, at least 0; 2^-gamma log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Tong Liu, Xiao Yu, Wenxuan Zhou et al., "FocalPO: Enhancing Preference Optimizing by Focusing on Correct
        Preference Rankings", 2025, arXiv:2501.06645.

    Example:
        >>> round(focal_dpo_loss(2.0, -1.0), 9)
        0.539200752
    """
    log_prob = log_sigmoid(beta * (log_ratio_w - log_ratio_l))
    xp = compat.array_namespace(log_prob)
    return reduce(-xp.exp(focus * log_prob) * log_prob, reduction)
