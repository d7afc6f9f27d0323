r"""The oracle's losses on pairs that count tokens."""

from __future__ import annotations

import numpy as np

from penchant.errors import InputError
from penchant.numpy.common import (
    Array,
    PairGrad,
    Result,
    Values,
    batch,
    check_lengths,
    means,
    number,
    plain,
    reduce,
    sigmoid,
    softplus,
)


def simpo_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 2.0,
    gamma: float = 0.5,
    *,
    reduction: str = "mean",
) -> Result:
    r"""SimPO: mean log-probs per token compared with a margin, no reference.

    .. math:: L = -\log\sigma(z), \quad z = \beta\left(\frac{\log\pi_w}{m} - \frac{\log\pi_l}{n}\right) - \gamma

    Args:
        chosen_logps, rejected_logps: Policy's log-probs, scalar or ``(pairs,)``, nats summed over the answer's tokens.
        chosen_lengths, rejected_lengths: Numbers m and n of exactly those tokens, same shape, above 0.
        beta: Scale of the reward, per nat, above 0; 2 to 10 is common.
        gamma: Target margin of rewards (the official code asks for gamma/beta); 0.1 to 0.8 times beta is common.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``, in nats; log 2 where the rewards differ by gamma.

    Raises:
        InputError: Bad shape, length or option; the message names it.

    References:
        Meng, Xia, Chen (2024), SimPO: Simple Preference Optimization with a Reference-Free Reward, arXiv:2405.14734,
        Eq. 6, as in the sheet.

    >>> round(simpo_loss(-12.0, -30.0, 8, 15), 12)
    0.47407698418
    """
    w, lo, _, _ = means("simpo_loss", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    return reduce("simpo_loss", softplus(-_simpo_z("simpo_loss", w, lo, beta, gamma)), reduction)


def simpo_grad(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 2.0,
    gamma: float = 0.5,
) -> PairGrad:
    r"""Derivatives of :func:`simpo_loss` by the two summed log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\beta\sigma(-z)/m, \quad \partial L/\partial\log\pi_l = \beta\sigma(-z)/n

    Returns:
        Shape of the inputs; -beta/(2m) and beta/(2n) where the rewards differ by gamma.

    >>> simpo_grad(-4.0, -8.0, 4, 4, gamma=2.0)
    PairGrad(chosen=-0.25, rejected=0.25)
    """
    w, lo, m, n = means("simpo_grad", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    slope = sigmoid(-_simpo_z("simpo_grad", w, lo, beta, gamma)) * float(beta)
    return PairGrad(plain(-slope / m), plain(slope / n))


def _simpo_z(where: str, w: Array, lo: Array, beta: float, gamma: float) -> Array:
    with np.errstate(all="ignore"):
        return number(where, "beta", beta, "above 0") * (w - lo) - number(where, "gamma", gamma, "")


def orpo_loss(
    chosen_logps: Values,
    rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    lambda_: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""ORPO: likelihood of the chosen answer and a penalty on the odds ratio, no reference.

    .. math:: L = -\log P_w - \lambda\log\sigma(\log o_w - \log o_l), \quad
        P = \pi^{1/\text{length}}, \quad o = P/(1-P)

    Args:
        chosen_logps, rejected_logps: Policy's log-probs, scalar or ``(pairs,)``, nats summed over the answer's tokens
            (not the prompt's, which some code bases count in the first term); at most 0, as P is a probability.
        chosen_lengths, rejected_lengths: Numbers m and n of exactly those tokens, same shape, above 0.
        lambda_: Weight of the odds-ratio term, at least 0; 0.1 to 1 is common.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``, in nats; -log P + lambda log 2 where both P are equal, 0 at P_w = 1, inf
        at P_l = 1, NaN where both are 1 and their odds ratio means nothing.

    Raises:
        InputError: Bad shape, length or option, or a log-prob above 0; the message names it.

    References:
        Hong, Lee, Thorne (2024), ORPO: Monolithic Preference Optimization without Reference Model, arXiv:2403.07691,
        section 4. The sheet names ORPO and gives no formula.

    >>> round(orpo_loss(-12.0, -30.0, 8, 15), 12)
    1.543498880687
    """
    w, lo, _, _ = _orpo_means("orpo_loss", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    weight = number("orpo_loss", "lambda_", lambda_, "at least 0")
    with np.errstate(all="ignore"):  # log 0 at P = 1 is the infinite log-odds that is meant
        z = (w - np.log(-np.expm1(w))) - (lo - np.log(-np.expm1(lo)))
        return reduce("orpo_loss", -w + weight * softplus(-z), reduction)


def orpo_grad(
    chosen_logps: Values, rejected_logps: Values, chosen_lengths: Values, rejected_lengths: Values, lambda_: float = 0.1
) -> PairGrad:
    r"""Derivatives of :func:`orpo_loss` by the two summed log-probs; arguments and errors are the loss's.

    .. math:: \frac{\partial L}{\partial\log\pi_w} = -\frac1m\Big(1 + \frac{\lambda P_l}{D}\Big), \quad
        \frac{\partial L}{\partial\log\pi_l} = \frac{\lambda P_l(1-P_w)}{n D(1-P_l)}, \quad D = P_w(1-P_l) + P_l(1-P_w)

    Returns:
        Shape of the inputs; at P_w = 1 they are -(1 + lambda o_l)/m and 0: the pole of sigma(-z)/(1 - P_w) cancels.

    >>> round(orpo_grad(-12.0, -30.0, 8, 15).chosen, 10)
    -0.1306754695
    """
    w, lo, m, n = _orpo_means("orpo_grad", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    weight = number("orpo_grad", "lambda_", lambda_, "at least 0")
    with np.errstate(all="ignore"):
        top = np.maximum(w, lo)  # taken out of both P, so that two tiny ones do not give 0/0
        p_w, p_l = np.exp(w - top), np.exp(lo - top)
        miss_w, miss_l = np.abs(np.expm1(w)), np.abs(np.expm1(lo))  # 1 - P; a minus sign would make -0.0 and -inf
        pull = weight * p_l / (p_w * miss_l + p_l * miss_w)
        return PairGrad(plain(-(1.0 + pull) / m), plain(pull * miss_w / miss_l / n))


def _orpo_means(where: str, w: Values, lo: Values, m: Values, n: Values) -> list[Array]:
    parts = means(where, w, lo, m, n)
    for name, values in ("chosen_logps", parts[0]), ("rejected_logps", parts[1]):
        if (values > 0).any():
            fix = "Pass logarithms of probabilities, summed over tokens"
            raise InputError(f"{name} must not be above 0", where=where, got=f"{np.nanmax(values):g}", fix=fix)
    return parts


def r_dpo_loss(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 0.1,
    alpha: float = 0.05,
    *,
    reduction: str = "mean",
) -> Result:
    r"""DPO with a reward per token taken out of the preference.

    .. math:: L = -\log\sigma(z), \quad z = \beta(\rho_w - \rho_l) + \alpha(m - n)

    Args:
        policy_chosen_logps, policy_rejected_logps: Policy's log-probs, scalar or ``(pairs,)``, nats.
        ref_chosen_logps, ref_rejected_logps: The reference's, same shape and unit.
        chosen_lengths, rejected_lengths: Numbers m and n of the summed tokens, same shape, above 0.
        beta: Strength of the pull to the reference, per nat, above 0.
        alpha: Reward per token; 0 is DPO.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``, in nats; log 2 where policy equals reference on equal lengths.

    Raises:
        InputError: Bad shape, length or option; the message names it.

    References:
        Park, Rafailov, Ermon, Finn (2024), Disentangling Length from Quality in Direct Preference Optimization,
        arXiv:2403.19159.

    >>> round(r_dpo_loss(-12.0, -30.0, -14.0, -29.0, 8, 15), 12)
    0.718459648013
    """
    policy, reference = (policy_chosen_logps, policy_rejected_logps), (ref_chosen_logps, ref_rejected_logps)
    z = _r_dpo_z("r_dpo_loss", policy, reference, (chosen_lengths, rejected_lengths), beta, alpha)
    return reduce("r_dpo_loss", softplus(-z), reduction)


def r_dpo_grad(
    policy_chosen_logps: Values,
    policy_rejected_logps: Values,
    ref_chosen_logps: Values,
    ref_rejected_logps: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 0.1,
    alpha: float = 0.05,
) -> PairGrad:
    r"""Derivatives of :func:`r_dpo_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\beta\sigma(-z) = -\partial L/\partial\log\pi_l

    Returns:
        Shape of the inputs; -beta/2 and beta/2 where policy equals reference on equal lengths.

    >>> round(r_dpo_grad(-12.0, -30.0, -14.0, -29.0, 8, 15).chosen, 11)
    -0.05124973965
    """
    policy, reference = (policy_chosen_logps, policy_rejected_logps), (ref_chosen_logps, ref_rejected_logps)
    slope = float(beta) * sigmoid(
        -_r_dpo_z("r_dpo_grad", policy, reference, (chosen_lengths, rejected_lengths), beta, alpha)
    )
    return PairGrad(plain(-slope), plain(slope))


def _r_dpo_z(
    where: str,
    policy: tuple[Values, Values],
    reference: tuple[Values, Values],
    lengths: tuple[Values, Values],
    beta: float,
    alpha: float,
) -> Array:
    names = [f"{kind}_{side}_logps" for kind in ("policy", "ref") for side in ("chosen", "rejected")]
    names += ["chosen_lengths", "rejected_lengths"]
    w, lo, ref_w, ref_lo, m, n = batch(where, **dict(zip(names, (*policy, *reference, *lengths), strict=True)))
    check_lengths(where, chosen_lengths=m, rejected_lengths=n)
    with np.errstate(all="ignore"):
        gap = number(where, "beta", beta, "above 0") * ((w - ref_w) - (lo - ref_lo))
        z: Array = gap + number(where, "alpha", alpha, "") * (m - n)
    return z


def ln_dpo_loss(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 5.0,
    *,
    reduction: str = "mean",
) -> Result:
    r"""Length-normalised DPO: log-ratios per token are compared.

    Arguments, units and errors are those of :func:`penchant.ln_dpo_loss`.

    .. math:: L = -\log\sigma\Big(\beta\Big[\frac{\rho_w}{|y_w|} - \frac{\rho_l}{|y_l|}\Big]\Big)

    References:
        Nathan Lambert, Jacob Morrison, Valentina Pyatkin et al., "Tulu 3: Pushing Frontiers in Open Language Model
        Post-Training", 2024, arXiv:2411.15124.

    >>> round(ln_dpo_loss(2.0, -1.0, 8, 15), 9)
    0.186719918
    """
    _, z, _, _ = _ln_dpo("ln_dpo_loss", log_ratio_w, log_ratio_l, chosen_lengths, rejected_lengths, beta)
    return reduce("ln_dpo_loss", softplus(-z), reduction)


def ln_dpo_grad(
    log_ratio_w: Values,
    log_ratio_l: Values,
    chosen_lengths: Values,
    rejected_lengths: Values,
    beta: float = 5.0,
) -> PairGrad:
    r"""Derivatives of :func:`ln_dpo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = -\beta\sigma(-z)/m, \quad \partial L/\partial\rho_l = \beta\sigma(-z)/n
    """
    scale, z, m, n = _ln_dpo("ln_dpo_grad", log_ratio_w, log_ratio_l, chosen_lengths, rejected_lengths, beta)
    slope = scale * sigmoid(-z)
    return PairGrad(plain(-slope / m), plain(slope / n))


def _ln_dpo(where: str, w: Values, lo: Values, m: Values, n: Values, beta: float) -> tuple[float, Array, Array, Array]:
    named = {"log_ratio_w": w, "log_ratio_l": lo, "chosen_lengths": m, "rejected_lengths": n}
    chosen, rejected, long_w, long_lo = batch(where, **named)
    check_lengths(where, chosen_lengths=long_w, rejected_lengths=long_lo)
    scale = number(where, "beta", beta, "above 0")
    return scale, scale * (chosen / long_w - rejected / long_lo), long_w, long_lo
