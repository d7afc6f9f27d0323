"""What cannot be derived: the words that go with a method. Numbers, formulas and papers come from the catalogue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prose:
    """Words on one method.

    Attributes:
        memory: The one line to remember.
        diagram: The steps as a picture in text.
        derivative: What the derivative does to each side.
        use: When to use it.
        values: Constant to where its usual values come from.
        pitfalls: Mistake and what one sees of it.
        neighbours: What it becomes when something is changed.
    """

    memory: str
    diagram: str
    derivative: str
    use: str
    values: dict[str, str]
    pitfalls: tuple[tuple[str, str], ...]
    neighbours: tuple[str, ...]


PROSE = {
    "dpo": Prose(
        "Four log-probs, two subtractions, one more, times beta, log-sigmoid, minus.",
        """\
policy chosen   ──┐
                  ├─(-)── a ──┐
reference chosen ─┘           │
                              ├─(-)── Δ ──(×β)── z ──(log σ)──(-)── L
policy rejected ──┐           │
                  ├─(-)── b ──┘
reference rejected┘""",
        "Both answers get the same weight β·σ(-z), with opposite signs: the chosen one is pushed up, the rejected one down. "
        "The weight is β/2 where policy and reference agree and fades as the pair is ordered. Only the difference is "
        "pushed: both log-probs may fall.",
        "Pairs of answers, a reference you trust, and some noise in the labels. The first thing to try.",
        {
            "beta": "0.1 in the paper (0.5 for summaries); 0.01 to 0.5 in published recipes",
            "label_smoothing": "0; Mitchell's note on noisy labels uses 0.1",
        },
        (
            ("Chosen and rejected swapped", "accuracy falls below one half from the first step"),
            ("Reference not frozen, or the policy itself", "loss stays near log 2, margins near 0"),
            ("The sigmoid first, its logarithm second", "inf or NaN once a margin is very wrong"),
            ("Log-probs summed in bfloat16", "margins come in steps of 2 or 4 nats; small differences vanish"),
            ("Mean over tokens for sum", "margins look tiny; beta means something else"),
        ),
        (
            "with label_smoothing above 0 it is conservative DPO",
            "with a square to the margin 1/(2β) in place of the log-sigmoid it is IPO",
            "without the reference, per token and with a margin it is SimPO",
        ),
    ),
    "ipo": Prose(
        "The difference of log-ratios is pulled to 1/(2β), from both sides, by a square.",
        """\
a ──┐
    ├─(-)── Δ ──(- 1/(2β))── gap ──(²)── L
b ──┘""",
        "2·gap on the chosen answer and -2·gap on the rejected one. At the target nothing moves, and past it the pair is "
        "pulled back, which DPO never does.",
        "Labels that are (nearly) deterministic, where DPO would run away from the reference.",
        {"beta": "the paper's τ, 0.1; 0.01 to 0.9 were compared in practice"},
        (
            ("β²-times the loss, (βΔ - 1/2)²", "the same minimum, and learning 100 times slower at β = 0.1"),
            ("Log-probs summed where the run's settings expect means", "the loss is in the hundreds for long answers"),
            ("A sigmoid put in", "the finite target is lost"),
        ),
        (
            "with the log-sigmoid in place of the square it is DPO",
            "divided by the answers' lengths it is what its authors advise in practice",
        ),
    ),
    "kto": Prose(
        "Good answers above the baseline, bad ones below it, through a sigmoid that stops caring at both ends.",
        """\
policy ────┐
           ├─(-)── r ──(- z_ref)──(×β)──(± by label)── u ──(1 - σ)──(×λ)── L
reference ─┘""",
        "βσ(u)σ(-u) at most β/4, in the direction of the label, and 0 in both tails: a hopeless or mislabelled answer is "
        "left alone. z_ref is a constant.",
        "Thumbs-up and thumbs-down on single answers, also when one kind is rare (weigh it up).",
        {
            "beta": "0.1 in the paper",
            "desirable_weight": "λ_D; λ_D·n_D / (λ_U·n_U) between 1 and 4/3 in the paper",
            "undesirable_weight": "λ_U, 1",
        },
        (
            ("The form -log σ(u) for 1 - σ(u)", "BCO, not KTO: noisy labels keep their full pull"),
            ("Integer labels and ~", "~1 is -2, which selects rows by number: the loss is wrong and nothing fails"),
            ("A z_ref not clamped at 0, or with a gradient", "the baseline follows the policy; rewards drift"),
            ("One answer per step", "no mismatched answers to estimate z_ref from"),
        ),
        (
            "with -log σ(u) it is BCO with δ = β·z_ref",
            "with z_ref = 0 on the two answers of a pair it is half of APO-zero",
        ),
    ),
    "simpo": Prose(
        "Log-prob per token, no reference, and win by gamma.",
        """\
policy chosen ───(÷ tokens)── p̄_w ──┐
                                    ├─(-)──(×β)──(-γ)── z ──(log σ)──(-)── L
policy rejected ─(÷ tokens)── p̄_l ──┘""",
        "(β/|y|)·σ(-z) on each answer: a token of a long answer is pushed less than one of a short answer.",
        "No memory for a reference, and pairs made by the policy itself.",
        {
            "beta": "2 in the paper's code; 2 to 10 in its recipes",
            "gamma": "0.5; γ/β between 0.1 and 0.8 in its recipes",
        },
        (
            ("No division by lengths", "long answers lose, whatever they say"),
            ("The margin γ multiplied by beta", "a margin β times as large: the loss starts high"),
            ("Lengths clamped at 1", "an empty answer has the best score there is"),
            ("Nothing holds it to the start", "answers grow repetitive: watch the KL"),
        ),
        ("with gamma = 0 it has no margin", "with sums and a reference in place of means it is DPO"),
    ),
    "orpo": Prose(
        "Fine-tuning on the chosen answer plus lambda times the log-sigmoid of the log odds ratio.",
        """\
p̄_w ──┬──────────────(-)─────────────────────────────┐
      └─(- log(1 - e^p̄))── log odds_w ──┐            ├─(+)── L
                                        ├─(-)── z ──(-log σ)──(×λ)
p̄_l ────(- log(1 - e^p̄))── log odds_l ──┘""",
        "The chosen answer gets 1/|y_w| from fine-tuning, and λσ(-z)/(|y|(1 - P)) from the odds: a slope that grows as a "
        "probability nears 1.",
        "From a base model in one stage, without a reference and without fine-tuning first.",
        {"lambda_": "0.1 in the paper; the official code's default is 1"},
        (
            ("The odds by log(1 - exp(p̄))", "inf or NaN when an answer becomes certain, short answers first"),
            (
                "Summed log-probs in the odds",
                "1 - P is 1, so that sums are compared at β = 1: long answers lose, whatever they say",
            ),
            ("No fine-tuning term", "the chosen answers' probability falls"),
        ),
        (
            "with lambda = 0 it is supervised fine-tuning",
            "with log-probs in place of log-odds the second term is SimPO's at β = 1, γ = 0",
        ),
    ),
}
