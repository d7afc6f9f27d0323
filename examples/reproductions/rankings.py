"""Rankings say more than their pairs

Rafailov et al. 2023, arXiv:2305.18290, appendix A.3: DPO on whole rankings (Plackett-Luce). From rankings of four
answers one can maximise the ranking's likelihood, or split it into six pairs and run DPO on these as if they were
independent. Both find pi*; the pairs are the worse estimator. N E[KL] of each is computed from Fisher's information
(the sandwich form for the pairs) over all 24 rankings, and measured on sampled ones.
"""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
from common import Array, Number, Outcome, kl, log_softmax, main, minimise, to_logits
from dpo_consistency import BETA, LOG_BEST, LOG_REF, REWARDS

from penchant import numpy as oracle

RANKINGS = np.array(list(permutations(range(4))))


def ranking_slopes(log_policy: Array) -> tuple[Array, Array]:
    """Plackett-Luce loss of each ranking, and its slopes by the four answers' log-probs."""
    given = (log_policy[RANKINGS], LOG_REF[RANKINGS], BETA)
    slopes = np.zeros((24, 4))
    np.put_along_axis(slopes, RANKINGS, np.asarray(oracle.plackett_luce_grad(*given)[0]), axis=1)
    scores = BETA * (given[0] - given[1])
    parts = [np.log(np.exp(scores[:, k:]).sum(axis=1)) - scores[:, k] for k in range(4)]
    return np.sum(parts, axis=0), slopes


def pair_slopes(log_policy: Array) -> tuple[Array, Array]:
    """The sum of DPO's losses over a ranking's six pairs, and its slopes."""
    losses, slopes = np.zeros(24), np.zeros((24, 4))
    rows = np.arange(24)
    for first, second in combinations(range(4), 2):
        w, lo = RANKINGS[:, first], RANKINGS[:, second]
        slope = oracle.dpo_grad(log_policy[w], log_policy[lo], LOG_REF[w], LOG_REF[lo], BETA)
        losses -= np.asarray(oracle.log_sigmoid(BETA * (log_policy[w] - log_policy[lo] - LOG_REF[w] + LOG_REF[lo])))
        slopes[rows, w] += np.asarray(slope.chosen)
        slopes[rows, lo] += np.asarray(slope.rejected)
    return losses, slopes


def truth() -> Array:
    """Probability of each ranking under the rewards."""
    worth = np.exp(REWARDS)[RANKINGS]
    return np.prod([worth[:, k] / worth[:, k:].sum(axis=1) for k in range(4)], axis=0)


def fit(method, shares: Array) -> Array:
    def loss(logits: Array) -> tuple[float, Array]:
        log_policy = log_softmax(logits)
        losses, slopes = method(log_policy)
        return float(shares @ losses), to_logits(shares @ slopes, log_policy)

    return log_softmax(minimise(loss, LOG_REF.copy()))


def limit(method) -> float:
    """tr(H+ J H+ Cov)/2: the limit of N E[KL], H the curvature and J the spread of the slopes at the optimum."""
    probabilities, step = truth(), 1e-5

    def slopes(logits: Array) -> Array:
        log_policy = log_softmax(logits)
        return to_logits(method(log_policy)[1], log_policy)

    spread = np.einsum("r,ri,rj->ij", probabilities, slopes(LOG_BEST), slopes(LOG_BEST))
    ends = [[probabilities @ slopes(LOG_BEST + sign * step * unit) for sign in (1, -1)] for unit in np.eye(4)]
    curvature = np.linalg.pinv(np.array([(up - down) / (2 * step) for up, down in ends]), rcond=1e-6)
    best = np.exp(LOG_BEST)
    return float(np.trace(curvature @ spread @ curvature @ (np.diag(best) - np.outer(best, best))) / 2)


def reproduce(fast: bool = False) -> Outcome:
    count, seeds = 10000, 100 if fast else 1000
    methods = {"whole rankings": ranking_slopes, "their pairs": pair_slopes}
    theory = {name: limit(method) for name, method in methods.items()}
    draws = np.random.default_rng(3).multinomial(count, truth(), size=seeds) / count
    found = {name: [count * kl(fit(method, shares), LOG_BEST) for shares in draws] for name, method in methods.items()}
    numbers = [
        Number(f"N E[KL], {name}", float(np.mean(values)), theory[name], 5 * float(np.std(values)) / np.sqrt(seeds))
        for name, values in found.items()
    ]
    more = np.array(found["their pairs"]) - np.array(found["whole rankings"])
    expected = theory["their pairs"] - theory["whole rankings"]
    slack = 4 * float(more.std()) / np.sqrt(seeds)
    numbers.append(Number("what the pairs lose, on the same samples", float(more.mean()), expected, slack))

    def draw(figure) -> None:
        axis = figure.subplots()
        axis.boxplot(list(found.values()), tick_labels=list(found), showfliers=False)
        axis.plot([1, 2], list(theory.values()), "D", label="theory, mean")
        axis.set(ylabel=f"N · KL, N = {count}")
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
