r"""DPO under other divergences from the reference than the reverse KL.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\rho_w = \log\pi(y_w|x)/\pi_{ref}(y_w|x)`, :math:`\rho_l` likewise, :math:`\sigma` the logistic function,
:math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import log_sigmoid, reduce
from penchant.objectives.door import objective
from penchant.objectives.scores import bent_gap
from penchant.objectives.surrogates import logistic
from penchant.records import Array


@objective
def f_dpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    alpha: float = 0.5,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DPO under an alpha-divergence from the reference, which takes the place of the reverse KL.

    .. math:: -\log\sigma\big(\beta[h(\rho_w) - h(\rho_l)]\big), \quad h(\rho) = \frac{1 - e^{-\alpha\rho}}{\alpha}

    h is the derivative f' of the divergence at the ratio of probabilities. alpha = 0 is the reverse KL, that is DPO;
    alpha = 1 the forward KL. This is the paper's alpha: TRL's f_alpha_divergence_coef is 1 minus it.

    Computed as :math:`h(\rho_w) - h(\rho_l) = e^{-\alpha\rho_l}\,h(\rho_w - \rho_l)`, from the lower of the two
    log-ratios: nothing cancels where they are near each other, and no two infinities meet. The exponential goes on as a
    straight line 16 nats below the type's largest number, that is where alpha times a log-ratio is below -72 in float32
    and -693 in float64. Beyond, a pair on the right side has its loss, 0; one on the wrong side a finite loss and
    slopes of the right signs in place of an overflow.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.1 in TRL's settings to reproduce the paper, whose authors have no single value: their scripts have
            0.3 and 0.9 for HH, 0.01 for IMDB. ``fkl_dpo`` has 0.03, theirs for the forward KL on HH; 1e-5 on IMDB.
        alpha: In [0, 1] in the paper, whose scripts try 0.1 to 0.9; 0 is DPO, 1 the forward KL.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Chaoqi Wang, Yibo Jiang, Chenghao Yang, Han Liu, Yuxin Chen, "Beyond Reverse KL: Generalizing Direct Preference
        Optimization with Diverse Divergence Constraints", 2023, arXiv:2309.16240.

    Example:
        >>> round(f_dpo_loss(2.0, -1.0, alpha=0.25), 9)
        0.566800258
    """
    z = bent_gap(log_ratio_w, log_ratio_l, alpha, beta)
    return reduce(logistic(z), reduction)


@objective
def js_dpo_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""DPO under the Jensen-Shannon divergence from the reference.

    .. math:: -\log\sigma\big(\beta[\log\sigma(\rho_w) - \log\sigma(\rho_l)]\big)

    The derivative of the divergence, log(2u/(1+u)), is bounded above: a chosen answer far more likely than under the
    reference gains nothing more.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; 0.1 in the authors' script for IMDB, 0.3 in that for HH.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Chaoqi Wang, Yibo Jiang, Chenghao Yang, Han Liu, Yuxin Chen, "Beyond Reverse KL: Generalizing Direct Preference
        Optimization with Diverse Divergence Constraints", 2023, arXiv:2309.16240.

    Example:
        >>> round(js_dpo_loss(2.0, -1.0), 9)
        0.635588701
    """
    z = beta * (log_sigmoid(log_ratio_w) - log_sigmoid(log_ratio_l))
    return reduce(logistic(z), reduction)


@objective
def chi_po_loss(
    log_ratio_w: Array,
    log_ratio_l: Array,
    beta: float = 0.05,
    clip: float = 20.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Chi-squared preference optimisation: a reward that grows with the probability ratio itself.

    .. math:: -\log\sigma\big(\mathrm{clip}_{2R}\big(\beta[\phi(\rho_w) - \phi(\rho_l)]\big)\big), \quad \phi(\rho) =
              e^\rho + \rho

    DPO under the sum of the chi-squared and the KL divergence: an answer that was rare under the reference is hard to
    make likely. The clip is part of the method, and takes the slope of pairs that are far off on either side. e^rho
    stops growing at rho = 80, far behind any clip.

    Args:
        log_ratio_w: Shape ``(pairs,)`` or scalar; policy minus reference log-prob of the chosen answer, nats.
        log_ratio_l: The same for the rejected answer.
        beta: > 0; the strength of the pull to the reference. The paper's table for TL;DR has 0.05, its best, and 0.005.
        clip: > 0; the paper's 2R with R the bound of the rewards; at 20 it touches pairs only that are settled.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; log 2 when policy and reference agree.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Audrey Huang, Wenhao Zhan, Tengyang Xie et al., "Correcting the Mythos of KL-Regularization: Direct Alignment
        without Overoptimization via Chi-Squared Preference Optimization", 2024, arXiv:2407.13399.

    Example:
        >>> round(chi_po_loss(2.0, -1.0, beta=0.1), 9)
        0.3126926
    """
    z = beta * (_chi_reward(log_ratio_w) - _chi_reward(log_ratio_l))
    xp = compat.array_namespace(z)
    bound = clip + xp.zeros_like(z)
    z = xp.where(z > bound, bound, xp.where(z < -bound, -bound, z))
    return reduce(logistic(z), reduction)


def _chi_reward(log_ratio: Array) -> Array:
    """e^r + r, the exponential held where r exceeds 80: two of them would otherwise overflow to inf - inf."""
    xp = compat.array_namespace(log_ratio)
    far = 80.0 + xp.zeros_like(log_ratio)
    return xp.exp(xp.where(log_ratio > far, far, log_ratio)) + log_ratio
