r"""The oracle's losses on rated pairs."""

from __future__ import annotations

import numpy as np

from penchant.errors import InputError
from penchant.numpy.common import (
    Array,
    PairGrad,
    Result,
    Values,
    batch,
    bernoulli_kl,
    choice,
    number,
    opposed,
    reduce,
    sigmoid,
    softplus,
)

_DISTANCES = ("backward_kl", "forward_kl", "squared")


def odpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_scores: Values,
    rejected_scores: Values,
    beta: float = 0.1,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO with an Offset: a pair must be further apart the further apart its ratings are.

    Arguments, units and errors are those of :func:`penchant.odpo_loss`.

    .. math:: L = -\log\sigma\big(\beta(\rho_w - \rho_l) - \alpha\log(s_w - s_l)\big)

    References:
        Afra Amini, Tim Vieira, Ryan Cotterell, "Direct Preference Optimization with an Offset", 2024, arXiv:2402.10571.

    >>> round(odpo_loss(2.0, -1.0, 4.0, 2.0), 9)
    0.908918198
    """
    _, z = _odpo_z("odpo_loss", log_ratio_w, log_ratio_l, chosen_scores, rejected_scores, beta, alpha)
    return reduce("odpo_loss", softplus(-z), reduction)


def odpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_scores: Values,
    rejected_scores: Values,
    beta: float = 0.1,
    alpha: float = 1.0,
) -> PairGrad:
    r"""Derivatives of :func:`odpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\sigma(\alpha\log(s_w-s_l) - \beta(\rho_w-\rho_l)) = -\partial
              L/\partial\rho_l
    """
    scale, z = _odpo_z("odpo_grad", log_ratio_w, log_ratio_l, chosen_scores, rejected_scores, beta, alpha)
    return opposed(-scale * sigmoid(-z))


def modpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    margin: Values,
    beta: float = 0.1,
    objective_weight: float = 1.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Multi-objective DPO: a margin takes the other objectives' rewards out of the preference.

    Arguments, units and errors are those of :func:`penchant.modpo_loss`.

    .. math:: L = -\log\sigma\Big(\frac1{w}\big[\beta(\rho_w - \rho_l) - m\big]\Big)

    References:
        Zhanhui Zhou, Jie Liu, Jing Shao et al., "Beyond One-Preference-Fits-All Alignment: Multi-Objective Direct
        Preference Optimization", 2023, arXiv:2310.03708.

    >>> round(modpo_loss(2.0, -1.0, 0.3), 9)
    0.693147181
    """
    _, z = _modpo_z("modpo_loss", log_ratio_w, log_ratio_l, margin, beta, objective_weight)
    return reduce("modpo_loss", softplus(-z), reduction)


def modpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    margin: Values,
    beta: float = 0.1,
    objective_weight: float = 1.0,
) -> PairGrad:
    r"""Derivatives of :func:`modpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\frac{\beta}{w}\sigma(-z) = -\partial L/\partial\rho_l
    """
    scale, z = _modpo_z("modpo_grad", log_ratio_w, log_ratio_l, margin, beta, objective_weight)
    return opposed(-scale * sigmoid(-z))


def rebel_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_scores: Values,
    rejected_scores: Values,
    eta: float = 1.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""REBEL: the difference of log-ratios is regressed to the difference of rewards.

    Arguments, units and errors are those of :func:`penchant.rebel_loss`.

    .. math:: L = \Big(\frac{\rho_w - \rho_l}{\eta} - (s_w - s_l)\Big)^2

    References:
        Zhaolin Gao, Jonathan D. Chang, Wenhao Zhan et al., "REBEL: Reinforcement Learning via Regressing Relative
        Rewards", 2024, arXiv:2404.16767.

    >>> rebel_loss(2.0, -1.0, 1.0, 0.0)
    4.0
    """
    _, residual = _rebel("rebel_loss", log_ratio_w, log_ratio_l, chosen_scores, rejected_scores, eta)
    with np.errstate(all="ignore"):
        return reduce("rebel_loss", residual**2, reduction)


def rebel_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_scores: Values,
    rejected_scores: Values,
    eta: float = 1.0,
) -> PairGrad:
    r"""Derivatives of :func:`rebel_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = \frac2\eta\Big(\frac{\rho_w-\rho_l}{\eta} - (s_w-s_l)\Big) = -\partial
              L/\partial\rho_l
    """
    scale, residual = _rebel("rebel_grad", log_ratio_w, log_ratio_l, chosen_scores, rejected_scores, eta)
    return opposed(2 / scale * residual)


def reward_aware_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_scores: Values,
    rejected_scores: Values,
    beta: float = 0.1,
    eta: float = 1.0,
    *,
    distance: str = "backward_kl",
    reduction: str = "mean",
) -> Result:
    r"""Reward-aware preference optimisation: implicit and given reward gaps are brought together by a distance.

    Arguments, units and errors are those of :func:`penchant.reward_aware_loss`.

    .. math:: L = D\big(\beta(\rho_w - \rho_l)\,,\ \eta(s_w - s_l)\big)

    References:
        NVIDIA, "Nemotron-4 340B Technical Report", 2024, arXiv:2406.11704.

    >>> round(reward_aware_loss(2.0, -1.0, 1.0, 0.0), 9)
    0.052834562
    """
    where = "reward_aware_loss"
    _, z, t = _reward_gaps(where, log_ratio_w, log_ratio_l, chosen_scores, rejected_scores, beta, eta)
    kind = choice(where, "distance", distance, _DISTANCES)
    with np.errstate(all="ignore"):
        if kind == "squared":
            return reduce(where, (z - t) ** 2, reduction)
        first, second = (z, t) if kind == "forward_kl" else (t, z)
        return reduce(where, bernoulli_kl(first, second), reduction)


def reward_aware_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_scores: Values,
    rejected_scores: Values,
    beta: float = 0.1,
    eta: float = 1.0,
    *,
    distance: str = "backward_kl",
) -> PairGrad:
    r"""Derivatives of :func:`reward_aware_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = \beta(\sigma(z) - \sigma(t)),\ \beta\sigma(z)\sigma(-z)(z - t),\ 2\beta(z -
              t)\ \text{in the order above};\quad \partial L/\partial\rho_l = -\partial L/\partial\rho_w
    """
    scale, z, t = _reward_gaps("reward_aware_grad", log_ratio_w, log_ratio_l, chosen_scores, rejected_scores, beta, eta)
    kind = choice("reward_aware_grad", "distance", distance, _DISTANCES)
    if kind == "squared":
        return opposed(2 * scale * (z - t))
    return opposed(scale * (sigmoid(z) * sigmoid(-z) * (z - t) if kind == "forward_kl" else sigmoid(z) - sigmoid(t)))


def _odpo_z(
    where: str, w: Values, lo: Values, s_w: Values, s_lo: Values, beta: float, alpha: float
) -> tuple[float, Array]:
    named = {"log_ratio_w": w, "log_ratio_l": lo, "chosen_scores": s_w, "rejected_scores": s_lo}
    chosen, rejected, high, low = batch(where, **named)
    if not (high > low).all():
        raise InputError("chosen_scores must be above rejected_scores", where=where, fix="Drop ties")
    scale = number(where, "beta", beta, "above 0")
    return scale, scale * (chosen - rejected) - number(where, "alpha", alpha, "") * np.log(high - low)


def _modpo_z(where: str, w: Values, lo: Values, margin: Values, beta: float, weight: float) -> tuple[float, Array]:
    chosen, rejected, lead = batch(where, log_ratio_w=w, log_ratio_l=lo, margin=margin)
    share = number(where, "objective_weight", weight, "in (0, 1]")
    scale = number(where, "beta", beta, "above 0") / share
    return scale, scale * (chosen - rejected) - lead / share


def _rebel(where: str, w: Values, lo: Values, s_w: Values, s_lo: Values, eta: float) -> tuple[float, Array]:
    named = {"log_ratio_w": w, "log_ratio_l": lo, "chosen_scores": s_w, "rejected_scores": s_lo}
    chosen, rejected, high, low = batch(where, **named)
    scale = number(where, "eta", eta, "above 0")
    return scale, (chosen - rejected) / scale - (high - low)


def _reward_gaps(
    where: str, w: Values, lo: Values, s_w: Values, s_lo: Values, beta: float, eta: float
) -> tuple[float, Array, Array]:
    named = {"log_ratio_w": w, "log_ratio_l": lo, "chosen_scores": s_w, "rejected_scores": s_lo}
    chosen, rejected, high, low = batch(where, **named)
    scale = number(where, "beta", beta, "above 0")
    return scale, scale * (chosen - rejected), number(where, "eta", eta, "above 0") * (high - low)
