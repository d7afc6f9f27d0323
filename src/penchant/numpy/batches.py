r"""The oracle's losses that set a pair against its batch, or against those before."""

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
    plain,
    reduce,
    sigmoid,
    softplus,
)


def beta_dpo_loss(
    log_ratio_w: Values, log_ratio_l: Values, gap_mean: Values, beta: float = 0.1, alpha: float = 0.6
) -> Result:
    r"""DPO whose beta follows the mean gap of the batch; that beta is held constant.

    Arguments, units and errors are those of :func:`penchant.beta_dpo_loss`.

    .. math:: L = \frac1N\sum_i -\log\sigma(\beta' g_i), \quad \beta' = \max(10^{-3}, \beta(1 + \alpha(\bar g - M)))

    References:
        Wu et al. (2024), β-DPO: Direct Preference Optimization with Dynamic β, arXiv:2407.08639.

    >>> round(beta_dpo_loss(3.0, 0.0, 2.0), 12)
    0.481674874396
    """
    scale, gaps = _follow("beta_dpo_loss", log_ratio_w, log_ratio_l, gap_mean, beta, alpha)
    return reduce("beta_dpo_loss", softplus(-scale * gaps), "mean")


def beta_dpo_grad(
    log_ratio_w: Values, log_ratio_l: Values, gap_mean: Values, beta: float = 0.1, alpha: float = 0.6
) -> PairGrad:
    r"""Derivatives of :func:`beta_dpo_loss` by each pair's log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_{w,i} = -\beta'\sigma(-\beta' g_i)/N
    """
    scale, gaps = _follow("beta_dpo_grad", log_ratio_w, log_ratio_l, gap_mean, beta, alpha)
    return opposed(-scale * sigmoid(-scale * gaps) / gaps.size)


def _follow(where: str, w: Values, lo: Values, before: Values, beta: float, alpha: float) -> tuple[float, Array]:
    chosen, rejected, mean = batch(where, log_ratio_w=w, log_ratio_l=lo, gap_mean=before)
    scale, pull = number(where, "beta", beta, "above 0"), number(where, "alpha", alpha, "")
    with np.errstate(all="ignore"):
        gaps = chosen - rejected
        return max(1e-3, float(scale * (1 + pull * np.mean(gaps - mean)))), gaps


def alpha_dpo_loss(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    gap_mean: Values,
    gap_std: Values,
    beta: float = 2.5,
    gamma: float = 0.375,
    alpha: float = 0.125,
    *,
    reduction: str = "mean",
) -> Result:
    r"""SimPO with a margin that is held constant and grows with the standardised gap of the log-ratios per token.

    Arguments, units and errors are those of :func:`penchant.alpha_dpo_loss`.

    .. math:: L = -\log\sigma\Big(\beta(\bar p_w - \bar p_l) - \gamma - \alpha\frac{g - M}{S}\Big)

    References:
        Wu et al. (2024), AlphaDPO: Adaptive Reward Margin is What Direct Preference Optimization Needs,
        arXiv:2410.10148.

    >>> round(alpha_dpo_loss(-12.0, -30.0, -14.0, -29.0, 8, 15, 0.1, 0.2, 2.0, 0.5, 0.1), 12)
    0.516367868839
    """
    logps = (policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps)
    rest = (chosen_lengths, rejected_lengths, gap_mean, gap_std)
    z, _, _ = _margined("alpha_dpo_loss", logps, rest, (beta, gamma, alpha))
    return reduce("alpha_dpo_loss", softplus(-z), reduction)


def alpha_dpo_grad(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    gap_mean: Values,
    gap_std: Values,
    beta: float = 2.5,
    gamma: float = 0.375,
    alpha: float = 0.125,
) -> PairGrad:
    r"""Derivatives of :func:`alpha_dpo_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\frac{\beta}{m}\sigma(-z), \quad
        \partial L/\partial\log\pi_l = \frac{\beta}{n}\sigma(-z)
    """
    logps = (policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps)
    rest = (chosen_lengths, rejected_lengths, gap_mean, gap_std)
    z, m, n = _margined("alpha_dpo_grad", logps, rest, (beta, gamma, alpha))
    slope = float(beta) * np.asarray(sigmoid(-z))
    return PairGrad(*map(plain, (-slope / m, slope / n)))


def _margined(
    where: str, logps: tuple[Values, ...], rest: tuple[Values, ...], constants: tuple[float, float, float]
) -> tuple[Array, Array, Array]:
    names = ("policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
    others = ("chosen_lengths", "rejected_lengths", "gap_mean", "gap_std")
    w, lo, ref_w, ref_lo, m, n, mean, std = batch(where, **dict(zip((*names, *others), (*logps, *rest), strict=True)))
    check_lengths(where, chosen_lengths=m, rejected_lengths=n)
    beta, gamma, alpha = constants
    number(where, "gamma", gamma, "")
    number(where, "alpha", alpha, "")
    with np.errstate(all="ignore"):
        gap = (w - ref_w) / m - (lo - ref_lo) / n
        margin = float(gamma) + float(alpha) * (gap - mean) / std
        return number(where, "beta", beta, "above 0") * (w / m - lo / n) - margin, m, n


def aot_loss(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    beta: float = 0.01,
) -> Result:
    r"""DPO on the sorted gaps of policy and reference.

    Arguments, units and errors are those of :func:`penchant.aot_loss`.

    .. math:: L = \frac1N\sum_i -\log\sigma(\beta(g_{(i)} - h_{(i)}))

    References:
        Melnyk et al. (2024), Distributional Preference Alignment of LLMs via Optimal Transport, arXiv:2406.05882.

    >>> round(aot_loss(-12.0, -30.0, -14.0, -29.0, beta=0.1), 12)
    0.554355244469
    """
    gaps, before, scale = _gaps(
        "aot_loss", policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    return reduce("aot_loss", softplus(-scale * (np.sort(gaps) - np.sort(before))), "mean")


def aot_grad(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    beta: float = 0.01,
) -> PairGrad:
    r"""Derivatives of :func:`aot_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_{w,j} = -\beta\sigma(-z_i)/N, \quad i \text{ the place of pair } j
    """
    gaps, before, scale = _gaps(
        "aot_grad", policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
    )
    slopes = scale * np.asarray(sigmoid(-scale * (np.sort(gaps) - np.sort(before)))) / gaps.size
    return opposed(-_unsorted(slopes, gaps).reshape(np.broadcast(policy_chosen_logps, policy_rejected_logps).shape))


def _gaps(where: str, w: Values, lo: Values, ref_w: Values, ref_lo: Values, beta: float) -> tuple[Array, Array, float]:
    named = {"policy_chosen_logps": w, "policy_rejected_logps": lo}
    named |= {"ref_chosen_logps": ref_w, "ref_rejected_logps": ref_lo}
    chosen, rejected, ref_chosen, ref_rejected = batch(where, **named)
    return np.ravel(chosen - rejected), np.ravel(ref_chosen - ref_rejected), number(where, "beta", beta, "above 0")


def aot_unpaired_loss(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.01) -> Result:
    r"""DPO on the sorted log-ratios of chosen and rejected answers.

    Arguments, units and errors are those of :func:`penchant.aot_unpaired_loss`.

    .. math:: L = \frac1N\sum_i -\log\sigma(\beta(\rho_{w,(i)} - \rho_{l,(i)}))

    References:
        Melnyk et al. (2024), Distributional Preference Alignment of LLMs via Optimal Transport, arXiv:2406.05882.

    >>> round(aot_unpaired_loss(2.0, -1.0, beta=0.1), 12)
    0.554355244469
    """
    w, lo = map(np.ravel, batch("aot_unpaired_loss", log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l))
    scale = number("aot_unpaired_loss", "beta", beta, "above 0")
    return reduce("aot_unpaired_loss", softplus(-scale * (np.sort(w) - np.sort(lo))), "mean")


def aot_unpaired_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.01) -> PairGrad:
    r"""Derivatives of :func:`aot_unpaired_loss` by each answer's log-ratio; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_{w,j} = -\beta\sigma(-z_i)/N, \quad i \text{ the place of answer } j
    """
    w, lo = batch("aot_unpaired_grad", log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    scale = number("aot_unpaired_grad", "beta", beta, "above 0")
    slopes = scale * np.asarray(sigmoid(-scale * (np.sort(np.ravel(w)) - np.sort(np.ravel(lo))))) / w.size
    return PairGrad(*(plain(_unsorted(s, x).reshape(x.shape)) for s, x in ((-slopes, w), (slopes, lo))))


def _unsorted(slopes: Array, values: Array) -> Array:
    """Slopes by place, brought back to the order of the values."""
    found = np.empty_like(slopes)
    found[np.argsort(np.ravel(values), kind="stable")] = slopes
    return found
