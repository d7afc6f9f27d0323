"""Forward KL covers modes, reverse KL seeks one

Ji et al. 2024, arXiv:2402.00856, figure 1: in the limit of many answers DPO minimises the forward KL to the optimal
policy and EXO the reverse one. The optimal policy has two modes on a grid of 30 answers, the policy that is fitted
has one (a discretised normal distribution), and the two limits differ: DPO's spreads over both modes, EXO's takes the
higher.
"""

from __future__ import annotations

import numpy as np
from common import Array, Number, Outcome, kl, log_softmax, main
from scipy.optimize import minimize

GRID = np.arange(1.0, 31.0)


def normal(mean: float, sd: float) -> Array:
    """Log-probabilities of a normal distribution put on the grid."""
    return log_softmax(-0.5 * ((GRID - mean) / sd) ** 2)


TARGET = np.log(0.6 * np.exp(normal(8, 1.5)) + 0.4 * np.exp(normal(22, 1.5)))


def fit(forward: bool) -> tuple[float, float, float]:
    """Mean, spread and KL of the best normal policy, from several starts."""

    def distance(point: Array) -> float:
        policy = normal(point[0], np.exp(point[1]))
        return kl(TARGET, policy) if forward else kl(policy, TARGET)

    starts = [np.array([mean, np.log(sd)]) for mean in (5.0, 15.0, 25.0) for sd in (1.0, 6.0)]
    found = [
        minimize(distance, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}) for start in starts
    ]
    best = min(found, key=lambda result: result.fun)
    return float(best.x[0]), float(np.exp(best.x[1])), float(best.fun)


def reproduce(fast: bool = False) -> Outcome:
    forward, reverse = fit(forward=True), fit(forward=False)
    numbers = [
        Number("forward KL (DPO): mean", forward[0], 12.5, 0.1),
        Number("forward KL (DPO): spread", forward[1], 8.9, 0.1),
        Number("forward KL (DPO): distance", forward[2], 0.8096, 1e-4),
        Number("reverse KL (EXO): mean", reverse[0], 8.0, 0.01),
        Number("reverse KL (EXO): spread", reverse[1], 1.5, 0.01),
        Number("reverse KL (EXO): distance, ln(1/0.6)", reverse[2], float(np.log(1 / 0.6)), 1e-4),
    ]

    def draw(figure) -> None:
        axis = figure.subplots()
        axis.bar(GRID, np.exp(TARGET), color="#999999", alpha=0.5, label="optimal policy")
        axis.plot(GRID, np.exp(normal(*forward[:2])), "o-", markersize=3, label="forward KL (DPO's limit)")
        axis.plot(GRID, np.exp(normal(*reverse[:2])), "o-", markersize=3, label="reverse KL (EXO's limit)")
        axis.set(xlabel="answer", ylabel="probability")
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
