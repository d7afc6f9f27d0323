r"""Losses on pairs with another link than the logistic one: squares, hinges and others.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\sigma` the logistic function, :math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import log_sigmoid, reduce, sigmoid
from penchant.objectives.door import objective
from penchant.objectives.surrogates import (
    bernoulli_kl,
    exponential,
    hinge,
    logistic,
    savage,
    squared,
    truncated_quadratic,
)
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
        beta: > 0; the paper's tau; 0.1 is TRL's default.
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
        beta: > 0; 0.1 is DPO's value.
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
        beta: > 0; 0.1 is DPO's value.
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


@objective
def exponential_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Exponential loss on the difference of log-ratios: the boldest of the convex ones.

    .. math:: e^{-z}, \quad z = \beta(\rho_w - \rho_l)

    Badly ranked pairs, often wrong labels, pull exponentially hard, without bound; the optimum is at half of DPO's.
    Overflows to infinity for z below -709 in float64 and -88 in float32.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.1 is DPO's value.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, without a unit; 1 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Yunhao Tang et al., "Generalized Preference Optimization: A Unified Approach to Offline Alignment", 2024,
        arXiv:2402.05749.

    Example:
        >>> round(exponential_loss(2.0, -1.0), 9)
        0.740818221
    """
    return reduce(exponential(beta * (log_ratio_w - log_ratio_l)), reduction)


@objective
def discopop_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.05,
    tau: float = 0.05,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DiscoPOP: a loss that a language model found; logistic on the left, exponential on the right.

    .. math:: (1 - q)\,\ell(z) + q\,e^{-z}, \quad q = \sigma(z/\tau),\ \ell(z) = -\log\sigma(z),\ z = \beta(\rho_w -
              \rho_l)

    Not monotone: at tau = 0.05 the slope changes its sign at z = -0.119 and at z = 0.072, so that pairs between the two
    are pushed the wrong way round. The paper's beta goes with its tau: other pairs of constants are another loss.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.05 in the paper.
        tau: > 0; width of the blend, 0.05 in the paper.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, at least 0; (log 2 + 1)/2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Chris Lu, Samuel Holt, Claudio Fanconi et al., "Discovering Preference Optimization Algorithms with and for
        Large Language Models", 2024, arXiv:2406.08414.

    Example:
        >>> round(discopop_loss(2.0, -1.0), 9)
        0.849337579
    """
    z = beta * (log_ratio_w - log_ratio_l)
    xp = compat.array_namespace(z)
    exponential_part = xp.exp(log_sigmoid(z / tau) - z)  # one exponent: e^-z alone overflows where q is 0
    return reduce(sigmoid(-z / tau) * logistic(z) + exponential_part, reduction)


@objective
def exo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    epsilon: float = 0.001,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Exact optimisation on pairs: the reverse divergence from smoothed labels, cDPO's being the forward one.

    .. math:: \mathrm{KL}\big(\mathrm{Bern}(\sigma(z))\,\|\,\mathrm{Bern}(1-\epsilon)\big), \quad z = \beta(\rho_w -
              \rho_l)

    The same optimum as conservative DPO, z = logit(1 - epsilon), but reached as a mode is sought: a policy that cannot
    fit everything prefers a few answers to a blur. Without smoothing the loss is infinite. The authors' code has
    unnormalised targets that amount to epsilon = 4.5e-5.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the strength of the pull to the reference; 0.1 in TRL's settings to reproduce the paper and in the
            authors' script for IMDB, 0.5 in their others.
        epsilon: In (0, 0.5); the share of labels taken to be flipped, 0.001 in the paper.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats, at least 0 up to rounding; -log 2 - log(epsilon (1 - epsilon))/2 when policy and reference
        agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Haozhe Ji, Cheng Lu, Yilin Niu et al., "Towards Efficient Exact Optimization of Language Model Alignment", 2024,
        arXiv:2402.00856.

    Example:
        >>> round(exo_loss(2.0, -1.0), 9)
        2.258199192
    """
    z = beta * (log_ratio_w - log_ratio_l)
    xp = compat.array_namespace(z)
    share = epsilon + xp.zeros_like(z)
    return reduce(bernoulli_kl(z, xp.log1p(-share) - xp.log(share)), reduction)
