"""A reference that moves is a smaller beta

Gorbatovski et al. 2024, arXiv:2404.09656 (TR-DPO), and stepwise DPO. In a tabular policy with every stage solved
exactly, k hard updates of the reference give pi_k ~ pi_ref e^(k r/beta): DPO with beta/k. A soft update by alpha
moves the reference's logits by alpha r/beta each time.
"""

from __future__ import annotations

import numpy as np
from common import Array, Number, Outcome, log_softmax, main, minimise, to_logits
from dpo_consistency import BETA, LOG_REF, ORDERED, PAIRS, REWARDS, WIN

from penchant import numpy as oracle

SHARES = np.concatenate([WIN, 1 - WIN]) / len(PAIRS)


def stage(log_ref: Array) -> Array:
    """DPO to its minimum against this reference; log-probabilities."""
    wins, losses = ORDERED.T

    def loss(logits: Array) -> tuple[float, Array]:
        log_policy = log_softmax(logits)
        slope = oracle.dpo_grad(log_policy[wins], log_policy[losses], log_ref[wins], log_ref[losses], BETA)
        slopes = np.zeros(4)
        np.add.at(slopes, wins, SHARES * np.asarray(slope.chosen))
        np.add.at(slopes, losses, SHARES * np.asarray(slope.rejected))
        z = BETA * (log_policy[wins] - log_policy[losses] - log_ref[wins] + log_ref[losses])
        return float(-(SHARES * np.asarray(oracle.log_sigmoid(z))).sum()), to_logits(slopes, log_policy)

    return log_softmax(minimise(loss, log_ref.copy()))


def reproduce(fast: bool = False) -> Outcome:
    hard, soft, alpha = LOG_REF.copy(), LOG_REF.copy(), 0.6
    numbers, path = [], [np.exp(LOG_REF)]
    for k in range(1, 5):
        hard = stage(hard)
        path.append(np.exp(hard))
        distance = np.abs(path[-1] - np.exp(log_softmax(LOG_REF + k * REWARDS / BETA))).max()
        numbers.append(Number(f"{k} hard updates: largest distance from beta/{k}", float(distance), 0.0, 1e-6))
        soft = log_softmax(alpha * stage(soft) + (1 - alpha) * soft)
    distance = np.abs(np.exp(soft) - np.exp(log_softmax(LOG_REF + 4 * alpha * REWARDS / BETA))).max()
    numbers.append(Number("4 soft updates by 0.6: largest distance from 2.4 r/beta", float(distance), 0.0, 1e-6))

    def draw(figure) -> None:
        axis = figure.subplots()
        for place, reward in enumerate(REWARDS):
            axis.plot(range(5), [policy[place] for policy in path], "o-", label=f"reward {reward:g}")
        axis.set(xlabel="updates of the reference", ylabel="probability", xticks=range(5))
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
