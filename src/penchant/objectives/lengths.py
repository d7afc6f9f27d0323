r"""Losses on pairs that count tokens, or that hold the chosen answer's own likelihood up.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\sigma` the logistic function, :math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.scores import mean_logps, nll, odds_ratio_loss
from penchant.objectives.surrogates import logistic
from penchant.records import Array


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
        rejected_logps: The same for the rejected answer; at exactly 0 (a short answer whose probability
            rounds to 1) the loss and its slope there are infinite, as the formula says, and ``penchant train`` stops.
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


@objective
def r_dpo_loss(
    policy_chosen_logps: Array,
    policy_rejected_logps: Array,
    ref_chosen_logps: Array,
    ref_rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    beta: float = 0.1,
    alpha: float = 0.05,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Length-regularised DPO: part of every preference is put down to length, so that length is not learned.

    .. math:: -\log\sigma\Big(\beta\big[\log\tfrac{\pi(y_w|x)}{\pi_{ref}(y_w|x)}
              - \log\tfrac{\pi(y_l|x)}{\pi_{ref}(y_l|x)}\big] + \alpha(|y_w| - |y_l|)\Big)

    The sign is a plus: a longer winner has part of its win explained by its length, and is pushed less.

    Args:
        policy_chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        policy_rejected_logps: The same for the rejected answer.
        ref_chosen_logps: The same under the reference; carries no gradient.
        ref_rejected_logps: The same for the rejected answer; carries no gradient.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        rejected_lengths: The same for the rejected answer.
        beta: > 0; 0.1 is DPO's value.
        alpha: What one more token is taken to be worth to whoever chose, in nats of the margin; the policy need not
            earn that part. 0.05 is this library's choice; 0 is DPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree and the lengths are equal.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Ryan Park, Rafael Rafailov, Stefano Ermon, Chelsea Finn, "Disentangling Length from Quality in Direct Preference
        Optimization", 2024, arXiv:2403.19159.

    Example:
        >>> round(r_dpo_loss(-12.0, -30.0, -14.0, -29.0, 8, 15), 9)
        0.718459648
    """
    chosen_log_ratio = policy_chosen_logps - ref_chosen_logps
    rejected_log_ratio = policy_rejected_logps - ref_rejected_logps
    z = beta * (chosen_log_ratio - rejected_log_ratio) + alpha * (chosen_lengths - rejected_lengths)
    return reduce(logistic(z), reduction)


@objective
def ln_dpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    beta: float = 5.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Length-normalised DPO: log-ratios per token are compared.

    .. math:: -\log\sigma\Big(\beta\Big[\frac{\rho_w}{|y_w|} - \frac{\rho_l}{|y_l|}\Big]\Big)

    Without the sum over tokens a long answer cannot win by length; beta is larger by about the length of an answer.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        rejected_lengths: The same for the rejected answer.
        beta: > 0; 5 in the paper's recipes; DPO's 0.1 would hardly pull.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Nathan Lambert, Jacob Morrison, Valentina Pyatkin et al., "Tulu 3: Pushing Frontiers in Open Language Model
        Post-Training", 2024, arXiv:2411.15124.

    Example:
        >>> round(ln_dpo_loss(2.0, -1.0, 8, 15), 9)
        0.186719918
    """
    z = beta * (log_ratio_w / chosen_lengths - log_ratio_l / rejected_lengths)
    return reduce(logistic(z), reduction)
