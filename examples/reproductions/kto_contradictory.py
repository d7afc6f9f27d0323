"""Contradictory labels: KTO follows the majority, DPO the odds

Ethayarajh et al. 2024, arXiv:2402.01306, section 4.3: annotators disagree, 70 % prefer a to b, and the reference
prefers b four to one. DPO's optimum has odds (pi_ref ratio)(p/(1-p))^(1/beta) = 0.583, so b stays the likelier one.
In KTO the sign of the gradient by each answer's reward is that of its majority, wherever the reference stands, and
the policy goes to a. The baseline is held at 0; logits are held within 60.
"""

from __future__ import annotations

import numpy as np
from common import Array, Number, Outcome, log_softmax, main, minimise, to_logits

from penchant import numpy as oracle

MAJORITY, REFERENCE = 0.7, np.log([0.2, 0.8])


def dpo_odds(beta: float) -> float:
    """pi(a)/pi(b) at DPO's minimum."""

    def loss(logits: Array) -> tuple[float, Array]:
        log_policy = log_softmax(logits)
        value, slopes = 0.0, np.zeros(2)
        for share, order in ((MAJORITY, [0, 1]), (1 - MAJORITY, [1, 0])):
            given = (*log_policy[order], *REFERENCE[order], beta)
            slope = oracle.dpo_grad(*given)
            value += share * float(oracle.dpo_loss(*given))
            slopes[order] += share * np.array([slope.chosen, slope.rejected], dtype=float)
        return value, to_logits(slopes, log_policy)

    log_policy = log_softmax(minimise(loss, REFERENCE.copy()))
    return float(np.exp(log_policy[0] - log_policy[1]))


def kto_policy(beta: float) -> float:
    """pi(a) at KTO's minimum, when each answer is good as often as it is preferred."""
    labels, share = [True, False, True, False], np.array([MAJORITY, 1 - MAJORITY, 1 - MAJORITY, MAJORITY]) / 2

    def loss(logits: Array) -> tuple[float, Array]:
        log_policy = log_softmax(logits)
        ratios = np.repeat(log_policy - REFERENCE, 2)
        slope = np.asarray(oracle.kto_grad(ratios, labels, 0.0, beta, value_function="sigmoid").log_ratio)
        gain = np.where(labels, ratios, -ratios) * beta
        value = float((share * np.asarray(oracle.sigmoid(-gain))).sum())
        return value, to_logits((share * slope).reshape(2, 2).sum(axis=1), log_policy)

    return float(np.exp(log_softmax(minimise(loss, REFERENCE.copy(), bound=60.0)))[0])


def reproduce(fast: bool = False) -> Outcome:
    numbers = [
        Number("DPO, beta 1: pi(a)/pi(b)", dpo_odds(1.0), 0.25 * MAJORITY / (1 - MAJORITY), 1e-6),
        Number("KTO, beta 1: pi(a)", kto_policy(1.0), 1.0, 1e-6),
        Number("KTO, beta 0.1: pi(a)", kto_policy(0.1), 1.0, 1e-6),
    ]
    betas = np.geomspace(0.2, 5, 7 if fast else 25)
    dpo = [odds / (1 + odds) for odds in map(dpo_odds, betas)]
    kto = [kto_policy(beta) for beta in betas]

    def draw(figure) -> None:
        axis = figure.subplots()
        axis.plot(betas, dpo, "o-", markersize=4, label="DPO")
        axis.plot(betas, kto, "o-", markersize=4, label="KTO")
        axis.axhline(0.2, linestyle="--", color="#888888", label="reference")
        axis.set(xscale="log", xlabel="beta", ylabel="pi of what the majority prefers", ylim=(0, 1.05))
        axis.set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
        axis.minorticks_off()
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
