r"""The oracle's losses against an anchor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from penchant.errors import InputError, shorten
from penchant.numpy.common import (
    AnswerGrad,
    Array,
    Result,
    Values,
    batch,
    choice,
    number,
    plain,
    reduce,
    sigmoid,
    softplus,
)


def kto_loss(
    log_ratio: Values,
    is_desirable: Values,
    z_ref: Values = 0.0,
    beta: float = 0.1,
    *,
    value_function: str = "log_sigmoid",
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
    reduction: str = "mean",
) -> Result:
    r"""Loss of single answers with a thumb up or down: the sheet's form by default, KTO's own by keyword.

    .. math:: L = -\lambda\log\sigma(u) \text{ or } L = \lambda\sigma(-u), \quad u = \pm\beta(\rho - z_{ref})

    with + for label 1 and - for label 0. **The default is not the paper's KTO**: it is BCO's binary cross-entropy with
    delta = beta * z_ref, whose slope stays near lambda * beta on badly wrong answers. The paper's form, the second, is
    ``value_function="sigmoid"``; its loss and slope are bounded and the slope fades on both sides.

    Args:
        log_ratio: Scalar or ``(rows,)``, nats summed over the answer's tokens.
        is_desirable: 1 or True for good, 0 or False for bad, scalar or ``(rows,)``.
        z_ref: Baseline in nats, held constant; the paper estimates a KL on mismatched answers, clamped at 0.
        beta: Strength of the pull to the reference, per nat, above 0; 0.1 is common.
        value_function: ``"log_sigmoid"`` (sheet) or ``"sigmoid"`` (paper).
        desirable_weight, undesirable_weight: The factor :math:`\lambda` of rows labelled 1 and 0, at least 0; near 1.
        reduction: ``"mean"`` over all rows, good and bad together, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(rows,)`` for ``"none"``; at ``log_ratio == z_ref`` lambda log 2 (sheet) or lambda/2 (paper).

    Raises:
        InputError: Bad shape, label or option; the message names it.

    References:
        Ethayarajh, Xu, Muennighoff, Jurafsky, Kiela (2024), KTO: Model Alignment as Prospect Theoretic Optimization,
        arXiv:2402.01306. BCO: Jung, Han, Nam, On (2024), Binary Classifier Optimization for Large Language Model
        Alignment, arXiv:2404.04656.

    >>> round(kto_loss([1.5, -2.0, 0.25], [1, 0, 1]), 12)
    0.633273740232
    """
    weights = (undesirable_weight, desirable_weight)
    _, weight, u = _kto_parts("kto_loss", log_ratio, is_desirable, z_ref, beta, weights)
    paper = choice("kto_loss", "value_function", value_function, ("log_sigmoid", "sigmoid")) == "sigmoid"
    # sigmoid(-u) keeps its digits where 1 - sigmoid(u) rounds to 0, from u = 37 on
    with np.errstate(all="ignore"):
        losses = weight * (sigmoid(-u) if paper else softplus(-u))
    return reduce("kto_loss", losses, reduction)


def kto_grad(
    log_ratio: Values,
    is_desirable: Values,
    z_ref: Values = 0.0,
    beta: float = 0.1,
    *,
    value_function: str = "log_sigmoid",
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> AnswerGrad:
    r"""Derivative of :func:`kto_loss` by the log-ratio; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho = \mp\lambda\beta\sigma(-u) \text{ or } \mp\lambda\beta\sigma(u)\sigma(-u)

    Returns:
        Shape of the inputs; at ``log_ratio == z_ref``, label 1: -beta/2 (sheet) or -beta/4 (paper).

    >>> kto_grad(0.0, True, beta=0.5).log_ratio
    -0.25
    """
    weights = (undesirable_weight, desirable_weight)
    sign, weight, u = _kto_parts("kto_grad", log_ratio, is_desirable, z_ref, beta, weights)
    paper = choice("kto_grad", "value_function", value_function, ("log_sigmoid", "sigmoid")) == "sigmoid"
    slope = sigmoid(-u) * sigmoid(u) if paper else sigmoid(-u)
    return AnswerGrad(plain(-sign * weight * float(beta) * slope))


def _kto_parts(
    where: str, log_ratio: Values, labels: Values, z_ref: Values, beta: float, weights: tuple[float, float]
) -> tuple[Array, Array, Array]:
    ratio, label, baseline = batch(where, log_ratio=log_ratio, is_desirable=labels, z_ref=z_ref)
    if not np.isin(label, (0.0, 1.0)).all():
        raise InputError("is_desirable has other labels than 0, 1, True, False", where=where, got=shorten(labels))
    bad = number(where, "undesirable_weight", weights[0], "at least 0")
    good = number(where, "desirable_weight", weights[1], "at least 0")
    sign = 2.0 * label - 1.0
    with np.errstate(all="ignore"):
        u = sign * number(where, "beta", beta, "above 0") * (ratio - baseline)
    return sign, np.where(label == 1.0, good, bad), u


class ValueGrad(NamedTuple):
    """Derivatives of each answer's loss by its log-ratio and its prompt's value."""

    log_ratio: Result
    prompt_value: Result


def dro_loss(
    log_ratio: Values, score: Values, prompt_value: Values, beta: float = 1.0, *, reduction: str = "mean"
) -> Result:
    r"""Half the square of what rating, value and log-ratio lack to agree.

    Arguments, units and errors are those of :func:`penchant.dro_loss`.

    .. math:: L = \tfrac12(s - V - \beta\rho)^2

    References:
        Richemond et al. (2024), Offline Regularised Reinforcement Learning for Large Language Models Alignment,
        arXiv:2405.19107.

    >>> round(dro_loss(2.0, 1.0, 0.2, beta=0.5), 12)
    0.02
    """
    _, lack = _lack("dro_loss", log_ratio, score, prompt_value, beta)
    return reduce("dro_loss", 0.5 * lack**2, reduction)


def dro_grad(log_ratio: Values, score: Values, prompt_value: Values, beta: float = 1.0) -> ValueGrad:
    r"""Derivatives of :func:`dro_loss`; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho = -\beta(s - V - \beta\rho), \quad \partial L/\partial V = -(s - V - \beta\rho)
    """
    scale, lack = _lack("dro_grad", log_ratio, score, prompt_value, beta)
    return ValueGrad(plain(-scale * lack), plain(-lack))


def _lack(where: str, log_ratio: Values, score: Values, value: Values, beta: float) -> tuple[float, Array]:
    ratio, rating, worth = batch(where, log_ratio=log_ratio, score=score, prompt_value=value)
    scale = number(where, "beta", beta, "above 0")
    with np.errstate(all="ignore"):
        return scale, rating - worth - scale * ratio
