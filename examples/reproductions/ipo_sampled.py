"""IPO keeps to the reference where DPO does not

Azar et al. 2023, arXiv:2310.12036, section 5.4: three actions, uniform reference, preferences sampled from a fixed
set, a softmax policy trained by Adam (rate 0.01, 18000 steps, 9 pairs a step). IPO ends at its closed form for every
tau; DPO goes to a deterministic policy whatever beta is. Where one action never wins, DPO's probability of it goes to
0 and IPO's does not. The sets are ours: the first is the paper's total order.
"""

from __future__ import annotations

import numpy as np
from common import COLOURS, Array, Number, Outcome, adam, log_softmax, main, to_logits

from penchant import numpy as oracle

TOTAL = ((0, 1), (1, 2), (0, 2))
NEVER_WINS = ((0, 1), (1, 0), (0, 2), (1, 2))
BATCH, RATE = 9, 0.01


def train(pairs: tuple[tuple[int, int], ...], method: str, beta: float, steps: int, seeds: int) -> Array:
    """The policies that sampled pairs lead to, one row per seed."""
    draw = np.random.default_rng(0)
    data, rows = np.array(pairs), np.arange(seeds)[:, None]
    grad = {"ipo": oracle.ipo_grad, "dpo": lambda a, b, beta: oracle.dpo_grad(a, b, 0 * a, 0 * b, beta)}[method]

    def step(logits: Array) -> Array:
        log_policy = log_softmax(logits)
        wins, losses = np.moveaxis(data[draw.integers(len(data), size=(seeds, BATCH))], -1, 0)
        ratios = log_policy - np.log(1 / 3)
        slope = grad(ratios[rows, wins].ravel(), ratios[rows, losses].ravel(), beta)
        slopes = np.zeros_like(logits)
        np.add.at(slopes, (rows, wins), np.reshape(slope.chosen, (seeds, BATCH)) / BATCH)
        np.add.at(slopes, (rows, losses), np.reshape(slope.rejected, (seeds, BATCH)) / BATCH)
        return to_logits(slopes, log_policy)

    return np.exp(log_softmax(adam(step, np.zeros((seeds, 3)), RATE, steps)))


def closed_form(pairs: tuple[tuple[int, int], ...], tau: float) -> Array:
    """IPO's least squares: every pair wants a difference of 1/(2 tau) between its logits."""
    matrix = np.zeros((len(pairs), 3))
    for row, (win, loss) in enumerate(pairs):
        matrix[row, [win, loss]] = 1, -1
    logits = np.linalg.lstsq(matrix, np.full(len(pairs), 1 / (2 * tau)), rcond=None)[0]
    return np.exp(log_softmax(logits))


def reproduce(fast: bool = False) -> Outcome:
    steps, seeds = (2000, 3) if fast else (18000, 10)
    slack = 0.02 if fast else 0.004
    numbers, bars = [], {}
    for tau in (0.1, 1.0):
        for name, pairs in (("total order", TOTAL), ("c never wins", NEVER_WINS)):
            found, theory = train(pairs, "ipo", tau, steps, seeds).mean(axis=0), closed_form(pairs, tau)
            place = 0 if pairs is TOTAL else 2
            what = f"IPO, tau {tau:g}, {name}: probability of {'abc'[place]}"
            numbers.append(Number(what, float(found[place]), float(theory[place]), min(slack, 0.1 * theory[place])))
            bars[f"IPO {tau:g}\n{name}"] = found
    for beta in (0.1, 1.0):
        found = train(TOTAL, "dpo", beta, steps, seeds).mean(axis=0)
        numbers.append(Number(f"DPO, beta {beta:g}, total order: probability of a", float(found[0]), 1.0, 0.05))
        bars[f"DPO {beta:g}\ntotal order"] = found

    def draw(figure) -> None:
        axis = figure.subplots()
        for place, (action, colour) in enumerate(zip("abc", COLOURS, strict=False)):
            heights = [p[place] for p in bars.values()]
            axis.bar(np.arange(len(bars)) + 0.25 * place, heights, 0.23, color=colour, label=action)
        axis.set_xticks(np.arange(len(bars)) + 0.25, list(bars), fontsize=8)
        axis.set(ylabel="probability", ylim=(0, 1.05))
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
