"""Steps of the losses that count tokens or look into them, without a reference or with one."""

from __future__ import annotations

from penchant.whiteboard.anatomy import Step
from penchant.whiteboard.walkthroughs.blocks import GOLD, LOGISTIC, MEAN_W, MEANS, RATIOS, SCALED, line

PER_TOKEN: dict[str, tuple[Step, ...]] = {
    "r_dpo": (
        *RATIOS,
        line(
            "price",
            "alpha * (m - n)",
            "what chosen was preferred for its length alone, at α a token; below 0 if it is the shorter one",
        ),
        line(
            "z",
            "beta * (a - b) + price",
            "the margin: what a longer answer has for its length, the policy need not earn",
        ),
        LOGISTIC,
    ),
    "ln_dpo": (
        *RATIOS,
        line("aw", "a / m", "log-ratio per token of the chosen answer"),
        line("bl", "b / n", "log-ratio per token of the rejected answer"),
        line("z", "beta * (aw - bl)", "the margin per token, scaled"),
        LOGISTIC,
    ),
    "cpo": (
        line("z", "beta * (pw - pl)", "the margin, without a reference"),
        MEAN_W,
        line("loss", "-log_sigmoid(z) - alpha * cw", "the comparison, and fine-tuning on the chosen answer"),
    ),
    "cpo_simpo": (
        *MEANS,
        line("z", "beta * (cw - cl) - gamma", "what is left over the target margin"),
        line("loss", "-log_sigmoid(z) - alpha * cw", "SimPO, and fine-tuning on the chosen answer"),
    ),
    "alphapo": (
        *MEANS,
        line("hw", "(1 - exp(-alpha * cw)) / alpha", "reward of the chosen answer: its log-prob per token, bent"),
        line("hl", "(1 - exp(-alpha * cl)) / alpha", "reward of the rejected answer"),
        line("z", "beta * (hw - hl) - gamma", "what is left over the target margin"),
        LOGISTIC,
    ),
    "simper": (
        *MEANS,
        line("up", "exp(cw)", "probability per token of the chosen answer: one over its perplexity"),
        line("down", "exp(cl)", "the same of the rejected answer"),
        line("loss", "down - up", "the loss of the pair"),
    ),
    "asft": (
        *MEANS,
        line("write", "-(1 + lam) * cw", "fine-tuning on the chosen answer"),
        line("away", "-lam * log1mexp(cl)", "against the rejected answer", "away = -λ·log(1 - e^p̄_l)"),
        line("loss", "write + away", "the loss of the pair"),
    ),
    "repo": (*MEANS, line("loss", "maximum(0, gamma - (cw - cl))", "what is missing to the margin")),
    "slic": (
        line(
            "short",
            "maximum(0, delta - (pw - pl))",
            "what is missing to the margin, in nats",
            "short = max(0, δ - (log π(y_w) - log π(y_l)))",
        ),
        line("loss", "short - lam * pw", "and fine-tuning on the chosen answer"),
    ),
    "tpo": (
        line("z", "beta * (pw - pl)", "the margin, without a reference"),
        GOLD,
        line("loss", "-log_sigmoid(z) - alpha * cg", "the comparison, and fine-tuning on the gold answer"),
    ),
    "tpo_l": (
        *MEANS,
        line("z", "beta * (cw - cl) - gamma", "what is left over the target margin"),
        GOLD,
        line("loss", "-log_sigmoid(z) - alpha * cg", "SimPO, and fine-tuning on the gold answer"),
    ),
    "alpha_dpo": (
        *MEANS,
        line("g", "cw - rw / m - (cl - rl / n)", "by how much chosen gained on rejected, per token"),
        line("target", "gamma + alpha * (g - gap_mean) / gap_std", "the margin for this pair; a constant", held=True),
        line("z", "beta * (cw - cl) - target", "what is left over it"),
        LOGISTIC,
    ),
}

TOKENS: dict[str, tuple[Step, ...]] = {
    "tdpo": (
        *RATIOS,
        line("still", "chosen_sequence_kl", "drift of the chosen answer; a constant", held=True),
        line("drift", "rejected_sequence_kl - still", "how much further the rejected answer drifted"),
        line("z", "beta * (a - b - alpha * drift)", "the margin less that"),
        LOGISTIC,
    ),
    "tdpo1": (
        *RATIOS,
        line("drift", "rejected_sequence_kl - chosen_sequence_kl", "how much further the rejected answer drifted"),
        line("z", "beta * (a - b - drift)", "the margin less that"),
        LOGISTIC,
    ),
    "tis_dpo": (
        line("gap", "weighted_log_ratio_w - weighted_log_ratio_l", "difference of the weighted log-ratios"),
        line("drift", "chosen_weighted_kl - rejected_weighted_kl", "how much further the chosen answer drifted"),
        line("z", "beta * (gap - drift)", "the margin, scaled"),
        LOGISTIC,
    ),
    "ld_dpo": (
        *RATIOS,
        line("sa", "policy_chosen_shared_logps - ref_chosen_shared_logps", "log-ratio of its first min(m, n) tokens"),
        line("sb", "policy_rejected_shared_logps - ref_rejected_shared_logps", "the same of the rejected answer"),
        line("full", "a - b", "margin of the whole answers"),
        line("shared", "sa - sb", "margin of as many tokens of both"),
        line("z", "beta * (alpha * full + (1 - alpha) * shared)", "tokens beyond the shorter answer count α times"),
        LOGISTIC,
    ),
    "sampo": (
        line("z", "beta * (sampled_log_ratio_w - sampled_log_ratio_l)", "margin of as many tokens of both"),
        LOGISTIC,
    ),
    "wpo": (
        *SCALED,
        *MEANS,
        line("lw", "cw - chosen_mean_log_collision", "log-weight of the chosen answer: 0 if the policy would write it"),
        line("ll", "cl - rejected_mean_log_collision", "log-weight of the rejected answer"),
        line("u", "exp(minimum(0, lw + ll))", "weight of the pair, at most 1; a constant", held=True),
        line("loss", "-u * log_sigmoid(z)", "the loss of the pair"),
    ),
    "mallowspo": (
        *RATIOS,
        line("h", "(ref_chosen_mean_entropy + ref_rejected_mean_entropy) / 2", "how open the question is, 0 to 1"),
        line("phi", "-dispersion * log(h)", "large where one answer is right", "φ = -φ*·log h"),
        line("z", "beta * phi * (a - b)", "the margin, scaled", "z = β·φ·(a - b)"),
        LOGISTIC,
    ),
    "dro": (
        line("ratio", "p - r", "log-ratio of the answer"),
        line("reward", "beta * ratio", "what the policy says the answer is worth"),
        line("off", "score - prompt_value - reward", "what the rating says beyond the prompt's value, less that"),
        line("loss", "off ** 2 / 2", "the loss of the answer"),
    ),
}
