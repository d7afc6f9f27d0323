"""Deterministic preferences: IPO stops, DPO does not

Azar et al. 2023, arXiv:2310.12036, section 5: two actions, uniform reference, the first always preferred. IPO's
optimum is sigma(1/(2 tau)); DPO's loss has none, its policy becomes deterministic for every beta. Both losses are
minimised here; the logits are held within 60, where DPO's minimum is the boundary.
"""

from __future__ import annotations

import numpy as np
from common import Array, Number, Outcome, log_softmax, main, minimise, to_logits

from penchant import numpy as oracle


def optimum(method: str, beta: float) -> float:
    """The probability of the preferred action at the minimum."""

    def loss(logits: Array) -> tuple[float, Array]:
        log_policy = log_softmax(logits)
        a, b = log_policy - np.log(0.5)
        if method == "ipo":
            value, slope = oracle.ipo_loss(a, b, beta), oracle.ipo_grad(a, b, beta)
        else:
            value, slope = oracle.dpo_loss(a, b, 0.0, 0.0, beta), oracle.dpo_grad(a, b, 0.0, 0.0, beta)
        return float(value), to_logits(np.array([slope.chosen, slope.rejected], dtype=float), log_policy)

    return float(np.exp(log_softmax(minimise(loss, np.zeros(2), bound=60.0)))[0])


def reproduce(fast: bool = False) -> Outcome:
    taus = np.geomspace(0.05, 5, 9 if fast else 41)
    found = {method: [optimum(method, tau) for tau in taus] for method in ("ipo", "dpo")}
    theory = oracle.sigmoid(1 / (2 * taus))
    numbers = [
        Number("IPO: largest distance from sigma(1/(2 tau))", float(np.abs(found["ipo"] - theory).max()), 0.0, 1e-6),
        *(
            Number(f"IPO, tau {tau:g}", optimum("ipo", tau), float(oracle.sigmoid(1 / (2 * tau))), 1e-6)
            for tau in (0.1, 0.5, 1.0)
        ),
        Number("DPO: smallest over all beta", min(found["dpo"]), 1.0, 1e-6),
    ]

    def draw(figure) -> None:
        axis = figure.subplots()
        axis.plot(taus, theory, label="IPO, theory")
        axis.plot(taus, found["ipo"], "o", markersize=4, label="IPO, minimised")
        axis.plot(taus, found["dpo"], "s", markersize=4, label="DPO, minimised")
        axis.set(xscale="log", xlabel="tau, beta", ylabel="probability of the preferred action")
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
