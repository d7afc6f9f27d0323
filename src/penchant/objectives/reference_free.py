r"""Losses on pairs that need no reference, beside SimPO and ORPO.

Notation: :math:`\pi` policy, :math:`\pi_{ref}` reference, x prompt, :math:`y_w` chosen, :math:`y_l` rejected,
:math:`\rho_w = \log\pi(y_w|x)/\pi_{ref}(y_w|x)`, :math:`\rho_l` likewise, :math:`\sigma` the logistic function,
:math:`\log\pi(y|x)` summed over the answer's tokens, in nats.
"""

from __future__ import annotations

import array_api_compat as compat

from penchant.arrays import reduce
from penchant.objectives.door import objective
from penchant.objectives.scores import bent_gap, log_one_minus_exp, mean_logps, nll
from penchant.objectives.surrogates import logistic, positive_part
from penchant.records import Array


@objective
def cpo_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    chosen_lengths: Array,
    beta: float = 0.1,
    alpha: float = 1.0,
    *,
    reduction: str = "mean",
) -> Array:
    r"""Contrastive Preference Optimization: DPO with a uniform reference, plus the chosen answer's likelihood.

    .. math:: -\log\sigma\big(\beta[\log\pi(y_w|x) - \log\pi(y_l|x)]\big) - \frac{\alpha}{|y_w|}\log\pi(y_w|x)

    Without a reference the preference term alone would let both answers drift; the likelihood of the chosen one holds
    the policy to the data. It is averaged over that answer's own tokens.

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        rejected_logps: The same for the rejected answer.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        beta: > 0; the strength of the pull to the reference; 0.1 is DPO's value.
        alpha: Weight of the likelihood; 1 in the paper.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Haoran Xu, Amr Sharaf, Yunmo Chen et al., "Contrastive Preference Optimization: Pushing the Boundaries of LLM
        Performance in Machine Translation", 2024, arXiv:2401.08417.

    Example:
        >>> round(cpo_loss(-12.0, -30.0, 8), 9)
        1.652977611
    """
    preference = logistic(beta * (chosen_logps - rejected_logps))
    return reduce(preference + alpha * nll(chosen_logps, chosen_lengths), reduction)


@objective
def alphapo_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    beta: float = 2.5,
    gamma: float = 0.25,
    alpha: float = 0.25,
    *,
    reduction: str = "mean",
) -> Array:
    r"""AlphaPO: SimPO with a bent reward, which changes how fast likely answers stop pulling.

    .. math:: -\log\sigma\big(\beta(r_w - r_l) - \gamma\big), \quad r = \frac{1 - e^{-\alpha\bar p}}{\alpha},\ \bar p
              = \frac{\log\pi(y|x)}{|y|}

    alpha = 0 is SimPO, and alpha = -1 gives SimPER's reward. Computed with expm1 from the lower of the two, so that
    it holds for small alpha and no two infinities meet. The exponential goes on as a straight line as in
    :func:`penchant.f_dpo_loss`: in float32 where alpha times a log-prob per token is below -72.

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        rejected_logps: The same for the rejected answer.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        rejected_lengths: The same for the rejected answer.
        beta: > 0; 2.5 to 10 in the paper.
        gamma: Target margin of rewards; a tenth of beta here.
        alpha: Bend of the reward; 0.25 in TRL's example, 0 is SimPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; -log σ(-gamma) when both answers have the same log-prob per token.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Aman Gupta, Shao Tang, Qingquan Song et al., "AlphaPO: Reward Shape Matters for LLM Alignment", 2025,
        arXiv:2501.03884.

    Example:
        >>> round(alphapo_loss(-12.0, -30.0, 8, 15), 9)
        0.169758526
    """
    chosen, rejected = mean_logps(chosen_logps, chosen_lengths), mean_logps(rejected_logps, rejected_lengths)
    return reduce(logistic(bent_gap(chosen, rejected, alpha, beta) - gamma), reduction)


@objective
def simper_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    *,
    reduction: str = "mean",
) -> Array:
    r"""SimPER: inverse perplexities are compared, without any constant.

    .. math:: -e^{\bar p_w} + e^{\bar p_l}, \quad \bar p = \frac{\log\pi(y|x)}{|y|}

    Bounded, and with a slope that dies where an answer is unlikely: rejected answers are not pushed on for ever.

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        rejected_logps: The same for the rejected answer.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        rejected_lengths: The same for the rejected answer.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss, without a unit, between -1 and 1; 0 when both answers have the same log-prob per token.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Teng Xiao, Yige Yuan, Zhengyu Chen et al., "SimPER: A Minimalist Approach to Preference Alignment without
        Hyperparameters", 2025, arXiv:2502.00883.

    Example:
        >>> round(simper_loss(-12.0, -30.0, 8, 15), 9)
        -0.087794877
    """
    chosen, rejected = mean_logps(chosen_logps, chosen_lengths), mean_logps(rejected_logps, rejected_lengths)
    xp = compat.array_namespace(chosen)
    return reduce(xp.exp(rejected) - xp.exp(chosen), reduction)


@objective
def asft_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    lambda_: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""ASFT: fine-tuning, plus each answer's own odds instead of ORPO's ratio of the two.

    .. math:: -\bar p_w + \lambda\big[-\log\sigma(o_w) - \log\sigma(-o_l)\big] = -(1+\lambda)\,\bar p_w -
              \lambda\log(1 - P_l), \quad P = e^{\bar p},\ o = \log\tfrac{P}{1-P}

    Because -log σ of a log-odds is -log P, the chosen answer's odds only make its likelihood count 1 + lambda times;
    the rejected answer is pushed towards probability 0 by itself.

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        rejected_logps: The same for the rejected answer.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        rejected_lengths: The same for the rejected answer.
        lambda_: >= 0; weight of the odds terms; 0.1 in turbo-alignment's implementation, as for ORPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats; infinite where the rejected answer has probability 1.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Ruoyu Wang, Jiachen Sun, Shaowei Hua, Quan Fang, "ASFT: Aligned Supervised Fine-Tuning through Absolute
        Likelihood", 2024, arXiv:2409.10571.

    Example:
        >>> round(asft_loss(-12.0, -30.0, 8, 15), 9)
        1.664541346
    """
    chosen, rejected = mean_logps(chosen_logps, chosen_lengths), mean_logps(rejected_logps, rejected_lengths)
    return reduce(-(1 + lambda_) * chosen - lambda_ * log_one_minus_exp(rejected), reduction)


@objective
def repo_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    gamma: float = 0.6,
    *,
    reduction: str = "mean",
) -> Array:
    r"""RePO: a hinge on log-probs per token; SimPO where beta goes to infinity.

    .. math:: \max\big(0, \gamma - (\bar p_w - \bar p_l)\big), \quad \bar p = \frac{\log\pi(y|x)}{|y|}

    A pair pulls with full weight until its margin is reached, and not at all from there: what SimPO's sigmoid does
    gradually.

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        rejected_logps: The same for the rejected answer.
        chosen_lengths: Tokens of the chosen answer, at least 1 and exactly those summed (end-of-turn included).
        rejected_lengths: The same for the rejected answer.
        gamma: Target margin, nats per token; 0.6 in the authors' recipe for Llama 3 8B, 0.4 in that for Mistral 7B.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats per token; 0 from the margin on.

    Raises:
        InputError: if shapes disagree, a length is below 1, the batch is empty, or a constant is out of its domain.

    References:
        Junkang Wu, Kexin Huang, Xue Wang et al., "RePO: ReLU-based Preference Optimization", 2025, arXiv:2503.07426.

    Example:
        >>> round(repo_loss(-12.0, -30.0, 8, 15), 9)
        0.1
    """
    chosen, rejected = mean_logps(chosen_logps, chosen_lengths), mean_logps(rejected_logps, rejected_lengths)
    return reduce(positive_part(gamma - (chosen - rejected)), reduction)


@objective
def slic_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    delta: float = 1.0,
    lambda_: float = 0.1,
    *,
    reduction: str = "mean",
) -> Array:
    r"""SLiC-HF: a hinge on log-probs, and the chosen answer's likelihood.

    .. math:: \max\big(0, \delta - \log\pi(y_w|x) + \log\pi(y_l|x)\big) - \lambda\log\pi(y_w|x)

    Log-probs are summed, so that delta is a margin in nats per answer. The paper's regulariser is the likelihood of a
    target answer; here, as in code that trains on pairs, that is the chosen one.

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; nats, summed over the chosen answer's tokens.
        rejected_logps: The same for the rejected answer.
        delta: Margin in nats; 1 in HALOs.
        lambda_: >= 0; weight of the likelihood; 0.1 in HALOs.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats.

    Raises:
        InputError: if shapes disagree, the batch is empty, or a constant is out of its domain.

    References:
        Yao Zhao, Rishabh Joshi, Tianqi Liu et al., "SLiC-HF: Sequence Likelihood Calibration with Human Feedback",
        2023, arXiv:2305.10425.

    Example:
        >>> round(slic_loss(-12.0, -30.0, delta=20.0), 9)
        3.2
    """
    return reduce(positive_part(delta - chosen_logps + rejected_logps) - lambda_ * chosen_logps, reduction)


@objective
def cpo_simpo_loss(
    chosen_logps: Array,
    rejected_logps: Array,
    chosen_lengths: Array,
    rejected_lengths: Array,
    beta: float = 2.0,
    gamma: float = 0.5,
    alpha: float = 0.05,
    *,
    reduction: str = "mean",
) -> Array:
    r"""CPO-SimPO: SimPO that also imitates its chosen answers.

    .. math:: -\log\sigma\big(\beta[\bar p_w - \bar p_l] - \gamma\big) - \alpha\,\bar p_w

    Args:
        chosen_logps: Shape ``(pairs,)`` or scalar; policy log-prob of the chosen answer, nats, summed over its tokens.
        rejected_logps: The same for the rejected answer.
        chosen_lengths: Tokens of the chosen answer, exactly those summed.
        rejected_lengths: The same for the rejected answer.
        beta: > 0; the defaults of beta and gamma are SimPO's.
        gamma: Target margin of rewards.
        alpha: Weight of the imitation; 0 is SimPO.
        reduction: ``"none"`` for shape ``(pairs,)``, ``"mean"`` or ``"sum"`` for a scalar.

    Returns:
        The loss in nats.

    Raises:
        InputError: if shapes disagree, the batch is empty, a length is below 1, or a constant is out of its domain.

    References:
        Haoran Xu, "CPO-SimPO", 2024, github.com/fe1ixxu/CPO_SIMPO; its parts are CPO (arXiv:2401.08417) and SimPO
        (arXiv:2405.14734).

    Example:
        >>> round(cpo_simpo_loss(-12.0, -30.0, 8, 15), 9)
        0.549076984
    """
    gap = mean_logps(chosen_logps, chosen_lengths) - mean_logps(rejected_logps, rejected_lengths)
    return reduce(logistic(beta * gap - gamma) + alpha * nll(chosen_logps, chosen_lengths), reduction)
