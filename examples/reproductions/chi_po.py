"""chi-PO against over-optimisation

Huang et al. 2024, arXiv:2407.13399. With enough data chi-PO's optimum satisfies phi(pi/pi_ref) = (r - c)/beta with
phi(u) = u + log u, which stays nearer to the reference than the KL's. With one comparison that names an answer the
reference hardly gives (0.1), DPO without a clip runs to probability 1; clipped alike, chi-PO moves much less.
"""

from __future__ import annotations

import numpy as np
from common import Array, Number, Outcome, log_softmax, main, minimise, to_logits

from penchant import numpy as oracle


def population(method: str, beta: float) -> float:
    """Two answers, uniform reference, rewards 1 and 0, labels by the Bradley-Terry model: pi of the better one."""
    win = float(oracle.sigmoid(1.0))

    def loss(logits: Array) -> tuple[float, Array]:
        log_policy = log_softmax(logits)
        a, b = log_policy - np.log(0.5)
        value, slopes = 0.0, np.zeros(2)
        for share, (w, lo), order in ((win, (a, b), (0, 1)), (1 - win, (b, a), (1, 0))):
            if method == "chi_po":
                part, slope = oracle.chi_po_loss(w, lo, beta, 1e6), oracle.chi_po_grad(w, lo, beta, 1e6)
            else:
                part, slope = oracle.dpo_loss(w, lo, 0.0, 0.0, beta), oracle.dpo_grad(w, lo, 0.0, 0.0, beta)
            value += share * float(part)
            slopes[list(order)] += share * np.array([slope.chosen, slope.rejected], dtype=float)
        return value, to_logits(slopes, log_policy)

    return float(np.exp(log_softmax(minimise(loss, np.zeros(2))))[0])


def one_comparison(method: str, clip: float, rate: float = 0.02, steps: int = 60000) -> float:
    """Gradient descent from the reference on one pair that prefers its rare answer, until the clip stops it."""
    reference = np.log([0.1, 0.9])
    logits = reference.copy()
    for _ in range(steps):
        log_policy = log_softmax(logits)
        a, b = log_policy - reference
        if method == "chi_po":
            slope = oracle.chi_po_grad(float(a), float(b), 1.0, clip)
        else:
            slope = oracle.dpo_grad(float(a), float(b), 0.0, 0.0, 1.0)
        slopes = np.array([slope.chosen, slope.rejected], dtype=float)
        if np.abs(slopes).max() < 1e-4 or (method == "dpo" and a - b >= clip):
            break
        logits = logits - rate * to_logits(slopes, log_policy)
    return float(np.exp(log_softmax(logits))[0])


def reproduce(fast: bool = False) -> Outcome:
    rate = 0.02 if fast else 0.002
    slack = 0.01 if fast else 0.002
    numbers = [
        Number("population, chi-PO: pi of the better answer", population("chi_po", 0.5), 0.739350771499861, 1e-6),
        Number("population, DPO", population("dpo", 0.5), 0.880797077977882, 1e-6),
        Number("one comparison, chi-PO, clip 2", one_comparison("chi_po", 2.0, rate), 0.204503892885, slack),
        Number("one comparison, DPO clipped at 2", one_comparison("dpo", 2.0, rate), 0.450853060379, slack),
        Number("one comparison, DPO", one_comparison("dpo", 1e9, rate=5.0), 1.0, 0.001),
    ]
    clips = np.linspace(0.5, 8, 6 if fast else 16)
    sweep = {method: [one_comparison(method, clip, 0.05) for clip in clips] for method in ("chi_po", "dpo")}

    def draw(figure) -> None:
        axis = figure.subplots()
        axis.plot(clips, sweep["chi_po"], "o-", label="chi-PO")
        axis.plot(clips, sweep["dpo"], "o-", label="DPO")
        axis.axhline(0.1, linestyle="--", color="#888888", label="reference")
        axis.set(xlabel="margin at which both are clipped, 2R", ylabel="pi of the rare answer")
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
