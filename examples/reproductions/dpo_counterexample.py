"""DPO's minimum is not unique: an answer nobody saw

Xu et al. 2024, arXiv:2404.10719 ("Is DPO superior to PPO"): with the one comparison y1 over y2, any policy that gives
y2 nothing has the least loss, also one that puts nearly all on a third answer which the data never shows. The policy
is (0.1, eps, 0.9), the reference (0.5, 0.5, 0), beta 0.1; a policy that maximises the reward would be (1, 0, 0).
"""

from __future__ import annotations

import numpy as np
from common import Number, Outcome, main

from penchant import numpy as oracle


def loss(eps: float) -> float:
    return float(oracle.dpo_loss(np.log(0.1), np.log(eps), np.log(0.5), np.log(0.5), 0.1))


def reproduce(fast: bool = False) -> Outcome:
    numbers = [
        Number("loss of (0.1, 1e-9, 0.9)", loss(1e-9), 0.147117, 1e-6),
        Number("loss of (0.1, 1e-30, 0.9)", loss(1e-30), 0.001258, 1e-6),
        Number("loss of (0.1, 1e-300, 0.9)", loss(1e-300), 0.0, 1e-12),
        Number("loss where policy and reference agree", loss(0.1), float(np.log(2)), 1e-12),
    ]

    def draw(figure) -> None:
        axis = figure.subplots()
        eps = np.geomspace(0.1, 1e-40, 100)
        axis.plot(eps, [loss(e) for e in eps], label="policy (0.1, eps, 0.9)")
        axis.set(xscale="log", xlabel="eps, the probability of the rejected answer", ylabel="DPO loss")
        axis.invert_xaxis()
        axis.legend()

    return Outcome(numbers, draw)


if __name__ == "__main__":
    main(reproduce)
