"""Chosen answers may become less likely

Pal et al. 2024, arXiv:2402.13228 (Smaug), and Razin et al. 2024, arXiv:2410.08847: DPO pushes only the difference.
With features shared by the answers the first step already lowers the chosen one, exactly computed here for a linear
softmax policy; with independent logits it cannot. On a toy language model, with pairs that differ in one token, we
measure what happens under DPO, DPO with fine-tuning, and DPOP.
"""

from __future__ import annotations

import numpy as np
import torch
from common import Number, Outcome, main
from toy_lm import END, fine_tune, prefer

import penchant

FEATURES = np.array([[1.0, 0.0], [0.8, 0.5], [0.5, -1.0]])
METHODS = {
    "dpo": lambda w, lo, rw, rl, m, n: penchant.dpo_loss(w, lo, rw, rl, beta=0.1),
    "dpo_nll": lambda w, lo, rw, rl, m, n: penchant.dpo_nll_loss(w, lo, rw, rl, m, beta=0.1),
    "dpop": lambda w, lo, rw, rl, m, n: penchant.dpop_loss(w - rw, lo - rl, beta=0.1, lambda_=5.0),
}


def first_step() -> np.ndarray:
    """d log pi of chosen, rejected and a third answer along DPO's step, uniform policy with shared features."""
    step = FEATURES[0] - FEATURES[1]
    return (FEATURES - FEATURES.mean(axis=0)) @ step


def close_pairs(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Answers of a Markov chain over 11 tokens, the same with one token replaced, and more answers for fine-tuning."""
    draw = torch.Generator().manual_seed(2)
    chances = torch.softmax(1.5 * torch.randn(11, 11, generator=draw), dim=-1)
    answers = torch.full((count + 4000, 9), END)
    answers[:, 0] = 1 + torch.randint(11, (len(answers),), generator=draw)
    for place in range(1, 8):
        answers[:, place] = 1 + torch.multinomial(chances[answers[:, place - 1] - 1], 1, generator=draw)[:, 0]
    chosen, rejected = answers[:count], answers[:count].clone()
    place = torch.randint(2, 7, (count,), generator=draw)
    other = torch.randint(1, 11, (count,), generator=draw)
    rows = torch.arange(count)
    rejected[rows, place] = 1 + (rejected[rows, place] - 1 + other) % 11
    return chosen, rejected, answers[count:]


def reproduce(fast: bool = False) -> Outcome:
    theory = (-0.0366666667, -0.3266666667, 0.3633333333)
    numbers = [
        Number(f"linear softmax, d log pi of {name}", float(value), exact, 1e-9)
        for name, value, exact in zip(("chosen", "rejected", "a third answer"), first_step(), theory, strict=True)
    ]
    chosen, rejected, more = close_pairs(64)
    start = fine_tune(more, 40 if fast else 600)
    paths = {name: prefer(start, chosen, rejected, loss, 10 if fast else 300)[1] for name, loss in METHODS.items()}
    for name, path in paths.items():
        numbers.append(Number(f"toy model, {name}: nats gained by chosen", path[-1][0]))
        numbers.append(Number(f"toy model, {name}: least on the way", min(gain for gain, _ in path)))
        numbers.append(Number(f"toy model, {name}: nats gained by rejected", path[-1][1]))

    def draw(figure) -> None:
        for axis, which, title in zip(figure.subplots(1, 2), (0, 1), ("chosen", "rejected"), strict=True):
            for name, path in paths.items():
                axis.plot([gains[which] for gains in path], label=name)
            axis.axhline(0, color="#888888", linewidth=0.8)
            axis.set(xlabel="step", ylabel="nats gained on the reference", title=title)
            axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
