r"""Objectives on pairs: a chosen and a rejected answer to one prompt.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\sigma` the logistic function, :math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.scores import mean_logps, nll, odds_ratio_loss
from penchant.objectives.surrogates import logistic, squared
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
        arXiv:2305.18290, equation 7.

    Example:
        >>> round(dpo_loss(-10.5, -12.25, -11.0, -11.5, beta=0.1), 9)
        0.632599035
    """
    chosen_log_ratio = policy_chosen_logps - ref_chosen_logps
    rejected_log_ratio = policy_rejected_logps - ref_rejected_logps
    z = beta * (chosen_log_ratio - rejected_log_ratio)
    return reduce((1 - label_smoothing) * logistic(z) + label_smoothing * logistic(-z), reduction)


@objective
def ipo_loss(log_ratio_w: Array, log_ratio_l: Array, beta: float = 0.1, *, reduction: str = "mean") -> Array:
    r"""Identity Preference Optimization: the difference of log-ratios is regressed to a finite margin.

    .. math:: \Big(\log\tfrac{\pi(y_w|x)}{\pi_{ref}(y_w|x)} - \log\tfrac{\pi(y_l|x)}{\pi_{ref}(y_l|x)}
              - \tfrac{1}{2\beta}\Big)^2

    The difference itself goes to 1/(2 beta), 5 nats at beta = 0.1; what goes to 1/2 is beta times the difference. The
    one-line form (beta * difference - 1/2)² is beta² times this: the same minimiser, a gradient 100 times smaller at
    beta = 0.1. The paper sums log-probs over tokens and calls beta tau; its authors later advised the mean per token,
    which is this function on log-ratios divided by the answer's length.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the paper's tau, 0.1 typical.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats²; 1/(4 beta²) when policy and reference agree, 25 at beta = 0.1.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Mohammad Gheshlaghi Azar et al., "A General Theoretical Paradigm to Understand Learning from Human Preferences",
        2023, arXiv:2310.12036, equation 17.

    Example:
        >>> ipo_loss(0.5, -0.75, beta=0.1)
        14.0625
    """
    return reduce(squared(log_ratio_w - log_ratio_l, target=1 / (2 * beta)), reduction)


@objective
def simpo_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    beta: float = 2.0,
    gamma: float = 0.5,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Simple Preference Optimization: no reference, log-probs per token, a target margin.

    .. math:: -\log\sigma\Big(\tfrac{\beta}{|y_w|}\log\pi(y_w|x) - \tfrac{\beta}{|y_l|}\log\pi(y_l|x) - \gamma\Big)

    gamma is the target reward margin as in the paper, taken off after the multiplication by beta; code that asks for
    the ratio gamma/beta (0.25 here) takes it off before.

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        rejected_logps: The same for the rejected answer.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        rejected_lengths: The same for the rejected answer.
        beta: > 0; 2 to 10 in the paper's recipes.
        gamma: The target margin; gamma/beta is 0.1 to 0.8 in the paper's recipes.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; -log σ(-gamma) when both answers have the same log-prob per token.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Yu Meng, Mengzhou Xia, Danqi Chen, "SimPO: Simple Preference Optimization with a Reference-Free Reward", 2024,
        arXiv:2405.14734, equation 6.

    Example:
        >>> round(simpo_loss(-12.0, -30.0, 8, 15), 9)
        0.474076984
    """
    chosen_reward = beta * mean_logps(chosen_logps, chosen_lengths)
    rejected_reward = beta * mean_logps(rejected_logps, rejected_lengths)
    return reduce(logistic(chosen_reward - rejected_reward - gamma), reduction)


@objective
def orpo_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    lambda_: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Odds Ratio Preference Optimization: supervised fine-tuning plus a logistic loss on log-odds.

    .. math:: -\tfrac{1}{|y_w|}\log\pi(y_w|x) + \lambda\Big[-\log\sigma\Big(\log\tfrac{P_w}{1-P_w}
              - \log\tfrac{P_l}{1-P_l}\Big)\Big], \quad P = \pi(y|x)^{1/|y|}

    The likelihood term is the mean over the chosen answer's own tokens; some code bases include the prompt, or average
    over the batch's tokens. Value and gradient stay finite and right as the chosen probability reaches one.

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; nats, at most 0, summed over the chosen answer's tokens.
        rejected_logps: The same for the rejected answer; at exactly 0 the loss is infinite, as the formula says.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        rejected_lengths: The same for the rejected answer.
        lambda_: >= 0; 0.1 in the paper (called alpha or beta by some code bases).
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; the chosen answer's mean negative log-likelihood + lambda log 2 when the odds are equal.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or lambda is negative.

    References:
        Jiwoo Hong, Noah Lee, James Thorne, "ORPO: Monolithic Preference Optimization without Reference Model", 2024,
        arXiv:2403.07691, equations 6 and 7.

    Example:
        >>> round(orpo_loss(-12.0, -30.0, 8, 15), 9)
        1.543498881
    """
    chosen = mean_logps(chosen_logps, chosen_lengths)
    rejected = mean_logps(rejected_logps, rejected_lengths)
    return reduce(nll(chosen_logps, chosen_lengths) + lambda_ * odds_ratio_loss(chosen, rejected), reduction)
