"""Steps of the losses that judge each answer for itself, or hold the chosen one up."""

from __future__ import annotations

from penchant.whiteboard.anatomy import Step
from penchant.whiteboard.walkthroughs.blocks import LOGISTIC, MEAN_L, MEAN_W, RATIO_L, RATIOS, SCALED, line

SIDES: dict[str, tuple[Step, ...]] = {
    "apo_zero": (
        *RATIOS,
        line("up", "sigmoid(-beta * a)", "what the chosen answer lacks; falls as a rises"),
        line("down", "sigmoid(beta * b)", "what the rejected answer has too much; falls as b falls"),
        line("loss", "up + down", "the loss of the pair"),
    ),
    "apo_down": (
        *RATIOS,
        line("down", "sigmoid(beta * a)", "falls as the chosen answer falls"),
        line("apart", "sigmoid(-beta * (a - b))", "falls as the two answers part"),
        line("loss", "down + apart", "the loss of the pair"),
    ),
    "sppo": (
        *RATIOS,
        line("t", "1 / (2 * beta)", "where the chosen log-ratio is to go, in nats"),
        line("up", "(a - t) ** 2", "distance of the chosen answer, squared"),
        line("down", "(b + t) ** 2", "distance of the rejected answer, squared"),
        line("loss", "up + down", "the loss of the pair"),
    ),
    "nca": (
        *RATIOS,
        line("win", "-log_sigmoid(beta * a)", "raises the chosen answer"),
        line("hold", "-0.5 * log_sigmoid(-beta * a)", "holds the chosen answer back"),
        line("down", "-0.5 * log_sigmoid(-beta * b)", "lowers the rejected answer"),
        line("loss", "win + hold + down", "the loss of the pair"),
    ),
    "bco": (
        *RATIOS,
        line("up", "-log_sigmoid(beta * (a - log_ratio_baseline))", "the chosen answer wants to be above the mean"),
        line("down", "-log_sigmoid(beta * (log_ratio_baseline - b))", "the rejected one below it"),
        line("loss", "up + down", "the loss of the pair"),
    ),
    "cal_dpo": (
        *RATIOS,
        line("apart", "-log_sigmoid(a - b)", "DPO at β = 1"),
        line("t", "1 / (2 * beta)", "where the log-ratios are to go, in nats"),
        line("up", "(a - t) ** 2", "distance of the chosen answer, squared"),
        line("down", "(b + t) ** 2", "distance of the rejected answer, squared"),
        line("loss", "apart + up + down", "the loss of the pair"),
    ),
    "npo": (
        RATIO_L,
        line("z", "-beta * b", "how far the answer is below the reference, scaled"),
        line("loss", "-2 / beta * log_sigmoid(z)", "the loss of the answer to forget"),
    ),
    "simnpo": (
        MEAN_L,
        line("z", "-beta * cl - gamma", "how improbable the answer is, scaled, less the margin"),
        line("loss", "-2 / beta * log_sigmoid(z)", "the loss of the answer to forget"),
    ),
    "mpo": (
        *SCALED,
        line("compare", "-log_sigmoid(z)", "DPO: which one is better"),
        line("up", "-log_sigmoid(beta * (a - log_ratio_baseline))", "BCO: the chosen answer is good"),
        line("down", "-log_sigmoid(beta * (log_ratio_baseline - b))", "and the rejected one is bad"),
        line("write", "-pw / m", "fine-tuning: how to write the chosen one"),
        line("loss", "0.8 * compare + 0.2 * (up + down) + write", "the loss of the pair"),
    ),
    "dpo_shift": (
        *RATIOS,
        line("less", "rejected_weight * b", "the rejected log-ratio counts f times"),
        line("z", "beta * (a - less)", "the margin, scaled"),
        LOGISTIC,
    ),
    "dpop": (
        *RATIOS,
        line("fall", "maximum(0, -a)", "how far the chosen answer fell below the reference"),
        line("z", "beta * (a - b - lam * fall)", "the margin less the fine"),
        LOGISTIC,
    ),
    "minor_dpo": (
        *RATIOS,
        line("over", "maximum(0, b)", "how far the rejected answer is above the reference"),
        line("z", "beta * (a - over)", "the margin, scaled"),
        LOGISTIC,
    ),
    "dpo_nll": (
        *SCALED,
        MEAN_W,
        line("loss", "-log_sigmoid(z) - alpha * cw", "DPO, and fine-tuning on the chosen answer"),
    ),
}
