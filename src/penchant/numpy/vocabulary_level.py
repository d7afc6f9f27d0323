r"""The oracle's losses that weigh pairs by sums over the whole vocabulary."""

from __future__ import annotations

import numpy as np

from penchant.numpy.common import (
    Array,
    PairGrad,
    Result,
    Values,
    batch,
    check_lengths,
    number,
    opposed,
    reduce,
    sigmoid,
    softplus,
)


def wpo_loss(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    chosen_mean_log_collision: Values,
    rejected_mean_log_collision: Values,
    beta: float = 0.01,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO weighted by how likely the policy is to write the pair; the weight is held constant.

    Arguments, units and errors are those of :func:`penchant.wpo_loss`.

    .. math:: L = -W\log\sigma(z), \quad W = \min(1, e^{\bar p_w - c_w + \bar p_l - c_l})

    References:
        Zhou et al. (2024), WPO: Enhancing RLHF with Weighted Preference Optimization, arXiv:2406.11827.

    >>> round(wpo_loss(-12.0, -30.0, -14.0, -29.0, 8, 15, -1.25, -1.5), 12)
    0.320387185177
    """
    logps = (policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps)
    counts = (chosen_lengths, rejected_lengths, chosen_mean_log_collision, rejected_mean_log_collision)
    weight, z = _weighted("wpo_loss", logps, counts, beta)
    return reduce("wpo_loss", weight * softplus(-z), reduction)


def wpo_grad(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    chosen_mean_log_collision: Values,
    rejected_mean_log_collision: Values,
    beta: float = 0.01,
) -> PairGrad:
    r"""Derivatives of :func:`wpo_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -W\beta\sigma(-z), \quad
        \partial L/\partial\log\pi_l = W\beta\sigma(-z)
    """
    logps = (policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps)
    counts = (chosen_lengths, rejected_lengths, chosen_mean_log_collision, rejected_mean_log_collision)
    weight, z = _weighted("wpo_grad", logps, counts, beta)
    return opposed(-weight * float(beta) * sigmoid(-z))


def _weighted(where: str, logps: tuple[Values, ...], counts: tuple[Values, ...], beta: float) -> tuple[Array, Array]:
    names = ("policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
    rest = ("chosen_lengths", "rejected_lengths", "chosen_mean_log_collision", "rejected_mean_log_collision")
    named = dict(zip((*names, *rest), (*logps, *counts), strict=True))
    w, lo, ref_w, ref_lo, m, n, collision_w, collision_lo = batch(where, **named)
    check_lengths(where, chosen_lengths=m, rejected_lengths=n)
    with np.errstate(all="ignore"):
        weight = np.exp(np.minimum(0.0, (w / m - collision_w) + (lo / n - collision_lo)))
        return weight, number(where, "beta", beta, "above 0") * ((w - ref_w) - (lo - ref_lo))


def mallowspo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    ref_chosen_mean_entropy: Values,
    ref_rejected_mean_entropy: Values,
    beta: float = 0.1,
    dispersion: float = 0.29,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO whose beta is larger on prompts that leave little open.

    Arguments, units and errors are those of :func:`penchant.mallowspo_loss`.

    .. math:: L = -\log\sigma(\beta\phi(\rho_w - \rho_l)), \quad \phi = -\phi^*\log\frac{H_w + H_l}{2}

    References:
        Chen, Zhao, Lam, Yao, Tang (2024), MallowsPO: Fine-Tune Your LLM with Preference Dispersions, arXiv:2405.14953.

    >>> round(mallowspo_loss(2.0, -1.0, 0.1, 0.3), 12)
    0.625585370441
    """
    entropies = (ref_chosen_mean_entropy, ref_rejected_mean_entropy)
    scale, gap = _dispersed("mallowspo_loss", log_ratio_w, log_ratio_l, entropies, beta, dispersion)
    return reduce("mallowspo_loss", softplus(-scale * gap), reduction)


def mallowspo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    ref_chosen_mean_entropy: Values,
    ref_rejected_mean_entropy: Values,
    beta: float = 0.1,
    dispersion: float = 0.29,
) -> PairGrad:
    r"""Derivatives of :func:`mallowspo_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\phi\,\sigma(-z), \quad
        \partial L/\partial\rho_l = \beta\phi\,\sigma(-z)
    """
    entropies = (ref_chosen_mean_entropy, ref_rejected_mean_entropy)
    scale, gap = _dispersed("mallowspo_grad", log_ratio_w, log_ratio_l, entropies, beta, dispersion)
    return opposed(-scale * sigmoid(-scale * gap))


def _dispersed(
    where: str, w: Values, lo: Values, entropies: tuple[Values, Values], beta: float, dispersion: float
) -> tuple[Array, Array]:
    """beta phi and the gap of the log-ratios."""
    named = {"ref_chosen_mean_entropy": entropies[0], "ref_rejected_mean_entropy": entropies[1]}
    chosen, rejected, entropy_w, entropy_lo = batch(where, log_ratio_w=w, log_ratio_l=lo, **named)
    scale = number(where, "beta", beta, "above 0") * number(where, "dispersion", dispersion, "above 0")
    with np.errstate(all="ignore"):
        return -scale * np.log((entropy_w + entropy_lo) / 2), chosen - rejected
