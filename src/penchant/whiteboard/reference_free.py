"""What people get wrong in SimPO and ORPO."""

from __future__ import annotations

from penchant.whiteboard.fault import (
    MINUS_HINT,
    Fault,
    beta_faults,
    length_faults,
    missing_minus,
    sigmoid_for_log_sigmoid,
    sign_flip,
)

_SIMPO_MARGIN = "Raise gamma: the loss must grow, at a rate that does not depend on beta."
_SIMPO_FIX = "z = β·Δ - γ: gamma is taken off after the multiplication by beta."
SIMPO = (
    *length_faults(),
    Fault("sign-flipped", "chosen and rejected are swapped", sign_flip().hint, "Δ = p̄_w - p̄_l.", {"delta": "cl - cw"}),
    Fault(
        "difference-wrong",
        "the two log-probs per token are added where one is subtracted",
        sign_flip().hint,
        "Δ = p̄_w - p̄_l.",
        {"delta": "cw + cl"},
    ),
    *beta_faults("scaled", "delta"),
    Fault(
        "gamma-inside-beta",
        "gamma is multiplied by beta: β(Δ - γ)",
        _SIMPO_MARGIN,
        _SIMPO_FIX,
        {"z": "scaled - beta * gamma"},
    ),
    Fault(
        "gamma-over-beta",
        "γ/β is subtracted from β·Δ: it belongs inside, β(Δ - γ/β)",
        _SIMPO_MARGIN,
        _SIMPO_FIX,
        {"z": "scaled - gamma / beta"},
    ),
    Fault(
        "beta-missing",
        "beta is missing on the difference, and γ/β is subtracted from it",
        _SIMPO_MARGIN,
        _SIMPO_FIX,
        {"z": "delta - gamma / beta"},
    ),
    *(
        Fault(
            "beta-partial",
            f"beta multiplies the {side} answer's log-prob only",
            "Double beta in the call: which of the two log-probs per token does it scale?",
            "Multiply the whole difference by beta: β(p̄_w - p̄_l).",
            {"scaled": scaled},
        )
        for side, scaled in (("chosen", "beta * cw - cl"), ("rejected", "cw - beta * cl"))
    ),
    Fault("gamma-missing", "the margin gamma is not used", _SIMPO_MARGIN, _SIMPO_FIX, {"z": "scaled"}),
    Fault(
        "gamma-sign",
        "the margin gamma is added where it is subtracted",
        _SIMPO_MARGIN,
        _SIMPO_FIX,
        {"z": "scaled + gamma"},
    ),
    Fault(
        "gamma-outside",
        "gamma stands outside the log-sigmoid",
        _SIMPO_MARGIN,
        _SIMPO_FIX,
        {"z": "scaled", "loss": "-good - gamma"},
    ),
    Fault(
        "gamma-outside",
        "gamma stands outside the log-sigmoid",
        _SIMPO_MARGIN,
        _SIMPO_FIX,
        {"z": "scaled", "loss": "-good + gamma"},
    ),
    Fault(
        "beta-outside",
        "beta stands outside the log-sigmoid",
        "Does the loss scale with beta?",
        _SIMPO_FIX,
        {"scaled": "delta", "loss": "-beta * good"},
    ),
    *sigmoid_for_log_sigmoid({"good": "z"}),
    missing_minus("loss", "good"),
)


_ORPO_ODDS = "Odds are P / (1 - P). What is their logarithm?"
_ORPO_FIX = "log odds = p̄ - log(1 - e^p̄)."
_ORPO_SFT = "With lambda = 0 the loss must be that of supervised fine-tuning on the chosen answer."
_ORPO_TOTAL = "L = -p̄_w + λ·L_OR."
_ORPO_RATIO = "The logarithm of a ratio of odds is a difference of log-odds: what goes into the log-sigmoid?"
_ORPO_Z = "z = log odds_w - log odds_l."
_COMPLEMENTS = (
    ("log(1 + P) stands where log(1 - P) belongs", "log(1 + exp({0}))"),
    ("log(1 - log P) stands where log(1 - P) belongs: the exp is missing", "log(1 - {0})"),
)
ORPO = (
    *length_faults(),
    *(
        Fault(
            "complement-wrong",
            sentence,
            _ORPO_ODDS,
            _ORPO_FIX,
            {"ow": f"cw - {inner.format('cw')}", "ol": f"cl - {inner.format('cl')}"},
        )
        for sentence, inner in _COMPLEMENTS
    ),
    *(
        Fault(
            "complements-added",
            "the two log(1 - P) are added where one is subtracted from the other",
            _ORPO_RATIO,
            _ORPO_Z,
            {"z": f"cw - cl {sign} (log1mexp(cw) + log1mexp(cl))"},
        )
        for sign in "-+"
    ),
    Fault("odds-unlogged", "the ratio of the odds lacks its logarithm", _ORPO_RATIO, _ORPO_Z, {"z": "exp(ow - ol)"}),
    Fault(
        "odds-unlogged",
        "the difference of the odds stands where that of their logarithms belongs",
        _ORPO_RATIO,
        _ORPO_Z,
        {"z": "exp(ow) - exp(ol)"},
    ),
    Fault(
        "odds-missing", "log-probs are compared where log-odds belong", _ORPO_ODDS, _ORPO_FIX, {"ow": "cw", "ol": "cl"}
    ),
    Fault(
        "odds-sign",
        "log(1 - P) is added where it is subtracted",
        _ORPO_ODDS,
        _ORPO_FIX,
        {"ow": "cw + log1mexp(cw)", "ol": "cl + log1mexp(cl)"},
    ),
    Fault(
        "odds-of-sum",
        "the odds are of the whole answer, not per token",
        _ORPO_ODDS,
        _ORPO_FIX,
        {"ow": "pw - log1mexp(pw)", "ol": "pl - log1mexp(pl)"},
    ),
    Fault(
        "sign-flipped",
        "chosen and rejected are swapped in the odds ratio",
        sign_flip().hint,
        "z = log odds_w - log odds_l.",
        {"z": "ol - ow"},
    ),
    Fault(
        "difference-wrong",
        "the log-odds are added where one is subtracted",
        sign_flip().hint,
        "z = log odds_w - log odds_l.",
        {"z": "ow + ol"},
    ),
    *sigmoid_for_log_sigmoid({"good": "z"}),
    Fault(
        "minus-missing",
        "the minus sign of the odds-ratio term is missing",
        MINUS_HINT,
        "L_OR = -log σ(z).",
        {"term": "good"},
    ),
    Fault("sft-missing", "the fine-tuning term is missing", _ORPO_SFT, _ORPO_TOTAL, {"nll": "0"}),
    Fault(
        "sft-weighted",
        "the fine-tuning term is multiplied by 1 - λ",
        _ORPO_SFT,
        _ORPO_TOTAL,
        {"nll": "-(1 - lam) * cw"},
    ),
    Fault("sft-sign", "the fine-tuning term lacks its minus sign", _ORPO_SFT, _ORPO_TOTAL, {"nll": "cw"}),
    Fault("sft-rejected", "the fine-tuning term is of the rejected answer", _ORPO_SFT, _ORPO_TOTAL, {"nll": "-cl"}),
    Fault(
        "sft-sum",
        "the fine-tuning term is summed over tokens where it is averaged",
        _ORPO_SFT,
        _ORPO_TOTAL,
        {"nll": "-pw"},
    ),
    Fault(
        "sft-both",
        "the fine-tuning term has the rejected answer in it too",
        _ORPO_SFT,
        _ORPO_TOTAL,
        {"nll": "-(cw + cl)"},
    ),
    Fault("lambda-missing", "lambda is missing", _ORPO_SFT, _ORPO_TOTAL, {"loss": "nll + term"}),
    Fault(
        "lambda-misplaced", "lambda scales the fine-tuning term", _ORPO_SFT, _ORPO_TOTAL, {"loss": "lam * nll + term"}
    ),
    Fault("lambda-misplaced", "lambda scales the whole loss", _ORPO_SFT, _ORPO_TOTAL, {"loss": "lam * (nll + term)"}),
    Fault(
        "lambda-inside",
        "lambda stands inside the log-sigmoid",
        _ORPO_SFT,
        _ORPO_TOTAL,
        {"good": "log_sigmoid(lam * z)", "loss": "nll + term"},
    ),
    Fault(
        "term-subtracted",
        "the odds-ratio term is subtracted where it is added",
        _ORPO_SFT,
        _ORPO_TOTAL,
        {"loss": "nll - lam * term"},
    ),
)
