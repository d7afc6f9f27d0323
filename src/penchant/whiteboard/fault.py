"""What a fault is: another expression for one step of a formula, with a hint and an answer; and faults that many methods share.

A fault is data. ``changes`` says which steps it bends; two faults that bend different steps make a pair. Faults that
differ in nothing a caller can see (policy and reference swapped, chosen and rejected swapped) share one entry.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MINUS_HINT = "Which way does the loss have to go when the policy gets better?"


@dataclass(frozen=True, slots=True)
class Fault:
    """A known mistake.

    Attributes:
        code: Its name in ``--json``, the same over all methods.
        changes: Step name to the faulty expression; empty for what is not a change of the formula.
        sentence: What is wrong.
        hint: A question that leads there.
        answer: What to do, shown by ``--reveal``.
    """

    code: str
    sentence: str
    hint: str
    answer: str
    changes: Mapping[str, str] = field(default_factory=dict)


def sign_flip() -> Fault:
    return Fault(
        "sign-flipped",
        "the difference has the wrong sign: chosen and rejected are swapped, or policy and reference, or z is -z",
        "What happens to the loss when the policy raises the chosen answer's log-prob?",
        "Take (policy - reference) of the chosen answer minus (policy - reference) of the rejected one.",
        {"delta": "-(pw - rw - pl + rl)"},
    )


_TERMS = {"pw": "policy chosen", "rw": "reference chosen", "pl": "policy rejected", "rl": "reference rejected"}
_RIGHT = {"pw": 1, "rw": -1, "pl": -1, "rl": 1}


def _combination(signs: dict[str, int]) -> str:
    text = " ".join(f"{'+' if sign > 0 else '-'} {_TERMS[name]}" for name, sign in signs.items() if sign)
    return text.removeprefix("+ ") or "0"


def mixed_log_probs() -> Iterator[Fault]:
    """Every other way to add, subtract or leave out the four log-probs."""
    yield sign_flip()
    named: dict[tuple[int, ...], tuple[str, str]] = {
        (1, 0, -1, 0): ("reference-missing", "the reference is left out: only the policy's log-probs are compared"),
        (1, -1, 0, 0): ("rejected-missing", "the rejected answer is left out"),
        (0, 0, -1, 1): ("chosen-missing", "the chosen answer is left out"),
        (0, -1, 0, 1): ("policy-missing", "the policy is left out: the loss does not depend on it"),
        (1, -1, 1, -1): ("log-probs-mixed-up", "the two log-ratios are added where one is subtracted from the other"),
        (1, 1, -1, -1): ("log-probs-mixed-up", "the reference's log-probs are added where they are subtracted"),
    }
    for signs in itertools.product((1, -1, 0), repeat=4):
        given = dict(zip(_RIGHT, signs, strict=True))
        if given == _RIGHT or signs == (-1, 1, 1, -1) or not any(signs):
            continue
        expression = " ".join(f"{sign:+d} * {name}" for name, sign in given.items() if sign)
        code, sentence = named.get(signs, ("", ""))
        if not code:
            code = "log-probs-mixed-up"
            sentence = f"the four log-probs are combined wrongly: as {_combination(given)}"
        yield Fault(
            code,
            sentence,
            "Write the log-ratio of each answer on its own line first: which model is subtracted from which?",
            f"Δ = {_combination(_RIGHT)}.",
            {"delta": expression},
        )


def beta_faults(step: str, inner: str) -> tuple[Fault, ...]:
    hint = "Double beta in the call: does the loss change as the formula says?"
    answer = "Multiply the difference by beta exactly once, inside the surrogate."
    return (
        Fault("beta-missing", "beta is missing", hint, answer, {step: inner}),
        Fault("beta-doubled", "beta is applied twice", hint, answer, {step: f"beta * beta * ({inner})"}),
        Fault("beta-doubled", "beta is doubled: 2β where β belongs", hint, answer, {step: f"2 * beta * ({inner})"}),
        Fault("beta-inverted", "the difference is divided by beta", hint, answer, {step: f"({inner}) / beta"}),
    )


def sigmoid_for_log_sigmoid(steps: Mapping[str, str]) -> tuple[Fault, Fault]:
    """A sigmoid without its logarithm: ``-sigmoid(z)`` and ``1 - sigmoid(z)``."""
    sentences = (
        "there is a sigmoid where the log-sigmoid belongs: the loss is bounded and its slope dies on wrong pairs",
        "this is 1 - σ(z), a sigmoid without its logarithm: the loss is bounded and its slope dies on wrong pairs",
    )
    hint = "What is the loss of a pair that is ordered very wrongly: about 1, or as large as the margin?"
    answer = "Use logsigmoid(z), which is -log(1 + e^-z)."
    plain, from_one = (
        Fault(
            "sigmoid-for-log-sigmoid",
            sentence,
            hint,
            answer,
            {name: f"sigmoid({inner}){minus}" for name, inner in steps.items()},
        )
        for sentence, minus in zip(sentences, ("", " - 1"), strict=True)
    )
    return plain, from_one


def missing_minus(step: str, inner: str) -> Fault:
    return Fault(
        "minus-missing", "the minus sign is missing", MINUS_HINT, "The loss is minus the log-sigmoid.", {step: inner}
    )


_LENGTHS = (
    ("length-normalisation-missing", "the log-probs are not divided by the lengths", "1", "1"),
    ("lengths-swapped", "each answer is divided by the other answer's length", "n", "m"),
    ("lengths-shared", "both answers are divided by one length", "m", "m"),
    ("lengths-shared", "both answers are divided by one length", "n", "n"),
    ("lengths-shared", "both answers are divided by the mean of the two lengths", "((m + n) / 2)", "((m + n) / 2)"),
    ("lengths-shared", "both answers are divided by the sum of the two lengths", "(m + n)", "(m + n)"),
    ("lengths-shared", "both answers are divided by the longer answer's length", "maximum(m, n)", "maximum(m, n)"),
    ("lengths-shared", "both answers are divided by the shorter answer's length", "minimum(m, n)", "minimum(m, n)"),
    ("lengths-multiplied", "the log-probs are multiplied by the lengths", "(1 / m)", "(1 / n)"),
)
_CLAMPS = (
    *(("least", "maximum", bound) for bound in (2, 5, 8, 10)),
    *(("most", "minimum", bound) for bound in (8, 10, 16, 32, 64, 100, 128, 256, 512, 1024)),
)


def length_faults() -> tuple[Fault, ...]:
    """The usual other ways to divide the two log-probs: by nothing, by something shared, by lengths that are clamped."""
    hint = "Is a long answer with the same log-prob per token scored like a short one?"
    clamped = "Try answers of very different lengths."
    answer = "Divide each summed log-prob by the number of its own answer's tokens."
    divided = [(code, sentence, hint, by_w, by_l) for code, sentence, by_w, by_l in _LENGTHS]
    for word, function, bound in _CLAMPS:
        sentence = f"the lengths are clamped: at {word} {bound}"
        divided.append(("lengths-clamped", sentence, clamped, f"{function}(m, {bound})", f"{function}(n, {bound})"))
    return tuple(
        Fault(code, sentence, asked, answer, {"cw": f"pw / {by_w}", "cl": f"pl / {by_l}"})
        for code, sentence, asked, by_w, by_l in divided
    )


MEAN_FOR_SUM = Fault(
    "mean-for-sum",
    "log-probs are averaged over tokens where the method takes their sum",
    "Does the loss change when both lengths are doubled?",
    "Sum the log-probs over the answer's tokens; do not divide by its length.",
    {"a": "(pw - rw) / m", "b": "(pl - rl) / n", "delta": "(pw - rw) / m - (pl - rl) / n"},
)
