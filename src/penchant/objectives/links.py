r"""Losses on pairs with another link than the logistic one: squares, hinges and others.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\sigma` the logistic function, :math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.surrogates import hinge, savage, squared, truncated_quadratic
from penchant.records import Array


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
def hinge_loss(log_ratio_w: Array, log_ratio_l: Array, beta: float = 0.05, *, reduction: str = "mean") -> Array:
    r"""Hinge loss on the difference of log-ratios, which Statistical Rejection Sampling Optimization trains with.

    .. math:: \max\Big(0, 1 - \beta\big[\log\tfrac{\pi(y_w|x)}{\pi_{ref}(y_w|x)}
              - \log\tfrac{\pi(y_l|x)}{\pi_{ref}(y_l|x)}\big]\Big)

    A pair stops pulling once the difference reaches 1/beta, 20 nats here; the paper writes gamma for beta. Where labels
    are random with a share p > 1/2 on one side, the optimum is at that margin whatever p.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.05 in the paper, where it is called gamma.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, without a unit; 1 when policy and reference agree. Its slope is 0 exactly at the margin.

    Raises:
        InputError: if shapes disagree, the batch is empty, or beta is not positive.

    References:
        Tianqi Liu et al., "Statistical Rejection Sampling Improves Preference Optimization", 2023, arXiv:2309.06657
        (hinge-norm).

    Example:
        >>> hinge_loss(2.0, -1.0)
        0.85
    """
    return reduce(hinge(beta * (log_ratio_w - log_ratio_l)), reduction)


@objective
def squared_hinge_loss(log_ratio_w: Array, log_ratio_l: Array, beta: float = 0.1, *, reduction: str = "mean") -> Array:
    r"""Squared shortfall from a margin: the square of IPO without its penalty on margins beyond the target.

    .. math:: \max(0, 1 - z)^2,\quad z = \beta(\rho_w - \rho_l)

    A pair stops pulling once the difference of log-ratios reaches 1/beta, and unlike the hinge it slows down
    before. Where a share p > 1/2 of the labels is on one side, the optimum is z = 2p - 1.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.1 typical.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, without a unit; 1 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Yunhao Tang et al., "Generalized Preference Optimization: A Unified Approach to Offline Alignment", 2024,
        arXiv:2402.05749, table 1.

    Example:
        >>> round(squared_hinge_loss(2.0, -1.0), 12)
        0.49
    """
    return reduce(truncated_quadratic(beta * (log_ratio_w - log_ratio_l)), reduction)


@objective
def savage_loss(log_ratio_w: Array, log_ratio_l: Array, beta: float = 0.1, *, reduction: str = "mean") -> Array:
    r"""Savage loss on the difference of log-ratios: bounded, so that hopeless pairs are given up.

    .. math:: \Big(\tfrac{1}{1 + e^z}\Big)^2,\quad z = \beta(\rho_w - \rho_l)

    Between 0 and 1 and flat on both sides: pairs that are far on the wrong side, often wrong labels, hardly pull.
    Not convex: a policy that starts on the wrong side may stay there.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.1 typical.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, without a unit; 1/4 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Yunhao Tang et al., "Generalized Preference Optimization: A Unified Approach to Offline Alignment", 2024,
        arXiv:2402.05749, table 1.

    Example:
        >>> round(savage_loss(2.0, -1.0), 12)
        0.181099171498
    """
    return reduce(savage(beta * (log_ratio_w - log_ratio_l)), reduction)
