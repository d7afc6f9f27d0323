"""Rules on the file as a whole. Each takes the columns and gives a :class:`Verdict`, or nothing to say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from penchant.doctor.columns import TIE, Columns
from penchant.doctor.rule import Rule, Severity, Verdict, rule
from penchant.evaluation.statistics import Share, higher_share, wilson_of_sum

_ONE_SIDED = 0.6
"""A share whose whole interval is past this, or past its mirror image, is called one-sided."""
KTO_RANGE = (1.0, 4 / 3)
"""Where lambda_D n_D / (lambda_U n_U) should lie (Ethayarajh et al. 2024, arXiv 2402.01306, equation 8)."""


@rule(
    "D104",
    "length bias",
    Severity.WARNING,
    why="Length is the easiest thing to learn: the model gets longer (or shorter) whatever else the pairs say (Park et "
    "al. 2024, arXiv 2403.19159).",
    remedy="Balance the lengths, or, for pairs, choose a loss that takes length out: --method r_dpo or simpo; compare "
    "lengths before and after.",
)
def length_bias(rows: Columns) -> Verdict | None:
    """How often the longer answer is chosen, in characters, a tie as one half, with Wilson's interval; for labelled
    answers how often a desirable one is longer than an undesirable one, with Newcombe's."""
    lengths, labels = rows.numbers("first_length"), rows.numbers("label")
    said = list(_of_pairs(lengths[rows.paired], rows.numbers("second_length")[rows.paired]))
    said += _of_labels(lengths[labels == 1], lengths[labels == 0])
    if not said:
        return None
    sided = any(share.low > _ONE_SIDED or share.high < 1 - _ONE_SIDED for share, _ in said)
    return Verdict("; ".join(detail for _, detail in said), Severity.WARNING if sided else Severity.NOTE)


def _of_pairs(chosen: NDArray[np.int64], rejected: NDArray[np.int64]) -> Iterator[tuple[Share, str]]:
    if not len(chosen):
        return
    longer, ties = int((chosen > rejected).sum()), int((chosen == rejected).sum())
    share = wilson_of_sum(longer + ties / 2, len(chosen), ties)
    ratio = float(np.median(chosen / np.maximum(rejected, 1)))
    count = f"{share.n:,} pair{'s' * (share.n != 1)}"
    yield share, f"the longer answer is chosen in {share} of {count}; median length ratio {ratio:.2f}"


def _of_labels(good: NDArray[np.int64], bad: NDArray[np.int64]) -> Iterator[tuple[Share, str]]:
    if not len(good) or not len(bad):
        return
    share = higher_share(good, bad)
    medians = f"{np.median(good):,.0f} and {np.median(bad):,.0f}"
    yield share, f"a desirable answer is longer than an undesirable one in {share} of comparisons; medians {medians}"


@rule(
    "D105",
    "balance of labels",
    Severity.WARNING,
    why="KTO's two terms should weigh about the same; with many more of one kind the model learns mostly to raise, or "
    "mostly to lower, whatever it sees.",
    remedy="Set the weights that the report suggests; they keep lambda_D n_D / (lambda_U n_U) within 1 and 4/3 "
    "(Ethayarajh et al. 2024, arXiv 2402.01306, equation 8).",
)
def class_ratio(rows: Columns) -> Verdict | None:
    """The ratio of thumbs-up to thumbs-down against the KTO paper's rule, with the smaller weight left at 1."""
    labels = rows.numbers("label")
    good, bad = int((labels == 1).sum()), int((labels == 0).sum())
    if not good or not bad:
        return None
    counts = f"{good:,} desirable and {bad:,} undesirable answers, ratio {good / bad:.2f}"
    low, high = KTO_RANGE
    if low <= good / bad <= high:
        return Verdict(f"{counts}: within the paper's 1 to 4/3 as it is", Severity.NOTE)
    if good / bad < low:
        option, least, most = "--desirable-weight", low * bad / good, high * bad / good
    else:
        option, least, most = "--undesirable-weight", good / bad / high, good / bad / low
    return Verdict(f"{counts}: use {option} {(least + most) / 2:.2f} ({least:.2f} to {most:.2f})", Severity.WARNING)


@rule(
    "D106",
    "only one label",
    Severity.ERROR,
    why="With nothing to compare with, KTO raises (or lowers) every answer: that is fine-tuning with extra steps.",
    remedy="Add answers of the other kind, or fine-tune instead.",
)
def one_label(rows: Columns) -> Verdict | None:
    """All labelled answers have the same label."""
    labels = rows.numbers("label")
    kinds = set(labels[labels >= 0].tolist())
    if len(kinds) != 1:
        return None
    return Verdict(f"every answer is {'desirable' if kinds == {1} else 'undesirable'}", Severity.ERROR)


@rule(
    "D107",
    "ties",
    Severity.NOTE,
    why="Most methods learn from preferences alone, and training leaves ties out. They are not worthless: they say "
    "which differences do not matter.",
    remedy="Nothing, or a method that takes them: penchant methods --needs ties.",
)
def ties(rows: Columns) -> Verdict | None:
    """The share of pairs that state that neither answer is preferred."""
    count, pairs = int((rows.numbers("label") == TIE).sum()), int(rows.paired.sum())
    if not count:
        return None
    share = wilson_of_sum(float(count), count + pairs)
    return Verdict(f"{count:,} of {count + pairs:,} comparisons are ties ({share})", Severity.NOTE)


RULES: tuple[Rule, ...] = (length_bias, class_ratio, one_label, ties)
