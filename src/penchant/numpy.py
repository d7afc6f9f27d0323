r"""The oracle: the study sheet's losses in float64 NumPy, each with its derivative in closed form.

It shares no code with :mod:`penchant.objectives`, so that each can be tested against the other.

Notation: :math:`\sigma(x) = 1/(1+e^{-x})`; w is the chosen answer, l the rejected one; :math:`\rho =
\log\pi_\theta(y|x) - \log\pi_{ref}(y|x)` is a log-ratio: of probabilities, not of odds (only ORPO works with odds).
Inputs are Python numbers, lists or arrays, scalar or of shape ``(pairs,)``; a scalar serves every pair. Losses take
``reduction="mean"``, ``"sum"`` or ``"none"`` (one loss per pair). ``*_grad`` differentiates each pair's loss before
reduction, by the policy only. Infinite and NaN log-probs follow IEEE arithmetic without a warning.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from penchant.errors import InputError, shorten, suggest

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = npt.ArrayLike
Result: TypeAlias = float | Array


class PairGrad(NamedTuple):
    """Derivatives of each pair's loss by the chosen and the rejected answer's input."""

    chosen: Result
    rejected: Result


class AnswerGrad(NamedTuple):
    """Derivative of each labelled answer's loss by its log-ratio."""

    log_ratio: Result


def sigmoid(x: Values) -> Result:
    r"""Logistic function that overflows nowhere.

    .. math:: \sigma(x) = 1 / (1 + e^{-x})

    Args:
        x: Real numbers, any shape, no unit.

    Returns:
        Values in [0, 1], shape of ``x``; 1/2 at 0. Below -745 float64 holds nothing nearer to the truth than 0; the
        study sheet, which clips x to [-500, 500], stops at 7e-218.

    Raises:
        InputError: ``x`` is not made of real numbers.

    >>> sigmoid(0.0), sigmoid(-1000)
    (0.5, 0.0)
    """
    values = _floats("sigmoid", "x", x)
    small = np.exp(-np.abs(values))  # at most 1, whatever the sign
    return _plain(np.where(values < 0, small, 1.0) / (1.0 + small))


def log_sigmoid(x: Values) -> Result:
    r"""Logarithm of the logistic function, exact in both tails.

    .. math:: \log\sigma(x) = -\log(1 + e^{-x})

    Args:
        x: Real numbers, any shape, no unit.

    Returns:
        Values in [-inf, 0], shape of ``x``; -log 2 at 0, x itself far below 0 (where log(sigmoid(x)) gives -inf).

    Raises:
        InputError: ``x`` is not made of real numbers.

    >>> log_sigmoid(-800)
    -800.0
    """
    return _plain(-_softplus(-_floats("log_sigmoid", "x", x)))


def dpo_loss(
    logp_chosen: Values,
    logp_rejected: Values,
    logp_ref_chosen: Values,
    logp_ref_rejected: Values,
    beta: float = 0.1,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Result:
    r"""Direct preference optimisation; with label smoothing, the variant known as conservative DPO.

    .. math:: L = -(1-\varepsilon)\log\sigma(z) - \varepsilon\log\sigma(-z), \quad z = \beta(\rho_w - \rho_l)

    A larger beta steepens the loss in the gap of log-ratios (which the sheet calls, wrongly, log odds ratios), yet
    leads *less* far from the reference: at the optimum, an answer that wins with probability p has the gap
    logit(p)/beta.

    Args:
        logp_chosen, logp_rejected: Policy's log-probs, scalar or ``(pairs,)``, nats summed over the answer's tokens.
        logp_ref_chosen, logp_ref_rejected: The reference's, same shape and unit.
        beta: Strength of the pull to the reference, per nat, above 0; 0.01 to 0.5 is common.
        label_smoothing: Probability :math:`\varepsilon` that a preference is the wrong way round, in [0, 0.5).
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``, in nats; log 2 where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Rafailov, Sharma, Mitchell, Ermon, Manning, Finn (2023), Direct Preference Optimization: Your Language Model
        is Secretly a Reward Model, arXiv:2305.18290, Eq. 7. Smoothing: Mitchell (2023), ericmitchell.ai/cdpo.pdf.

    >>> round(dpo_loss(-12.0, -30.0, -14.0, -29.0), 12)
    0.554355244469
    """
    z = _dpo_z("dpo_loss", logp_chosen, logp_rejected, logp_ref_chosen, logp_ref_rejected, beta)
    flip = _number("dpo_loss", "label_smoothing", label_smoothing, "in [0, 0.5)")
    losses = _softplus(-z)
    if flip:  # no product with 0, which would make NaN of the loss 0 at z = inf
        losses = (1.0 - flip) * losses + flip * _softplus(z)
    return _reduce("dpo_loss", losses, reduction)


def dpo_grad(
    logp_chosen: Values,
    logp_rejected: Values,
    logp_ref_chosen: Values,
    logp_ref_rejected: Values,
    beta: float = 0.1,
    *,
    label_smoothing: float = 0.0,
) -> PairGrad:
    r"""Derivatives of :func:`dpo_loss` by the policy's two log-probs; arguments and errors are the loss's.

    .. math:: \partial L/\partial\log\pi_w = -\beta[(1-\varepsilon)\sigma(-z) - \varepsilon\sigma(z)]
        = -\partial L/\partial\log\pi_l

    Returns:
        Shape of the inputs; -beta/2 and beta/2 where policy equals reference, without smoothing.

    >>> round(dpo_grad(-12.0, -30.0, -14.0, -29.0).chosen, 11)
    -0.04255574832
    """
    z = _dpo_z("dpo_grad", logp_chosen, logp_rejected, logp_ref_chosen, logp_ref_rejected, beta)
    flip = _number("dpo_grad", "label_smoothing", label_smoothing, "in [0, 0.5)")
    slope = float(beta) * ((1.0 - flip) * sigmoid(-z) - flip * sigmoid(z))
    return PairGrad(_plain(-slope), _plain(slope))


def ipo_loss(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1, *, reduction: str = "mean") -> Result:
    r"""Identity preference optimisation: a gap of log-ratios with a finite target.

    .. math:: L = \left(\rho_w - \rho_l - \frac{1}{2\beta}\right)^2

    This is the paper's equation and the sheet's code; the sheet's one-liner, (beta * gap - 1/2)^2, is beta^2 times it.
    Both draw the gap to 1/(2 beta), 5 nats at beta = 0.1, and not to 0.5.

    Args:
        log_ratio_w, log_ratio_l: Scalar or ``(pairs,)``, nats, summed over the answer's tokens as in the sheet (the
            authors advised the mean per token, and several libraries pass that).
        beta: The paper's tau, per nat, above 0; 0.01 to 1 is common.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Number, or ``(pairs,)`` for ``"none"``, in nats squared; 1/(4 beta^2) where policy equals reference.

    Raises:
        InputError: Bad shape or option; the message names it.

    References:
        Azar, Rowland, Piot, Guo, Calandriello, Valko, Munos (2023), A General Theoretical Paradigm to Understand
        Learning from Human Preferences, arXiv:2310.12036, Eq. 17.

    >>> ipo_loss(0.5, -0.75)
    14.0625
    """
    with np.errstate(all="ignore"):
        losses = _ipo_residual("ipo_loss", log_ratio_w, log_ratio_l, beta) ** 2
    return _reduce("ipo_loss", losses, reduction)


def ipo_grad(log_ratio_w: Values, log_ratio_l: Values, beta: float = 0.1) -> PairGrad:
    r"""Derivatives of :func:`ipo_loss` by the two log-ratios; arguments and errors are the loss's.

    .. math:: \partial L/\partial\rho_w = 2(\rho_w - \rho_l - 1/(2\beta)) = -\partial L/\partial\rho_l

    Returns:
        Shape of the inputs; -1/beta and 1/beta where policy equals reference.

    >>> ipo_grad(2.0, -1.0)
    PairGrad(chosen=-4.0, rejected=4.0)
    """
    slope = 2.0 * _ipo_residual("ipo_grad", log_ratio_w, log_ratio_l, beta)
    return PairGrad(_plain(slope), _plain(-slope))


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
    paper = _choice("kto_loss", "value_function", value_function, ("log_sigmoid", "sigmoid")) == "sigmoid"
    # sigmoid(-u) keeps its digits where 1 - sigmoid(u) rounds to 0, from u = 37 on
    with np.errstate(all="ignore"):
        losses = weight * (sigmoid(-u) if paper else _softplus(-u))
    return _reduce("kto_loss", losses, reduction)


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
    paper = _choice("kto_grad", "value_function", value_function, ("log_sigmoid", "sigmoid")) == "sigmoid"
    slope = sigmoid(-u) * sigmoid(u) if paper else sigmoid(-u)
    return AnswerGrad(_plain(-sign * weight * float(beta) * slope))


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
    w, lo, _, _ = _means("simpo_loss", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    return _reduce("simpo_loss", _softplus(-_simpo_z("simpo_loss", w, lo, beta, gamma)), reduction)


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
    w, lo, m, n = _means("simpo_grad", chosen_logps, rejected_logps, chosen_lengths, rejected_lengths)
    slope = sigmoid(-_simpo_z("simpo_grad", w, lo, beta, gamma)) * float(beta)
    return PairGrad(_plain(-slope / m), _plain(slope / n))


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
    weight = _number("orpo_loss", "lambda_", lambda_, "at least 0")
    with np.errstate(all="ignore"):  # log 0 at P = 1 is the infinite log-odds that is meant
        z = (w - np.log(-np.expm1(w))) - (lo - np.log(-np.expm1(lo)))
        return _reduce("orpo_loss", -w + weight * _softplus(-z), reduction)


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
    weight = _number("orpo_grad", "lambda_", lambda_, "at least 0")
    with np.errstate(all="ignore"):
        top = np.maximum(w, lo)  # taken out of both P, so that two tiny ones do not give 0/0
        p_w, p_l = np.exp(w - top), np.exp(lo - top)
        miss_w, miss_l = np.abs(np.expm1(w)), np.abs(np.expm1(lo))  # 1 - P; a minus sign would make -0.0 and -inf
        pull = weight * p_l / (p_w * miss_l + p_l * miss_w)
        return PairGrad(_plain(-(1.0 + pull) / m), _plain(pull * miss_w / miss_l / n))


def _softplus(x: Array) -> Array:
    with np.errstate(all="ignore"):  # logaddexp warns of every NaN
        return np.logaddexp(0.0, x)


def _dpo_z(where: str, w: Values, lo: Values, ref_w: Values, ref_lo: Values, beta: float) -> Array:
    named = {"logp_chosen": w, "logp_rejected": lo, "logp_ref_chosen": ref_w, "logp_ref_rejected": ref_lo}
    chosen, rejected, ref_chosen, ref_rejected = _batch(where, **named)
    with np.errstate(all="ignore"):
        return _number(where, "beta", beta, "above 0") * ((chosen - ref_chosen) - (rejected - ref_rejected))


def _ipo_residual(where: str, log_ratio_w: Values, log_ratio_l: Values, beta: float) -> Array:
    w, lo = _batch(where, log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    with np.errstate(all="ignore"):
        return w - lo - 1.0 / (2.0 * _number(where, "beta", beta, "above 0"))


def _kto_parts(
    where: str, log_ratio: Values, labels: Values, z_ref: Values, beta: float, weights: tuple[float, float]
) -> tuple[Array, Array, Array]:
    ratio, label, baseline = _batch(where, log_ratio=log_ratio, is_desirable=labels, z_ref=z_ref)
    if not np.isin(label, (0.0, 1.0)).all():
        raise InputError("is_desirable has other labels than 0, 1, True, False", where=where, got=shorten(labels))
    bad = _number(where, "undesirable_weight", weights[0], "at least 0")
    good = _number(where, "desirable_weight", weights[1], "at least 0")
    sign = 2.0 * label - 1.0
    with np.errstate(all="ignore"):
        u = sign * _number(where, "beta", beta, "above 0") * (ratio - baseline)
    return sign, np.where(label == 1.0, good, bad), u


def _means(where: str, w: Values, lo: Values, m: Values, n: Values) -> list[Array]:
    named = {"chosen_logps": w, "rejected_logps": lo, "chosen_lengths": m, "rejected_lengths": n}
    chosen, rejected, *lengths = _batch(where, **named)
    for name, values in zip(("chosen_lengths", "rejected_lengths"), lengths, strict=True):
        if not (np.isfinite(values) & (values > 0)).all():
            fix = "Count the tokens whose log-probs were summed, and drop pairs with an empty answer"
            raise InputError(f"{name} must be above 0", where=where, got=shorten(named[name]), fix=fix)
    return [chosen / lengths[0], rejected / lengths[1], *lengths]


def _simpo_z(where: str, w: Array, lo: Array, beta: float, gamma: float) -> Array:
    with np.errstate(all="ignore"):
        return _number(where, "beta", beta, "above 0") * (w - lo) - _number(where, "gamma", gamma, "")


def _orpo_means(where: str, w: Values, lo: Values, m: Values, n: Values) -> list[Array]:
    means = _means(where, w, lo, m, n)
    for name, values in ("chosen_logps", means[0]), ("rejected_logps", means[1]):
        if (values > 0).any():
            fix = "Pass logarithms of probabilities, summed over tokens"
            raise InputError(f"{name} must not be above 0", where=where, got=f"{np.nanmax(values):g}", fix=fix)
    return means


def _number(where: str, name: str, value: Any, domain: str) -> float:
    given = _floats(where, name, value)
    number = float(given) if given.ndim == 0 else float("nan")
    inside = {"": True, "above 0": number > 0, "at least 0": number >= 0, "in [0, 0.5)": 0 <= number < 0.5}[domain]
    if not (inside and np.isfinite(number)):
        raise InputError(f"{name} must be one finite number {domain}", where=where, got=shorten(value))
    return number


def _choice(where: str, name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InputError(f"unknown {name}", where=where, got=shorten(value), fix=suggest(str(value), known))
    return value


def _floats(where: str, name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; torch tensors that require a gradient
        raise InputError(f"{name} is no array of numbers: {error}", where=where, got=shorten(value)) from error
    # None would become NaN, and booleans as log-probs are a sign of swapped arguments
    if array.dtype.kind not in ("biuf" if name == "is_desirable" else "iuf"):
        raise InputError(f"{name} must hold real numbers", where=where, got=shorten(value))
    return array.astype(np.float64)


def _batch(where: str, **inputs: Values) -> tuple[Array, ...]:
    arrays = {name: _floats(where, name, value) for name, value in inputs.items()}
    batches = [(name, array) for name, array in arrays.items() if array.ndim]
    for name, array in batches:
        if array.ndim > 1 or not array.size:
            what = f"{name} must be a number or a non-empty batch of one dimension"
            raise InputError(what, where=where, got=f"shape {array.shape}", fix="Pass one value per pair")
        first, other = batches[0][1].shape, array.shape
        if first != other:
            what = f"shapes of {batches[0][0]} and {name} disagree"
            raise InputError(what, where=where, got=f"{first} and {other}", fix="Pass one value per pair in each")
    return np.broadcast_arrays(*arrays.values())


def _reduce(where: str, losses: Array, reduction: str) -> Result:
    if _choice(where, "reduction", reduction, ("mean", "sum", "none")) == "none":
        return _plain(losses)
    with np.errstate(all="ignore"):
        return float(np.mean(losses) if reduction == "mean" else np.sum(losses))


def _plain(values: Any) -> Result:
    """A Python float for a scalar, so that it prints and rounds like one; arrays as they are."""
    return values if np.ndim(values) else float(values)
