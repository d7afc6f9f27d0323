"""A language model small enough to train in seconds: a recurrent network over a few tokens, and preference training
on it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import nn

END = 0
"""The token that ends an answer; a sequence after it is padding."""


class ToyModel(nn.Module):
    """Token t+1 from the tokens up to t; the first token comes from a learned start."""

    def __init__(self, tokens: int = 12, width: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens + 1, width)
        self.layers = nn.GRU(width, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, tokens)
        self.start = tokens

    def forward(self, answers: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of every next token, shape ``(rows, length, tokens)``."""
        first = torch.full_like(answers[:, :1], self.start)
        states, _ = self.layers(self.embedding(torch.cat([first, answers[:, :-1]], dim=1)))
        return self.head(states).log_softmax(dim=-1)

    def logps(self, answers: torch.Tensor) -> torch.Tensor:
        """Log-prob of each answer, summed up to and with its end; shape ``(rows,)``."""
        by_token = self(answers).gather(-1, answers[..., None])[..., 0]
        return (by_token * mask(answers)).sum(dim=-1)

    @torch.no_grad()
    def sample(self, rows: int, length: int) -> torch.Tensor:
        """Answers of at most ``length`` tokens, drawn at temperature 1."""
        answers = torch.full((rows, length), END)
        for place in range(length):
            chances = self(answers)[:, place].exp()
            answers[:, place] = torch.multinomial(chances, 1)[:, 0]
            if place:
                answers[answers[:, place - 1] == END, place] = END
        return answers


def mask(answers: torch.Tensor) -> torch.Tensor:
    """1 for an answer's tokens up to and with its end."""
    ended = (answers == END).long().cumsum(dim=-1)
    return ((ended == 0) | ((ended == 1) & (answers == END))).float()


def lengths(answers: torch.Tensor) -> torch.Tensor:
    return mask(answers).sum(dim=-1)


def fine_tune(answers: torch.Tensor, steps: int, seed: int = 0) -> ToyModel:
    """A model trained on these answers alone."""
    torch.manual_seed(seed)
    model = ToyModel()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        rows = torch.randint(len(answers), (128,))
        loss = -(model.logps(answers[rows]) / lengths(answers[rows])).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Of the four log-probs and the two lengths, in penchant's order."""


def prefer(
    start: ToyModel, chosen: torch.Tensor, rejected: torch.Tensor, loss: Loss, steps: int, rate: float = 1e-3
) -> tuple[ToyModel, list[tuple[float, float]]]:
    """Preference training from ``start``, and the mean log-ratios of both answers before each step."""
    torch.manual_seed(1)
    model = deepcopy(start)
    with torch.no_grad():
        ref_chosen, ref_rejected = start.logps(chosen), start.logps(rejected)
    sizes = (lengths(chosen), lengths(rejected))
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    path = []
    for _ in range(steps):
        policy_chosen, policy_rejected = model.logps(chosen), model.logps(rejected)
        gains = ((policy_chosen - ref_chosen).mean(), (policy_rejected - ref_rejected).mean())
        path.append((float(gains[0].detach()), float(gains[1].detach())))
        optimiser.zero_grad()
        loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, *sizes).backward()
        optimiser.step()
    return model, path
