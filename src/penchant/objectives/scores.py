"""What is compared: log-probs per token, and odds ratios that stay finite where a probability reaches one."""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import stop_gradient
from penchant.records import Array


def mean_logps(logps: Array, lengths: Array) -> Array:
    """Log-prob per token: the sum over the answer's tokens divided by their number; nats per token."""
    return logps / lengths


def nll(logps: Array, lengths: Array) -> Array:
    """Negative log-likelihood per token, the supervised fine-tuning loss of the answer."""
    return -mean_logps(logps, lengths)


def odds_ratio_loss(chosen_mean_logps: Array, rejected_mean_logps: Array) -> Array:
    r"""-log σ(log odds_w - log odds_l) for odds = P / (1 - P), P = exp(mean log-prob).

    Equal to :math:`\log(1 + e^{l-w}\,(1 - e^w)/(1 - e^l))`, which has a finite value and slope as the chosen
    probability reaches one (w = 0), where the difference of log-odds is infinite and its slope not a number. The
    largest exponent m is taken out of the logarithm; it carries no gradient because the value does not depend on it.
    As the rejected probability reaches one the loss is infinite, and so it is here.
    """
    xp = compat.array_namespace(chosen_mean_logps)
    difference = rejected_mean_logps - chosen_mean_logps
    complement = -xp.expm1(rejected_mean_logps)
    certain = complement == 0
    ratio = -xp.expm1(chosen_mean_logps) / xp.where(certain, xp.ones_like(complement), complement)
    complement_ratio = xp.where(certain, xp.full_like(complement, xp.inf), ratio)
    m = stop_gradient(xp.maximum(difference, xp.zeros_like(difference)))
    return m + xp.log1p(xp.expm1(-m) + xp.exp(difference - m) * complement_ratio)
