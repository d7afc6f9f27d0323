"""The shapes of the losses

Tang et al. 2024, arXiv:2402.05749, figure 1 (losses that DPO, IPO and SLiC are cases of), and Lu et al. 2024,
arXiv:2406.08414: the loss that a language model found falls, rises and falls again near 0. Its stationary points in
units of the blend's width, z/tau, are -2.3714 and 1.4401.
"""

from __future__ import annotations

import numpy as np
from common import Number, Outcome, main
from scipy.optimize import brentq

from penchant import numpy as oracle

BETA, TAU = 0.05, 0.05


def blend_slope(z: float) -> float:
    return float(oracle.discopop_grad(z / BETA, 0.0, BETA, TAU).chosen)


def shapes(z: np.ndarray) -> dict[str, np.ndarray]:
    """Each loss as a function of z = beta (a - b), scaled to slope 1 downwards at 0."""
    zero = 0 * z
    raw = {
        "logistic (dpo)": oracle.dpo_loss,
        "hinge": oracle.hinge_loss,
        "squared (ipo)": oracle.ipo_loss,
        "exponential": oracle.exponential_loss,
        "savage": oracle.savage_loss,
    }
    values = {}
    for name, loss in raw.items():
        inputs = (z, zero, zero, zero) if "dpo" in name else (z, zero)
        beta = 0.5 if "ipo" in name else 1.0
        values[name] = np.array([loss(*(float(v[i]) for v in inputs), beta=beta) for i in range(len(z))])
    return values


def reproduce(fast: bool = False) -> Outcome:
    left, right = brentq(blend_slope, -0.3, -0.05), brentq(blend_slope, 0.02, 0.2)
    numbers = [
        Number("DiscoPOP: first stationary point, z/tau", left / TAU, -2.3714, 1e-4),
        Number("DiscoPOP: second stationary point, z/tau", right / TAU, 1.4401, 1e-4),
    ]
    z = np.linspace(-6, 6, 61 if fast else 241)
    curves = shapes(z)

    def draw(figure) -> None:
        first, second = figure.subplots(1, 2)
        for name, values in curves.items():
            first.plot(z, values, label=name)
        first.set(xlabel="z", xlim=(-6, 11), ylim=(0, 8), title="pairwise losses")
        first.legend(fontsize=8)
        near = np.linspace(-0.4, 0.4, 201)
        second.plot(near, [float(oracle.discopop_loss(v / BETA, 0.0, BETA, TAU)) for v in near], label="discopop")
        second.plot(near, np.logaddexp(0, -near), label="logistic")
        for place in (left, right):
            second.axvline(place, color="#888888", linewidth=0.8)
        second.set(xlabel="z", title="DiscoPOP near 0")
        second.legend(fontsize=8)

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
