"""DPO's reward and the log-prob per token rank answers differently

Meng et al. 2024, arXiv:2405.14734, figure 2: a policy trained by DPO orders pairs by its log-ratio, yet generation
goes by the log-probability, so many pairs that the reward ranks rightly have a chosen answer that is less likely per
token. The paper's share is that of its models. Here a toy language model is trained on pairs of unequal length, by
DPO and by SimPO, and the shares are measured.
"""

from __future__ import annotations

import torch
from common import Number, Outcome, main
from toy_lm import END, ToyModel, fine_tune, lengths, prefer

import penchant

METHODS = {
    "dpo": lambda w, lo, rw, rl, m, n: penchant.dpo_loss(w, lo, rw, rl, beta=0.1),
    "simpo": lambda w, lo, rw, rl, m, n: penchant.simpo_loss(w, lo, m, n, beta=2.0, gamma=0.5),
}


def answers(count: int, seed: int) -> torch.Tensor:
    """Answers of 3 to 15 tokens from a Markov chain."""
    chances = torch.softmax(torch.randn(11, 11, generator=torch.Generator().manual_seed(7)), dim=-1)
    draw = torch.Generator().manual_seed(seed)
    found = torch.full((count, 16), END)
    size = torch.randint(3, 16, (count,), generator=draw)
    token = torch.randint(11, (count,), generator=draw)
    for place in range(15):
        found[:, place] = torch.where(place < size, token + 1, END)
        token = torch.multinomial(chances[token], 1, generator=draw)[:, 0]
    return found


def good(rows: torch.Tensor) -> torch.Tensor:
    """What the preferences go by: the share of even tokens, which length says nothing about."""
    even = ((rows % 2 == 0) & (rows != END)).float().sum(dim=-1)
    return even / (lengths(rows) - 1)


def shares(model: ToyModel, start: ToyModel, chosen: torch.Tensor, rejected: torch.Tensor) -> dict[str, float]:
    """Share of pairs ranked rightly by the log-ratio, by the log-prob per token, and differently by the two."""
    with torch.no_grad():
        w, lo = model.logps(chosen), model.logps(rejected)
        by_ratio = (w - start.logps(chosen)) > (lo - start.logps(rejected))
        by_mean = w / lengths(chosen) > lo / lengths(rejected)
    return {
        "right by log-ratio": float(by_ratio.float().mean()),
        "right by log-prob per token": float(by_mean.float().mean()),
        "the two differ": float((by_ratio != by_mean).float().mean()),
    }


def reproduce(fast: bool = False) -> Outcome:
    count = 100 if fast else 1500
    start = fine_tune(answers(4000, 0), 40 if fast else 600)
    left, right = answers(2 * count, 1).chunk(2)
    first = (good(left) > good(right))[:, None]
    chosen, rejected = torch.where(first, left, right), torch.where(first, right, left)
    half = count // 2
    table = {"before": shares(start, start, chosen[half:], rejected[half:])}
    for name, loss in METHODS.items():
        model, _ = prefer(start, chosen[:half], rejected[:half], loss, 8 if fast else 150)
        table[name] = shares(model, start, chosen[half:], rejected[half:])
    numbers = [
        Number(f"{name}: {what}", value)
        for name, row in table.items()
        for what, value in row.items()
        if name != "before" or what == "right by log-prob per token"
    ]

    def draw(figure) -> None:
        axis = figure.subplots()
        for shift, what in enumerate(table["dpo"]):
            axis.bar([i + 0.25 * shift for i in range(2)], [table[name][what] for name in METHODS], 0.23, label=what)
        axis.set_xticks([0.25, 1.25], list(METHODS))
        axis.set(ylabel="share of held-out pairs", ylim=(0, 1.3))
        axis.legend(fontsize=8, loc="upper right", ncols=3)

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
