r"""The oracle's losses on pairs without a reference."""

from __future__ import annotations

import numpy as np

from penchant.numpy.common import (
    Array,
    PairGrad,
    Result,
    Values,
    batch,
    bent_gap,
    check_lengths,
    means,
    number,
    plain,
    reduce,
    sigmoid,
    softplus,
)


def cpo_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    beta: float = 0.1,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Contrastive Preference Optimization: DPO with a uniform reference, plus the chosen answer's likelihood.

    Arguments, units and errors are those of :func:`penchant.cpo_loss`.

    .. math:: L = -\log\sigma\big(\beta[\log\pi(y_w|x) - \log\pi(y_l|x)]\big) - \frac{\alpha}{|y_w|}\log\pi(y_w|x)

    References:
        Haoran Xu, Amr Sharaf, Yunmo Chen et al., "Contrastive Preference Optimization: Pushing the Boundaries of LLM
        Performance in Machine Translation", 2024, arXiv:2401.08417.

    >>> round(cpo_loss(-12.0, -30.0, 8), 9)
    1.652977611
    """
    scale, w, lo, m = _cpo("cpo_loss", chosen_logps, rejected_logps, chosen_lengths, beta)
    return reduce("cpo_loss", softplus(scale * (lo - w)) - number("cpo_loss", "alpha", alpha, "") * w / m, reduction)


def cpo_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    beta: float = 0.1,
    alpha: float = 1.0,
) -> PairGrad:
    r"""Derivatives of :func:`cpo_loss` by the two summed log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\beta\sigma(-z) - \alpha/m, \quad \partial L/\partial\log\pi_l =
              \beta\sigma(-z)
    """
    scale, w, lo, m = _cpo("cpo_grad", chosen_logps, rejected_logps, chosen_lengths, beta)
    slope = scale * sigmoid(scale * (lo - w))
    return PairGrad(plain(-slope - number("cpo_grad", "alpha", alpha, "") / m), plain(slope))


def alphapo_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 2.5,
    gamma: float = 0.25,
    alpha: float = 0.25,
    *,
    reduction: str = "mean",
) -> Result:
    r"""AlphaPO: SimPO with a bent reward, which changes how fast likely answers stop pulling.

    Arguments, units and errors are those of :func:`penchant.alphapo_loss`.

    .. math:: L = -\log\sigma\big(\beta(r_w - r_l) - \gamma\big), \quad r = \frac{1 - e^{-\alpha\bar p}}{\alpha},\
              \bar p = \frac{\log\pi(y|x)}{|y|}

    References:
        Aman Gupta, Shao Tang, Qingquan Song et al., "AlphaPO: Reward Shape Matters for LLM Alignment", 2025,
        arXiv:2501.03884.

    >>> round(alphapo_loss(-12.0, -30.0, 8, 15), 9)
    0.169758526
    """
    *_, z = _alphapo("alphapo_loss", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, beta, gamma, alpha)
    return reduce("alphapo_loss", softplus(-z), reduction)


def alphapo_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 2.5,
    gamma: float = 0.25,
    alpha: float = 0.25,
) -> PairGrad:
    r"""Derivatives of :func:`alphapo_loss` by the two summed log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\frac\beta m e^{-\alpha\bar p_w}\sigma(-z), \quad \partial
              L/\partial\log\pi_l = \frac\beta n e^{-\alpha\bar p_l}\sigma(-z)
    """
    scale, w, lo, m, n, z = _alphapo(
        "alphapo_grad", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, beta, gamma, alpha
    )
    slope = scale * sigmoid(-z)
    return PairGrad(plain(-slope * np.exp(-alpha * w) / m), plain(slope * np.exp(-alpha * lo) / n))


def simper_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    *,
    reduction: str = "mean",
) -> Result:
    r"""SimPER: inverse perplexities are compared, without any constant.

    Arguments, units and errors are those of :func:`penchant.simper_loss`.

    .. math:: L = -e^{\bar p_w} + e^{\bar p_l}, \quad \bar p = \frac{\log\pi(y|x)}{|y|}

    References:
        Teng Xiao, Yige Yuan, Zhengyu Chen et al., "SimPER: A Minimalist Approach to Preference Alignment without
        Hyperparameters", 2025, arXiv:2502.00883.

    >>> round(simper_loss(-12.0, -30.0, 8, 15), 9)
    -0.087794877
    """
    w, lo, _, _ = means("simper_loss", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    with np.errstate(all="ignore"):
        return reduce("simper_loss", np.exp(lo) - np.exp(w), reduction)


def simper_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
) -> PairGrad:
    r"""Derivatives of :func:`simper_loss` by the two summed log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -e^{\bar p_w}/m, \quad \partial L/\partial\log\pi_l = e^{\bar p_l}/n
    """
    w, lo, m, n = means("simper_grad", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    with np.errstate(all="ignore"):
        return PairGrad(plain(-np.exp(w) / m), plain(np.exp(lo) / n))


def asft_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    lambda_: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""ASFT: fine-tuning, plus each answer's own odds instead of ORPO's ratio of the two.

    Arguments, units and errors are those of :func:`penchant.asft_loss`.

    .. math:: L = -\bar p_w + \lambda\big[-\log\sigma(o_w) - \log\sigma(-o_l)\big] = -(1+\lambda)\,\bar p_w -
              \lambda\log(1 - P_l), \quad P = e^{\bar p},\ o = \log\tfrac{P}{1-P}

    References:
        Ruoyu Wang, Jiachen Sun, Shaowei Hua, Quan Fang, "ASFT: Aligned Supervised Fine-Tuning through Absolute
        Likelihood", 2024, arXiv:2409.10571.

    >>> round(asft_loss(-12.0, -30.0, 8, 15), 9)
    1.664541346
    """
    w, lo, _, _ = means("asft_loss", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    weight = number("asft_loss", "lambda_", lambda_, "at least 0")
    with np.errstate(all="ignore"):
        return reduce(
            "asft_loss",
            -w - weight * (w + np.where(lo > -0.7, np.log(-np.expm1(lo)), np.log1p(-np.exp(lo)))),
            reduction,
        )


def asft_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    lambda_: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`asft_loss` by the two summed log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -(1+\lambda)/m, \quad \partial L/\partial\log\pi_l =
              \frac{\lambda}{n}\frac{P_l}{1-P_l}
    """
    _, lo, m, n = means("asft_grad", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    weight = number("asft_grad", "lambda_", lambda_, "at least 0")
    with np.errstate(all="ignore"):
        return PairGrad(plain(-(1 + weight) / m), plain(weight / np.expm1(-lo) / n))


def repo_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    gamma: float = 0.6,
    *,
    reduction: str = "mean",
) -> Result:
    r"""RePO: a hinge on log-probs per token; SimPO where beta goes to infinity.

    Arguments, units and errors are those of :func:`penchant.repo_loss`.

    .. math:: L = \max\big(0, \gamma - (\bar p_w - \bar p_l)\big), \quad \bar p = \frac{\log\pi(y|x)}{|y|}

    References:
        Junkang Wu, Kexin Huang, Xue Wang et al., "RePO: ReLU-based Preference Optimization", 2025, arXiv:2503.07426.

    >>> round(repo_loss(-12.0, -30.0, 8, 15), 9)
    0.1
    """
    w, lo, _, _ = means("repo_loss", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    return reduce("repo_loss", np.maximum(0.0, number("repo_loss", "gamma", gamma, "") - (w - lo)), reduction)


def repo_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    gamma: float = 0.6,
) -> PairGrad:
    r"""Derivatives of :func:`repo_loss` by the two summed log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -[\bar p_w - \bar p_l < \gamma]/m, \quad \partial L/\partial\log\pi_l =
              [\bar p_w - \bar p_l < \gamma]/n
    """
    w, lo, m, n = means("repo_grad", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    short = (number("repo_grad", "gamma", gamma, "") - (w - lo) > 0) * 1.0
    return PairGrad(plain(-short / m), plain(short / n))


def slic_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    delta: float = 1.0,
    lambda_: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""SLiC-HF: a hinge on log-probs, and the chosen answer's likelihood.

    Arguments, units and errors are those of :func:`penchant.slic_loss`.

    .. math:: L = \max\big(0, \delta - \log\pi(y_w|x) + \log\pi(y_l|x)\big) - \lambda\log\pi(y_w|x)

    References:
        Yao Zhao, Rishabh Joshi, Tianqi Liu et al., "SLiC-HF: Sequence Likelihood Calibration with Human Feedback",
        2023, arXiv:2305.10425.

    >>> round(slic_loss(-12.0, -30.0, delta=20.0), 9)
    3.2
    """
    w, lo = batch("slic_loss", chosen_logps=chosen_logps, rejected_logps=rejected_logps)
    short = np.maximum(0.0, number("slic_loss", "delta", delta, "") - w + lo)
    return reduce("slic_loss", short - number("slic_loss", "lambda_", lambda_, "at least 0") * w, reduction)


def slic_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    delta: float = 1.0,
    lambda_: float = 0.1,
) -> PairGrad:
    r"""Derivatives of :func:`slic_loss` by the two log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -[\log\pi_w - \log\pi_l < \delta] - \lambda, \quad \partial
              L/\partial\log\pi_l = [\log\pi_w - \log\pi_l < \delta]
    """
    w, lo = batch("slic_grad", chosen_logps=chosen_logps, rejected_logps=rejected_logps)
    short = (number("slic_grad", "delta", delta, "") - w + lo > 0) * 1.0
    return PairGrad(plain(-short - number("slic_grad", "lambda_", lambda_, "at least 0")), plain(short))


def _cpo(where: str, w: Values, lo: Values, m: Values, beta: float) -> tuple[float, Array, Array, Array]:
    chosen, rejected, length = batch(where, chosen_logps=w, rejected_logps=lo, chosen_lengths=m)
    check_lengths(where, chosen_lengths=length)
    return number(where, "beta", beta, "above 0"), chosen, rejected, length


def _alphapo(
    where: str, w: Values, lo: Values, m: Values, n: Values, beta: float, gamma: float, alpha: float
) -> tuple[float, Array, Array, Array, Array, Array]:
    chosen, rejected, long_w, long_lo = means(where, w, lo, m, n)
    scale, bend = number(where, "beta", beta, "above 0"), number(where, "alpha", alpha, "")
    with np.errstate(all="ignore"):
        z = scale * bent_gap(chosen, rejected, bend) - number(where, "gamma", gamma, "")
    return scale, chosen, rejected, long_w, long_lo, z


def cpo_simpo_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 2.0,
    gamma: float = 0.5,
    alpha: float = 0.05,
    *,
    reduction: str = "mean",
) -> Result:
    r"""SimPO that also imitates its chosen answers.

    Arguments, units and errors are those of :func:`penchant.cpo_simpo_loss`.

    .. math:: L = -\log\sigma(\beta(\bar p_w - \bar p_l) - \gamma) - \alpha\bar p_w

    References:
        Haoran Xu (2024), CPO-SimPO, github.com/fe1ixxu/CPO_SIMPO.

    >>> round(cpo_simpo_loss(-12.0, -30.0, 8, 15), 12)
    0.54907698418
    """
    w, lo, _, _ = means("cpo_simpo_loss", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    scale, margin = number("cpo_simpo_loss", "beta", beta, "above 0"), number("cpo_simpo_loss", "gamma", gamma, "")
    with np.errstate(all="ignore"):
        losses = softplus(margin - scale * (w - lo)) - number("cpo_simpo_loss", "alpha", alpha, "") * w
    return reduce("cpo_simpo_loss", losses, reduction)


def cpo_simpo_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 2.0,
    gamma: float = 0.5,
    alpha: float = 0.05,
) -> PairGrad:
    r"""Derivatives of :func:`cpo_simpo_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\frac{\beta\sigma(-z) + \alpha}{m}, \quad
        \partial L/\partial\log\pi_l = \frac{\beta}{n}\sigma(-z)
    """
    w, lo, m, n = means("cpo_simpo_grad", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    scale, margin = number("cpo_simpo_grad", "beta", beta, "above 0"), number("cpo_simpo_grad", "gamma", gamma, "")
    with np.errstate(all="ignore"):
        slope = scale * np.asarray(sigmoid(margin - scale * (w - lo)))
        chosen = -(slope + number("cpo_simpo_grad", "alpha", alpha, "")) / m
        return PairGrad(plain(chosen), plain(slope / n))
