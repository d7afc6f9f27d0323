r"""The oracle's losses on lists of answers; the last axis of an input is the list."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from penchant.errors import InputError
from penchant.numpy.common import Array, Result, Values, floats, number, reduce, sigmoid


class ListGrad(NamedTuple):
    """Derivatives of each list's loss by its answers' log-probs."""

    policy: Array


def plackett_luce_loss(
    policy_list_logps: Values, ref_list_logps: Values, beta: float = 0.1, *, reduction: str = "mean"
) -> Result:
    r"""Negative log-likelihood of an order, best answer first, under the Plackett-Luce model.

    .. math:: L = \sum_{k<K}\Big(\log\sum_{j\ge k}e^{s_j} - s_k\Big), \quad s = \beta\rho

    Args:
        policy_list_logps: Policy's log-probs, ``(answers,)`` or ``(lists, answers)``, nats, best answer first.
        ref_list_logps: The reference's, same shape and unit.
        beta: Strength of the pull to the reference, per nat, above 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(lists,)`` for ``"none"``, in nats; log K! where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Rafailov, Sharma, Mitchell, Ermon, Manning, Finn (2023), Direct Preference Optimization: Your Language Model
        is Secretly a Reward Model, arXiv:2305.18290, appendix A.3.

    >>> round(plackett_luce_loss([7.0, -2.0, 4.0], [0.0, 0.0, 0.0]), 12)
    1.80174011465
    """
    s, tails = _scores("plackett_luce_loss", policy_list_logps, ref_list_logps, beta)
    return reduce("plackett_luce_loss", (tails - s)[..., :-1].sum(-1), reduction)


def plackett_luce_grad(policy_list_logps: Values, ref_list_logps: Values, beta: float = 0.1) -> ListGrad:
    r"""Derivatives of :func:`plackett_luce_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_i = \beta\Big(\sum_{k\le\min(i,K-1)}\frac{e^{s_i}}{\sum_{j\ge k}e^{s_j}}
        - [i<K]\Big)

    Returns:
        Shape of the inputs; each list's derivatives add up to 0.

    >>> plackett_luce_grad([-1.0, -2.0], [-1.0, -2.0]).policy.tolist()
    [-0.05, 0.05]
    """
    s, tails = _scores("plackett_luce_grad", policy_list_logps, ref_list_logps, beta)
    count = s.shape[-1]
    places = np.arange(count)
    waits = places[None, :] < places[:, None]  # answer i stands after place k
    shares = np.where(waits, np.exp(np.minimum(0.0, s[..., :, None] - tails[..., None, :])), 0.0)
    later = np.zeros_like(s)  # 1 minus the answer's own share at its place, without the subtraction
    later[..., :-1] = np.exp(tails[..., 1:] - tails[..., :-1])
    return ListGrad(float(beta) * (shares.sum(-1) - later))


def d2o_loss(
    policy_list_logps: Values,
    ref_list_logps: Values,
    beta: float = 0.1,
    alpha: float = 0.1,
    *,
    reduction: str = "mean",
) -> Result:
    r"""The mean log-ratio of K answers against that of a bad one, which stands last.

    Arguments, units and errors are those of :func:`penchant.d2o_loss`.

    .. math:: L = -\log\sigma(z), \quad z = \frac{\beta}{K}\sum_{k\le K}\rho_k - \alpha\rho_{K+1}

    References:
        Duan et al. (2024), Negating Negatives: Alignment with Human Negative Samples via Distributional Dispreference
        Optimization, arXiv:2403.03419.

    >>> round(d2o_loss([-12.0, -30.0], [-14.0, -29.0]), 12)
    0.554355244469
    """
    return reduce(
        "d2o_loss", np.logaddexp(0.0, -_d2o("d2o_loss", policy_list_logps, ref_list_logps, beta, alpha)[0]), reduction
    )


def d2o_grad(policy_list_logps: Values, ref_list_logps: Values, beta: float = 0.1, alpha: float = 0.1) -> ListGrad:
    r"""Derivatives of :func:`d2o_loss` by the policy's log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_k = -\frac{\beta}{K}\sigma(-z), \quad
        \partial L/\partial\log\pi_{K+1} = \alpha\sigma(-z)
    """
    z, weights = _d2o("d2o_grad", policy_list_logps, ref_list_logps, beta, alpha)
    return ListGrad(-weights * np.asarray(sigmoid(-z))[..., None])


def _d2o(where: str, policy: Values, reference: Values, beta: float, alpha: float) -> tuple[Array, Array]:
    """z, and what each answer's log-ratio counts in it."""
    ratios, _ = _scores(where, policy, reference, 1.0)
    count = ratios.shape[-1] - 1
    weights = np.full(count + 1, number(where, "beta", beta, "above 0") / count)
    weights[-1] = -number(where, "alpha", alpha, "")
    return (ratios * weights).sum(-1), weights


def _scores(where: str, policy: Values, reference: Values, beta: float) -> tuple[Array, Array]:
    """s, and for each place the log of the sum of e^s over the answers from there on."""
    given = {"policy_list_logps": policy, "ref_list_logps": reference}
    arrays = [floats(where, name, value) for name, value in given.items()]
    if arrays[0].shape != arrays[1].shape or arrays[0].ndim not in (1, 2) or not arrays[0].size:
        got = f"{arrays[0].shape} and {arrays[1].shape}"
        raise InputError("lists must have one shape, (answers,) or (lists, answers)", where=where, got=got)
    s = number(where, "beta", beta, "above 0") * (arrays[0] - arrays[1])
    return s, np.logaddexp.accumulate(s[..., ::-1], axis=-1)[..., ::-1]
