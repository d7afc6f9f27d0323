"""What a preference for long answers teaches

Park et al. 2024, arXiv:2403.19159 (R-DPO), and others: if chosen answers tend to be longer, DPO learns length. A toy
language model is trained on pairs in which the longer answer is the chosen one in 80 %, nothing else being better
about it. Measured are the mean length of new answers, and the slope of the learned log-ratio difference on the
difference of lengths, on held-out pairs whose order is random. The papers expect a positive slope under DPO, and less
of it under methods that count tokens. The constants differ, so the pulls are not equally strong. What we measure: the
slopes come out as expected, below 0 for R-DPO with this alpha; the lengths of new answers do not follow them, all
methods lengthen answers, `ln_dpo` most. Why was not looked into.
"""

from __future__ import annotations

import torch
from common import Number, Outcome, main
from reward_mismatch import answers
from toy_lm import fine_tune, lengths, prefer

import penchant

METHODS = {
    "dpo": lambda w, lo, rw, rl, m, n: penchant.dpo_loss(w, lo, rw, rl, beta=0.1),
    "r_dpo": lambda w, lo, rw, rl, m, n: penchant.r_dpo_loss(w, lo, rw, rl, m, n, beta=0.1, alpha=0.2),
    "ln_dpo": lambda w, lo, rw, rl, m, n: penchant.ln_dpo_loss(w - rw, lo - rl, m, n, beta=1.0),
    "simpo": lambda w, lo, rw, rl, m, n: penchant.simpo_loss(w, lo, m, n, beta=2.0, gamma=0.5),
}
LONGER_WINS = 0.8


def reproduce(fast: bool = False) -> Outcome:
    count, steps = (100, 8) if fast else (1500, 150)
    start = fine_tune(answers(4000, 0), 40 if fast else 600)
    left, right = answers(2 * count, 1).chunk(2)
    lucky = torch.rand(count, generator=torch.Generator().manual_seed(4)) < LONGER_WINS
    first = ((lengths(left) > lengths(right)) == lucky)[:, None]
    chosen, rejected = torch.where(first, left, right), torch.where(first, right, left)
    other, another = answers(2 * count, 9).chunk(2)
    gap = lengths(other) - lengths(another)
    table = {}
    for name, loss in METHODS.items():
        model, _ = prefer(start, chosen, rejected, loss, steps)
        with torch.no_grad():
            learned = model.logps(other) - start.logps(other) - model.logps(another) + start.logps(another)
        slope = float((gap * learned).mean() / (gap**2).mean())
        table[name] = (slope, float(lengths(model.sample(500, 30)).mean()), gap, learned)
    before = float(lengths(start.sample(500, 30)).mean())
    numbers = [Number("before: mean length of new answers", before)]
    for name, (slope, size, _, _) in table.items():
        numbers.append(Number(f"{name}: nats of log-ratio per token longer", slope))
        numbers.append(Number(f"{name}: mean length of new answers", size))

    def draw(figure) -> None:
        axis, sizes = figure.subplots(1, 2)
        for name, (slope, _, gap, _) in table.items():
            ends = torch.tensor([float(gap.min()), float(gap.max())])
            axis.plot(ends, slope * ends, label=name)
        axis.set(xlabel="tokens longer", ylabel="log-ratio gained, nats")
        axis.legend()
        sizes.bar(["before", *table], [before, *(row[1] for row in table.values())])
        sizes.set(ylabel="mean length of new answers")

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
