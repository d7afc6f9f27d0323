"""DPO finds the optimum of the KL-regularised reward, and how fast

Rafailov et al. 2023, arXiv:2305.18290, section 4: if preferences follow the Bradley-Terry model, DPO's minimum is pi*
~ pi_ref exp(r/beta). Four actions, r = (1, 0.5, 0, -0.5), beta = 0.5, all pairs compared equally often. With N
sampled comparisons the estimate is a maximum-likelihood one, so N E[KL(pi, pi*)] tends to a constant that Fisher's
information gives.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from common import Array, Number, Outcome, kl, log_softmax, main, minimise, to_logits

from penchant import numpy as oracle

REWARDS, BETA = np.array([1.0, 0.5, 0.0, -0.5]), 0.5
LOG_REF = np.log([0.4, 0.3, 0.2, 0.1])
LOG_BEST = log_softmax(LOG_REF + REWARDS / BETA)
PAIRS = np.array(list(combinations(range(4), 2)))
WIN = np.asarray(oracle.sigmoid(REWARDS[PAIRS[:, 0]] - REWARDS[PAIRS[:, 1]]))
ORDERED = np.concatenate([PAIRS, PAIRS[:, ::-1]])


def fit(shares: Array) -> Array:
    """The policy that minimises DPO's loss when each ordered pair has this share of the data; log-probabilities."""
    wins, losses = ORDERED.T

    def loss(logits: Array) -> tuple[float, Array]:
        log_policy = log_softmax(logits)
        given = (log_policy[wins], log_policy[losses], LOG_REF[wins], LOG_REF[losses], BETA)
        slope, slopes = oracle.dpo_grad(*given), np.zeros(4)
        np.add.at(slopes, wins, shares * np.asarray(slope.chosen))
        np.add.at(slopes, losses, shares * np.asarray(slope.rejected))
        per_pair = np.asarray(oracle.log_sigmoid(BETA * (given[0] - given[1] - given[2] + given[3])))
        return float(-(shares * per_pair).sum()), to_logits(slopes, log_policy)

    return log_softmax(minimise(loss, LOG_REF.copy()))


def constant() -> float:
    """tr(I+ Cov) / (2 beta²): the limit of N E[KL] by Fisher's information of the comparisons."""
    directions = np.eye(4)[PAIRS[:, 0]] - np.eye(4)[PAIRS[:, 1]]
    information = np.einsum("p,pi,pj->ij", WIN * (1 - WIN) / len(PAIRS), directions, directions)
    best = np.exp(LOG_BEST)
    spread = np.diag(best) - np.outer(best, best)
    return float(np.trace(np.linalg.pinv(information) @ spread) / (2 * BETA**2))


def sampled(count: int, seeds: int) -> float:
    """N times the mean KL of policies fitted to N sampled comparisons."""
    draw = np.random.default_rng(count)
    shares = np.concatenate([WIN, 1 - WIN]) / len(PAIRS)
    found = [kl(fit(draw.multinomial(count, shares) / count), LOG_BEST) for _ in range(seeds)]
    return count * float(np.mean(found))


def reproduce(fast: bool = False) -> Outcome:
    exact = fit(np.concatenate([WIN, 1 - WIN]) / len(PAIRS))
    limit = constant()
    counts = (3000, 30000) if fast else (1000, 3000, 10000, 30000, 100000, 1000000)
    seeds = 40 if fast else 200
    products = [sampled(count, seeds) for count in counts]
    last = np.mean(products[-2:])
    numbers = [
        Number(
            "N infinite: largest distance from pi*", float(np.abs(np.exp(exact) - np.exp(LOG_BEST)).max()), 0.0, 1e-7
        ),
        Number("tr(I+ Cov)/(2 beta²)", limit, 5.865494702466, 1e-9),
        Number(
            f"N E[KL], mean of N = {counts[-2]:,} and {counts[-1]:,}", float(last), limit, 0.35 * limit if fast else 0.9
        ),
    ]

    def draw(figure) -> None:
        axis = figure.subplots()
        axis.plot(counts, products, "o-", label=f"{seeds} fits each")
        axis.axhline(limit, linestyle="--", label="theory")
        axis.set(xscale="log", xlabel="comparisons N", ylabel="N · mean KL", ylim=(0, 2 * limit))
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
