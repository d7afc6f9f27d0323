"""Flipped labels: robust DPO is unbiased, conservative DPO shrinks

Chowdhury et al. 2024, arXiv:2403.00409, and Mitchell 2023. The first of two answers wins with probability 0.75, then
a share of the labels is flipped. Minimising the expected loss gives the margin z = beta (a - b): robust DPO recovers
logit(0.75) whatever the share, DPO does not, and cDPO shrinks further. The price is the gradient's variance, which
grows as 1/(1 - 2 eps)².
"""

from __future__ import annotations

import numpy as np
from common import Number, Outcome, main
from scipy.optimize import brentq

from penchant import numpy as oracle

WIN, BETA = 0.75, 0.1
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
LOSSES = {
    "dpo": lambda z, eps: oracle.dpo_grad(z / BETA, 0.0, 0.0, 0.0, BETA),
    "cdpo": lambda z, eps: oracle.dpo_grad(z / BETA, 0.0, 0.0, 0.0, BETA, label_smoothing=eps),
    "robust_dpo": lambda z, eps: oracle.robust_dpo_grad(z / BETA, 0.0, BETA, eps),
}


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def observed(eps: float) -> float:
    """The share of labels that name the first answer."""
    return (1 - eps) * WIN + eps * (1 - WIN)


def optimum(method: str, eps: float) -> float:
    """Where the expected gradient by the margin is 0."""
    q = observed(eps)

    def slope(z: float) -> float:
        return float(q * LOSSES[method](z, eps).chosen - (1 - q) * LOSSES[method](-z, eps).chosen)

    return float(brentq(slope, -20, 20, xtol=1e-12))


def theory(method: str, eps: float) -> float:
    q = observed(eps)
    return {"dpo": logit(q), "cdpo": logit((1 - eps) * q + eps * (1 - q)), "robust_dpo": logit(WIN)}[method]


def variance(eps: float, count: int) -> float:
    """Of robust DPO's gradient at the margin 0.4, over sampled labels."""
    q, draw = observed(eps), np.random.default_rng(1)
    z = np.where(draw.random(count) < q, 0.4, -0.4)
    slope = np.asarray(oracle.robust_dpo_grad(z / BETA, 0 * z, BETA, eps).chosen)
    return float(np.var(np.sign(z) * slope))


def reproduce(fast: bool = False) -> Outcome:
    found = {method: [optimum(method, eps) for eps in SHARES] for method in LOSSES}
    numbers = [
        Number(f"{method}, {eps:.0%} flipped: margin", value, theory(method, eps), 1e-8)
        for method, values in found.items()
        for eps, value in zip(SHARES, values, strict=True)
        if eps in (0.2, 0.4)
    ]
    count = 20_000 if fast else 400_000
    for eps in (0.2, 0.4):
        q = observed(eps)
        expected = q * (1 - q) * BETA**2 / (1 - 2 * eps) ** 2
        numbers.append(
            Number(f"robust_dpo, {eps:.0%}: variance of the gradient", variance(eps, count), expected, 0.03 * expected)
        )

    def draw(figure) -> None:
        axis = figure.subplots()
        for method, values in found.items():
            axis.plot(SHARES, values, "o-", label=method)
        axis.axhline(logit(WIN), linestyle="--", color="#888888", label="truth")
        axis.set(xlabel="share of labels flipped", ylabel="margin at the optimum")
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
