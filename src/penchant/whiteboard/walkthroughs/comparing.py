"""Steps of the losses that compare two answers: noisy labels, ratings and ties, other links, other divergences."""

from __future__ import annotations

from penchant.whiteboard.anatomy import Step
from penchant.whiteboard.walkthroughs.blocks import FLIPPED, LOGISTIC, PLAIN, RATIOS, SCALED, line

LABELS: dict[str, tuple[Step, ...]] = {
    "cdpo": (
        *SCALED,
        PLAIN,
        FLIPPED,
        line("loss", "(1 - eps) * ell + eps * back", "the loss of the pair: a share ε of the labels is flipped"),
    ),
    "soft_dpo": (
        *SCALED,
        PLAIN,
        FLIPPED,
        line(
            "loss", "preference_probs * ell + (1 - preference_probs) * back", "both labels, each with its probability"
        ),
    ),
    "geometric_dpo": (
        *RATIOS,
        line("lead", "2 * preference_probs - 1", "how sure the label is: 0 for a toss-up, 1 if certain"),
        line("z", "beta * lead * (a - b)", "the margin, scaled by that too"),
        LOGISTIC,
    ),
    "robust_dpo": (
        *SCALED,
        PLAIN,
        line("share", "eps / (1 - 2 * eps)", "weight of the correction for flipped labels"),
        line("loss", "ell - share * z", "the loss of the pair; not bounded below"),
    ),
    "focal_dpo": (
        *SCALED,
        line("q", "sigmoid(z)", "probability that the pair is in the right order"),
        line("loss", "-q ** focus * log_sigmoid(z)", "the loss of the pair", "L = -q^γ·log σ z"),
    ),
    "dr_dpo": (
        *SCALED,
        PLAIN,
        line("u", "exp(-ell / beta_prime)", "weight of each pair: small where its loss is large"),
        line("loss", "-beta_prime * log(mean(u))", "the loss of the batch"),
    ),
    "odpo": (
        *RATIOS,
        line("offset", "alpha * log(chosen_scores - rejected_scores)", "the lead that the ratings ask for"),
        line("z", "beta * (a - b) - offset", "what is left of the margin"),
        LOGISTIC,
    ),
    "modpo": (
        *RATIOS,
        line("left", "beta * (a - b) - margin", "the margin less what the other objectives say"),
        line("z", "left / objective_weight", "for this objective's share"),
        LOGISTIC,
    ),
    "reward_aware": (
        *SCALED,
        line("t", "eta * (chosen_scores - rejected_scores)", "the margin that the ratings ask for"),
        line(
            "up",
            "sigmoid(t) * (log_sigmoid(t) - log_sigmoid(z))",
            "share of chosen in the ratings, and what z is off by",
        ),
        line("down", "sigmoid(-t) * (log_sigmoid(-t) - log_sigmoid(-z))", "the same of rejected"),
        line("loss", "up + down", "KL(σ t, σ z): the loss of the pair"),
    ),
    "rao_kupper": (
        *SCALED,
        line("win", "-log_sigmoid(z - tie_margin)", "loss if the chosen answer is better"),
        line("lose", "-log_sigmoid(-z - tie_margin)", "loss if the rejected one were"),
        line("tied", "win + lose - log(exp(2 * tie_margin) - 1)", "loss if neither is"),
        line("loss", "where(is_tie, tied, win)", "the loss of the pair", "L = tied if tie, else win"),
    ),
    "davidson": (
        *SCALED,
        line("d", "exp(z) + 1 + 2 * nu * exp(z / 2)", "weights of win, loss and tie, summed"),
        line("win", "log(d) - z", "loss if the chosen answer is better"),
        line("tied", "log(d) - log(2 * nu) - z / 2", "loss if neither is"),
        line("loss", "where(is_tie, tied, win)", "the loss of the pair", "L = tied if tie, else win"),
    ),
} | {
    name: (
        *RATIOS,
        line("gap", "(a - b) / eta", "the margin on the ratings' scale"),
        line("t", "chosen_scores - rejected_scores", "what the ratings say it is"),
        line("loss", "(gap - t) ** 2", "the loss of the pair"),
    )
    for name in ("rebel", "reward_distillation")
}

LINKS: dict[str, tuple[Step, ...]] = {
    **{
        name: (*SCALED, line("loss", "maximum(0, 1 - z)", "0 once the scaled margin is 1")) for name in ("hinge", "rso")
    },
    "squared_hinge": (
        *SCALED,
        line("short", "maximum(0, 1 - z)", "what is missing to 1"),
        line("loss", "short ** 2", "the loss of the pair"),
    ),
    "savage": (
        *SCALED,
        line("q", "sigmoid(-z)", "probability that the pair is in the wrong order"),
        line("loss", "q ** 2", "the loss of the pair: at most 1"),
    ),
    "exponential": (*SCALED, line("loss", "exp(-z)", "the loss of the pair")),
    "discopop": (
        *SCALED,
        line("q", "sigmoid(z / tau)", "a switch between the two losses"),
        PLAIN,
        line("steep", "exp(-z)", "the exponential loss"),
        line("loss", "(1 - q) * ell + q * steep", "the loss of the pair"),
    ),
    "exo": (
        *SCALED,
        line("up", "sigmoid(z) * (log_sigmoid(z) - log(1 - epsilon))", "share of chosen, and what it is off by"),
        line("down", "sigmoid(-z) * (log_sigmoid(-z) - log(epsilon))", "the same of rejected"),
        line("loss", "up + down", "the loss of the pair"),
    ),
    **{
        name: (
            *RATIOS,
            line("hw", "(1 - exp(-alpha * a)) / alpha", "the chosen log-ratio, bent"),
            line("hl", "(1 - exp(-alpha * b)) / alpha", "the rejected log-ratio, bent"),
            line("z", "beta * (hw - hl)", "the margin, scaled"),
            LOGISTIC,
        )
        for name in ("f_dpo", "fkl_dpo")
    },
    "js_dpo": (
        *RATIOS,
        line("hw", "log_sigmoid(a)", "the chosen log-ratio, at most 0"),
        line("hl", "log_sigmoid(b)", "the rejected log-ratio, at most 0"),
        line("z", "beta * (hw - hl)", "the margin, scaled"),
        LOGISTIC,
    ),
    "chi_po": (
        *RATIOS,
        line("hw", "exp(a) + a", "reward of the chosen answer"),
        line("hl", "exp(b) + b", "reward of the rejected answer"),
        line("wide", "beta * (hw - hl)", "the margin, scaled"),
        line("z", "minimum(clip, maximum(-clip, wide))", "and clipped"),
        LOGISTIC,
    ),
}
