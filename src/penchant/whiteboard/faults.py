"""What people get wrong, method by method; SimPO and ORPO are in reference_free.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from penchant.whiteboard.fault import (
    MEAN_FOR_SUM,
    MINUS_HINT,
    Fault,
    beta_faults,
    missing_minus,
    mixed_log_probs,
    sigmoid_for_log_sigmoid,
)
from penchant.whiteboard.reference_free import ORPO, SIMPO

_SMOOTHING = (
    ("smoothing-reversed", "label smoothing is the wrong way round", "eps * good + (1 - eps) * bad"),
    ("smoothing-ignored", "label smoothing is taken and not used", "good"),
    ("smoothing-one-sided", "label smoothing scales the loss and leaves the flipped label out", "(1 - eps) * good"),
    ("smoothing-halved", "label smoothing takes ε/2 for ε", "(1 - eps / 2) * good + eps / 2 * bad"),
    ("smoothing-sign", "the term of the flipped label is subtracted where it is added", "(1 - eps) * good - eps * bad"),
    ("smoothing-adds", "the two terms of label smoothing do not sum to 1", "good + eps * bad"),
)
_PARTIAL = (
    ("the policy's difference only, not the reference's", "beta * (pw - pl) - (rw - rl)"),
    ("the reference's difference only, not the policy's", "pw - pl - beta * (rw - rl)"),
    ("the chosen answer's log-ratio only", "beta * a - b"),
    ("the rejected answer's log-ratio only", "a - beta * b"),
)
_RATIOS = (
    ("log-probs-divided", "log-probs are divided where one is subtracted from the other", "{0} / {1}"),
    ("ratio-unlogged", "the ratio of the probabilities stands where its logarithm belongs", "exp({0} - {1})"),
    ("probabilities-for-logs", "probabilities are subtracted where log-probs belong", "exp({0}) - exp({1})"),
    ("logs-of-logs", "the logarithm is taken of log-probs: it asks for probabilities", "log({0} / {1})"),
)


def _dpo() -> Iterator[Fault]:
    yield from mixed_log_probs()
    yield from beta_faults("z", "delta")
    yield Fault(
        "beta-outside",
        "beta stands outside the log-sigmoid",
        "At a difference of 0 the loss is log 2 whatever beta is. Is yours?",
        "Multiply by beta before the log-sigmoid.",
        {"z": "delta", "loss": "-beta * mix"},
    )
    yield from sigmoid_for_log_sigmoid({"good": "z", "bad": "-z"})
    yield missing_minus("loss", "mix")
    hint = "At label_smoothing = 0 smoothing must change nothing. Which term keeps its full weight then?"
    for code, sentence, mix in _SMOOTHING:
        answer = "(1 - ε) goes with log σ(z), ε with log σ(-z)."
        yield Fault(code, sentence, hint, answer, {"mix": mix})
    hint = "Double beta in the call, with policy and reference swapped back and forth: which difference does it scale?"
    for what, z in _PARTIAL:
        answer = "Multiply the whole difference by beta: β(a - b)."
        yield Fault("beta-partial", f"beta multiplies {what}", hint, answer, {"z": z})
    yield from _not_a_difference_of_logs()
    yield MEAN_FOR_SUM


def _not_a_difference_of_logs() -> Iterator[Fault]:
    """Ratios taken of the wrong thing, and sigmoids taken before the difference."""
    hint = "log(π / π_ref) of log-probs: is that a difference, a ratio, or is there an exp in it?"
    answer = "The inputs are log-probs: log(π / π_ref) = log π - log π_ref, with no division, no exp and no log."
    for code, sentence, ratio in _RATIOS:
        a, b = (ratio.format(*names) for names in (("pw", "rw"), ("pl", "rl")))
        yield Fault(code, sentence, hint, answer, {"a": a, "b": b, "delta": f"({a}) - ({b})"})
    yield Fault(
        "sigmoids-apart",
        "each answer has a log-sigmoid of its own, and their difference is taken",
        "At two equal log-ratios the loss is log 2. Is yours?",
        "Take the difference first: log σ(β(a - b)).",
        {"mix": "log_sigmoid(beta * a) - log_sigmoid(beta * b)"},
    )
    yield Fault(
        "absolute-value",
        "there is an absolute value around the margin: a wrong pair is as good as a right one",
        "What is the loss of a pair that is ordered wrongly?",
        "Keep the sign of z.",
        {"z": "abs(beta * delta)"},
    )


_IPO_TARGET = (
    ("the target is 1/β where 1/(2β) belongs", {"target": "1 / beta"}),
    ("the target is β/2 where 1/(2β) belongs", {"target": "beta / 2"}),
    ("the target is 1/2 where 1/(2β) belongs", {"target": "0.5"}),
    ("the target is 2β where 1/(2β) belongs", {"target": "2 * beta"}),
    ("the target is missing", {"target": "0"}),
    ("the target 1/(2β) is added where it is subtracted", {"target": "-1 / (2 * beta)"}),
    ("the difference is scaled by β and the target is not", {"gap": "beta * delta - target"}),
)
_IPO_SIGMOID = (
    "-log_sigmoid(gap)",
    "-log_sigmoid(beta * gap)",
    "sigmoid(-gap)",
    "sigmoid(gap)",
    "(sigmoid(delta) - 0.5) ** 2",
    "(sigmoid(beta * delta) - 0.5) ** 2",
    "(sigmoid(delta) - target) ** 2",
    "(sigmoid(beta * delta) - target) ** 2",
    "sigmoid(gap) ** 2",
    "log_sigmoid(gap) ** 2",
    "-log_sigmoid(gap ** 2)",
)


def _ipo() -> Iterator[Fault]:
    yield from mixed_log_probs()
    yield Fault(
        "ipo-beta-squared",
        "the loss is β² times IPO's: (βΔ - 1/2)², with the same minimiser and a gradient β² times as large",
        "Compare the losses at beta = 0.1: is yours 100 times smaller?",
        "(Δ - 1/(2β))² with the difference unscaled, or divide by β².",
        {"gap": "beta * delta - 0.5"},
    )
    target = "At what difference is the loss 0? It is 5 nats at beta = 0.1."
    for sentence, change in _IPO_TARGET:
        yield Fault("ipo-target", sentence, target, "The target is 1 / (2β).", change)
    square, fix = "What is the loss at a gap of -2, of 2, of 3?", "Square the gap."
    yield Fault("square-missing", "the square is missing", square, fix, {"loss": "gap"})
    absolute = "there is an absolute value where the square belongs"
    yield Fault("square-missing", absolute, square, fix, {"loss": "abs(gap)"})
    negative, keep = "Is the loss ever negative?", "Square the gap and keep its sign."
    yield Fault("minus-missing", "there is a minus sign too many", negative, keep, {"loss": "-(gap ** 2)"})
    logistic, what = "IPO has no sigmoid: which function of the gap is it?", "there is a sigmoid where IPO has a square"
    for expression in _IPO_SIGMOID:
        yield Fault("ipo-sigmoid", what, logistic, "(Δ - 1/(2β))².", {"loss": expression})
    yield replace(
        MEAN_FOR_SUM,
        code="ipo-per-token",
        sentence="this is IPO on log-probs per token, as TRL has it and its authors advise in practice;"
        " the paper's formula takes their sums",
        answer="Keep it and choose beta for differences per token, or do not divide by the lengths.",
    )


_KTO_SIDE = "An undesirable answer far above the baseline: should its loss be high or low?"
_KTO_FIX = "u = +β(r - z_ref) for desirable, -β(r - z_ref) for undesirable answers."
_KTO_RATIO = "Which model is subtracted from which?"
_KTO_BASELINE = "Raise z_ref: a desirable answer should find it harder."
_KTO_WEIGHTS = "Set one weight to 0: which answers stop counting?"
_KTO = (
    Fault(
        "undesirable-sign",
        "the undesirable side has the sign of the desirable one",
        _KTO_SIDE,
        _KTO_FIX,
        {"down": "gain"},
    ),
    Fault("labels-inverted", "desirable and undesirable are swapped", _KTO_SIDE, _KTO_FIX, {"u": "where(y, down, up)"}),
    Fault("desirable-sign", "the desirable side has the wrong sign", _KTO_SIDE, _KTO_FIX, {"up": "-gain"}),
    Fault(
        "sign-flipped",
        "the log-ratio has the wrong sign: policy and reference are swapped",
        _KTO_RATIO,
        "r = log π - log π_ref.",
        {"ratio": "r - p"},
    ),
    Fault("reference-missing", "the reference is left out", _KTO_RATIO, "r = log π - log π_ref.", {"ratio": "p"}),
    Fault(
        "difference-wrong",
        "the reference's log-prob is added where it is subtracted",
        _KTO_RATIO,
        "r = log π - log π_ref.",
        {"ratio": "p + r"},
    ),
    Fault(
        "z_ref-missing",
        "the baseline z_ref is not used",
        _KTO_BASELINE,
        "Subtract z_ref from the log-ratio.",
        {"gap": "ratio"},
    ),
    Fault(
        "z_ref-sign",
        "the baseline z_ref is added where it is subtracted",
        _KTO_BASELINE,
        "Subtract z_ref.",
        {"gap": "ratio + z0"},
    ),
    Fault(
        "z_ref-outside-beta",
        "z_ref is not multiplied by beta",
        _KTO_BASELINE,
        "β(r - z_ref).",
        {"gain": "beta * ratio - z0"},
    ),
    Fault(
        "z_ref-one-sided",
        "z_ref has the wrong sign on the undesirable side: -βr - βz_ref",
        "Put both sides side by side: the undesirable one is exactly minus the desirable one.",
        _KTO_FIX,
        {"down": "-beta * (ratio + z0)"},
    ),
    Fault(
        "z_ref-clamp-missing",
        "the baseline is not clamped at 0",
        "What if the estimate of the KL is negative?",
        "z_ref = max(0, mean of the mismatched log-ratios).",
        {"gap": "ratio - z_raw"},
    ),
    *beta_faults("gain", "gap"),
    Fault(
        "minus-missing",
        "1 - σ(u) is written σ(u): the sign of the loss is wrong",
        MINUS_HINT,
        "λ(1 - σ(u)).",
        {"value": "sigmoid(u)"},
    ),
    Fault("minus-missing", "the loss has the wrong sign", MINUS_HINT, "λ(1 - σ(u)).", {"value": "-sigmoid(-u)"}),
    Fault(
        "kto-log-form",
        "this is -log σ(u), the binary cross-entropy of BCO, and not the paper's KTO λ(1 - σ(u)): it is not bounded",
        "How large can the loss of one hopeless answer get?",
        "Use λ(1 - σ(u)), or say that the loss is BCO's.",
        {"value": "-log_sigmoid(u)"},
    ),
    Fault(
        "kto-log-form-minus",
        "log σ(u) without its minus sign, and without the paper's sigmoid",
        MINUS_HINT,
        "λ(1 - σ(u)).",
        {"value": "log_sigmoid(u)"},
    ),
    Fault(
        "weights-swapped",
        "the weights of desirable and undesirable answers are swapped",
        _KTO_WEIGHTS,
        "λ_D goes with desirable answers.",
        {"weight": "where(y, wu, wd)"},
    ),
    Fault(
        "weights-ignored",
        "the weights are taken and not used",
        _KTO_WEIGHTS,
        "Multiply each answer's loss by its weight.",
        {"weight": "1.0"},
    ),
)


_LOG_SIGMOID = (
    Fault(
        "sigmoid-for-log-sigmoid",
        "this is the sigmoid, not its logarithm",
        "What is log σ(0)?",
        "log σ(x) = -log(1 + e^-x).",
        {"out": "sigmoid(x)"},
    ),
    Fault(
        "minus-missing",
        "the sign is wrong: this is -log σ(x)",
        "Is log σ(x) ever positive?",
        "log σ(x) = -log(1 + e^-x).",
        {"out": "-log_sigmoid(x)"},
    ),
    Fault(
        "argument-sign",
        "this is log σ(-x): the sign of the argument is wrong",
        "Where is log σ nearly 0: far right or far left?",
        "log σ(x) = -log(1 + e^-x).",
        {"out": "log_sigmoid(-x)"},
    ),
    Fault(
        "argument-sign",
        "this is log(1 + e^x): two signs are wrong",
        "Is log σ(x) ever positive?",
        "log σ(x) = -log(1 + e^-x).",
        {"out": "-log_sigmoid(-x)"},
    ),
)


FAULTS: dict[str, tuple[Fault, ...]] = {
    "log_sigmoid": _LOG_SIGMOID,
    "dpo": tuple(_dpo()),
    "ipo": tuple(_ipo()),
    "kto": _KTO,
    "simpo": SIMPO,
    "orpo": ORPO,
}
