"""ORPO's log-odds where an answer is almost certain

Hong et al. 2024, arXiv:2403.07691. log(p/(1-p)) from a log-probability needs log(1 - e^x), which textbook forms lose
in float32 as x goes to 0: 1 - exp(x) is rounded to 0, log1p(-exp(x)) likewise. Relative errors of the odds-ratio loss
in float32 against 40 digits, and of its slope; the rejected answer has mean log-prob -1.
"""

from __future__ import annotations

import mpmath
import numpy as np
import torch
from common import Number, Outcome, main

import penchant

PLACES = (-1.0, -1e-2, -1e-4, -1e-6, -1e-7, -1e-8, -1e-10)


def textbook(w: torch.Tensor, lo: torch.Tensor) -> torch.Tensor:
    odds = torch.log(torch.exp(w) / (1 - torch.exp(w))) - torch.log(torch.exp(lo) / (1 - torch.exp(lo)))
    return -torch.nn.functional.logsigmoid(odds)


def by_log1p(w: torch.Tensor, lo: torch.Tensor) -> torch.Tensor:
    odds = (w - lo) - (torch.log1p(-torch.exp(w)) - torch.log1p(-torch.exp(lo)))
    return -torch.nn.functional.logsigmoid(odds)


def by_where(w: torch.Tensor, lo: torch.Tensor) -> torch.Tensor:
    def log1mexp(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x < -0.6931, torch.log1p(-torch.exp(x)), torch.log(-torch.expm1(x)))

    return -torch.nn.functional.logsigmoid((w - lo) - (log1mexp(w) - log1mexp(lo)))


def ours(w: torch.Tensor, lo: torch.Tensor) -> torch.Tensor:
    one = torch.ones_like(w)
    return penchant.orpo_loss(w, lo, one, one, lambda_=1.0, reduction="none") - penchant.orpo_loss(
        w, lo, one, one, lambda_=0.0, reduction="none"
    )


FORMS = {"odds as written": textbook, "log1p(-exp)": by_log1p, "where(log1p, expm1)": by_where, "penchant": ours}


def errors(form, place: float) -> tuple[float, float]:
    """Relative errors of value and slope; infinite where either is not a number."""
    w = torch.tensor([place], dtype=torch.float32, requires_grad=True)
    value = form(w, torch.tensor([-1.0])).sum()
    (slope,) = torch.autograd.grad(value, w)
    mpmath.mp.dps = 40
    x, y = mpmath.mpf(float(w.detach()[0])), mpmath.mpf(-1)

    def exact(point):
        odds = (point - mpmath.log1p(-mpmath.exp(point))) - (y - mpmath.log1p(-mpmath.exp(y)))
        return mpmath.log1p(mpmath.exp(-odds))

    true, true_slope = exact(x), mpmath.diff(exact, x, h=mpmath.mpf(10) ** -25)
    found = [abs(value.item() / true - 1), abs(slope.item() / true_slope - 1)]
    return tuple(float(e) if mpmath.isfinite(e) else np.inf for e in found)


def reproduce(fast: bool = False) -> Outcome:
    table = {name: [errors(form, place) for place in PLACES] for name, form in FORMS.items()}
    worst = np.array(table["penchant"]).max(axis=0)
    broken = {
        name: next((p for p, e in zip(PLACES, row, strict=True) if max(e) > 0.01), 0.0) for name, row in table.items()
    }
    numbers = [
        Number("penchant: largest relative error of the value", float(worst[0]), 0.0, 2e-6),
        Number("penchant: largest relative error of the slope", float(worst[1]), 0.0, 2e-6),
        *(Number(f"{name}: off by 1 % from mean log-prob", broken[name]) for name in FORMS if name != "penchant"),
    ]

    def draw(figure) -> None:
        for axis, which, title in zip(figure.subplots(1, 2), (0, 1), ("value", "slope"), strict=True):
            for name, row in table.items():
                shown = [min(max(e[which], 1e-9), 3.0) for e in row]
                axis.plot([-p for p in PLACES], shown, "o-", markersize=4, label=name)
            axis.set(
                xscale="log",
                yscale="log",
                xlabel="-mean log-prob of the chosen answer",
                title=f"relative error, {title}",
            )
            axis.invert_xaxis()
        axis.legend(fontsize=8)

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
