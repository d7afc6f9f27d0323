r"""What the oracle's pages share: the two sigmoids, and inputs checked and brought to float64."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from penchant.errors import InputError, shorten, suggest

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = npt.ArrayLike
Result: TypeAlias = float | Array

TOP = 1024 * np.log(2.0) - 16  # nats, beyond which an exponential of f_dpo and alphapo goes on straight


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
    values = floats("sigmoid", "x", x)
    small = np.exp(-np.abs(values))  # at most 1, whatever the sign
    return plain(np.where(values < 0, small, 1.0) / (1.0 + small))


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
    return plain(-softplus(-floats("log_sigmoid", "x", x)))


def softplus(x: Array) -> Array:
    with np.errstate(all="ignore"):  # logaddexp warns of every NaN
        return np.logaddexp(0.0, x)


def means(where: str, w: Values, lo: Values, m: Values, n: Values) -> list[Array]:
    named = {"chosen_logps": w, "rejected_logps": lo, "chosen_lengths": m, "rejected_lengths": n}
    chosen, rejected, *lengths = batch(where, **named)
    check_lengths(where, chosen_lengths=lengths[0], rejected_lengths=lengths[1])
    return [chosen / lengths[0], rejected / lengths[1], *lengths]


def check_lengths(where: str, **lengths: Array) -> None:
    for name, values in lengths.items():
        if not (np.isfinite(values) & (values > 0)).all():
            fix = "Count the tokens whose log-probs were summed, and drop pairs with an empty answer"
            raise InputError(f"{name} must be above 0", where=where, got=shorten(values.tolist()), fix=fix)


def number(where: str, name: str, value: Any, domain: str) -> float:
    given = floats(where, name, value)
    number = float(given) if given.ndim == 0 else float("nan")
    inside = {"": True, "above 0": number > 0, "at least 0": number >= 0, "in [0, 0.5)": 0 <= number < 0.5}
    inside |= {"in (0, 1]": 0 < number <= 1, "in (0, 0.5)": 0 < number < 0.5}
    if not (inside[domain] and np.isfinite(number)):
        raise InputError(f"{name} must be one finite number {domain}", where=where, got=shorten(value))
    return number


def choice(where: str, name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InputError(f"unknown {name}", where=where, got=shorten(value), fix=suggest(str(value), known))
    return value


def floats(where: str, name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; torch tensors that require a gradient
        raise InputError(f"{name} is no array of numbers: {error}", where=where, got=shorten(value)) from error
    # None would become NaN, and booleans as log-probs are a sign of swapped arguments
    if array.dtype.kind not in ("biuf" if name in ("is_desirable", "is_tie") else "iuf"):
        raise InputError(f"{name} must hold real numbers", where=where, got=shorten(value))
    return array.astype(np.float64)


def batch(where: str, **inputs: Values) -> tuple[Array, ...]:
    arrays = {name: floats(where, name, value) for name, value in inputs.items()}
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


def scaled(where: str, log_ratio_w: Values, log_ratio_l: Values, beta: float) -> tuple[float, Array, Array]:
    """beta, and the log-ratios times beta."""
    w, lo = batch(where, log_ratio_w=log_ratio_w, log_ratio_l=log_ratio_l)
    scale = number(where, "beta", beta, "above 0")
    with np.errstate(all="ignore"):
        return scale, scale * w, scale * lo


def opposed(slope: Result) -> PairGrad:
    """The derivatives of a loss of the difference: what pushes one answer pushes the other back."""
    return PairGrad(plain(slope), plain(-slope))


def bernoulli_kl(z: Array, target: Array) -> Array:
    """KL of σ(z) from σ(target), from log-odds."""
    with np.errstate(all="ignore"):
        chosen = np.asarray(sigmoid(z)) * (softplus(-target) - softplus(-z))
        return chosen + np.asarray(sigmoid(-z)) * (softplus(target) - softplus(z))


def bent_gap(w: Array, lo: Array, bend: float) -> Array:
    """(e^(-bend lo) - e^(-bend w)) / bend, w - lo at 0; by the steeper end and the distance: nothing cancels."""
    apart, steep = np.abs(w - lo), abs(bend)
    height = apart if bend == 0 else -np.expm1(-steep * apart) / steep
    gap: Array = np.sign(w - lo) * height * straightened_exp(np.maximum(-bend * w, -bend * lo))
    return gap


def straightened_exp(x: Array) -> Array:
    """e^x, going on straight from TOP."""
    held: Array = np.exp(np.minimum(x, TOP)) * (1 + np.maximum(x - TOP, 0.0))
    return held


def reduce(where: str, losses: Result, reduction: str) -> Result:
    if choice(where, "reduction", reduction, ("mean", "sum", "none")) == "none":
        return plain(losses)
    with np.errstate(all="ignore"):
        return float(np.mean(losses) if reduction == "mean" else np.sum(losses))


def plain(values: Any) -> Result:
    """A Python float for a scalar, so that it prints and rounds like one; arrays as they are."""
    return values if np.ndim(values) else float(values)
