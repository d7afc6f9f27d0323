"""Alarms of a run: rules on its log lines, each with a sentence, a reason and a remedy. No torch.

A rule sees the first lines of the log, the latest ones, and what was known before the first step. It returns the
numbers that made it speak, or None. Its limits are ours; where they come from stands in its reason.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Line = Mapping[str, float]
Values = dict[str, float]

FIRST, LATEST = 10, 50
_SHORT = 5


@dataclass(slots=True)
class History:
    """The lines that rules look at: the first ten of a run and the latest fifty, and facts from before it began."""

    facts: dict[str, float] = field(default_factory=dict)
    first: list[dict[str, float]] = field(default_factory=list)
    latest: list[dict[str, float]] = field(default_factory=list)
    seen: int = 0

    def add(self, line: Line) -> None:
        """Take up a log line."""
        numbers = {name: float(value) for name, value in line.items() if isinstance(value, int | float)}
        self.seen += 1
        if len(self.first) < FIRST:
            self.first.append(numbers)
        self.latest = [*self.latest, numbers][-LATEST:]

    def recent(self, name: str, count: int = _SHORT) -> list[float]:
        """A number's finite values in the latest lines that have it, oldest first."""
        return _values(self.latest, name)[-count:]

    def mean(self, name: str) -> float | None:
        """Its mean over the latest five; None where fewer are there."""
        values = self.recent(name)
        return statistics.fmean(values) if len(values) == _SHORT else None


@dataclass(frozen=True, slots=True)
class Rule:
    """An alarm.

    Attributes:
        id: Its name, which is also its section of the page.
        sentence: What is said, with the rule's numbers in it.
        why: What it means.
        remedy: What to do.
        check: The numbers that make it speak; None where a run raises it by itself, as it happens.
        often: Whether it speaks again when it happens again.
    """

    id: str
    sentence: str
    why: str
    remedy: str
    check: Callable[[History], Values | None] | None = None
    often: bool = False

    def say(self, values: Mapping[str, object]) -> str:
        return self.sentence.format(**values)


def _values(lines: Sequence[Line], name: str) -> list[float]:
    return [line[name] for line in lines if name in line and math.isfinite(line[name])]


def chosen_falling(history: History) -> Values | None:
    """Against the reference: over half of the chosen answers are less likely than before, by 2 nats on average. Without
    one: the chosen answers' loss per token is 0.1 nats and three standard errors above that of the first lines.
    """
    share, shift = history.mean("watch/displaced"), history.mean("watch/chosen_shift")
    if share is not None and shift is not None:
        return {"share": share, "nats": -shift} if share > 0.5 and shift < -2 else None
    before, after = _values(history.first, "nll_loss"), history.recent("nll_loss", FIRST)
    if history.seen < 2 * FIRST or len(before) < FIRST or len(after) < FIRST:
        return None
    rise = statistics.fmean(after) - statistics.fmean(before)
    error = math.sqrt((statistics.variance(before) + statistics.variance(after)) / FIRST)
    share = sum(value > statistics.fmean(before) for value in after) / FIRST
    return {"share": share, "nats": rise} if rise > max(0.1, 3 * error) else None


def saturated(history: History) -> Values | None:
    """Over half of the rows pull at the weights with less than a fiftieth of a row's pull at the first step."""
    share = history.mean("watch/saturated")
    return {"share": share} if share is not None and share > 0.5 else None


def margin_noise(history: History) -> Values | None:
    """After 20 lines, the root mean square margin is no larger than the rounding measured before the first step."""
    noise, square = history.facts.get("noise"), history.mean("watch/margin_square")
    if noise is None or square is None or history.seen < 2 * FIRST:
        return None
    margin = math.sqrt(square)
    return {"margin": margin, "noise": noise} if margin <= noise else None


def length_preference(history: History) -> Values | None:
    """Among pairs of unequal length, the policy has moved towards the longer answer a tenth more often than the labels
    prefer it, and by three standard errors, over the latest lines.
    """
    preferred = history.recent("watch/longer_preferred", LATEST)
    labelled = history.recent("watch/longer_chosen", LATEST)
    rows = len(preferred) * history.facts.get("rows_per_line", 0.0)
    if rows < 100:
        return None
    policy, labels = statistics.fmean(preferred), statistics.fmean(labelled)
    if policy - labels <= max(0.1, 3 * math.sqrt(0.5 / rows)):
        return None
    return {"policy": policy, "labels": labels}


def kl_runaway(history: History) -> Values | None:
    """The log-probs of the data's answers are 50 nats from the reference's on average, or KTO's estimate is."""
    drift, estimate = history.mean("watch/drift"), history.mean("kl")
    far = max(value for value in (drift, estimate, 0.0) if value is not None)
    return {"nats": far} if far > 50 else None


def z_ref_zero(history: History) -> Values | None:
    """An estimated baseline is exactly 0 in nine of ten of the latest 20 lines, and the policy has moved by 1 nat."""
    estimates, drift = history.recent("kl", 20), history.mean("watch/drift")
    if not history.facts.get("z_ref_estimated") or len(estimates) < 20 or drift is None or drift <= 1:
        return None
    share = sum(value == 0 for value in estimates) / len(estimates)
    return {"share": share, "nats": drift} if share >= 0.9 else None


def gradient_spike(history: History) -> Values | None:
    """The gradient's norm is over ten times the median of the lines before it, of which there are ten at least."""
    norms = history.recent("grad_norm", LATEST)
    if len(norms) <= FIRST or "grad_norm" not in history.latest[-1]:
        return None
    usual = statistics.median(norms[:-1])
    return {"norm": norms[-1], "median": usual} if norms[-1] > 10 * usual > 0 else None


RULES: tuple[Rule, ...] = (
    Rule(
        "step-0-disagreement",
        "policy and reference are up to {nats:.3g} nats apart before the first step",
        "Margins do not start at 0, so the first steps pull towards the reference's own preferences. That is meant "
        "where the reference is another model; where it is meant to be the policy, a run stops instead.",
        "Leave --reference out if the reference should be the policy before training.",
    ),
    Rule(
        "chosen-falling",
        "the chosen answers have become less likely: {share:.0%} of them, by {nats:.2g} nats",
        "Likelihood displacement: the margin grows because the rejected answers fall faster than the chosen ones, and "
        "what rises instead is in neither (Razin et al., 2024, arXiv:2410.08847). A little of it is usual under DPO.",
        "Lower the learning rate, raise beta, or take a method that holds the chosen answers up: "
        '--method dpop, or --method "dpo + nll".',
        chosen_falling,
    ),
    Rule(
        "saturated",
        "{share:.0%} of the rows hardly pull any more: under a fiftieth of a row's pull at the start",
        "Their margins are so large that the loss is flat there. Steps go on costing time, and what still moves "
        "are the hardest rows, wrong labels among them.",
        "Stop here, lower --num-train-epochs, or lower beta.",
        saturated,
    ),
    Rule(
        "margin-noise",
        "margins of {margin:.2g} nats are no larger than the rounding of {noise:.2g} nats in this type",
        "In bfloat16 a log-prob carries rounding that grows with the answer. Margins and accuracies below it are "
        "mostly chance, even though the gradient is not.",
        "Read margins later in the run, raise the learning rate, or use --dtype float32.",
        margin_noise,
    ),
    Rule(
        "length-preference",
        "the policy has moved towards the longer answer in {policy:.0%} of pairs, the labels prefer it in {labels:.0%}",
        "Summed log-ratios grow with length, so length is learnt beyond what the labels say (Park et al., 2024, "
        "arXiv:2403.19159).",
        "Take --method r_dpo, ln_dpo or simpo, or --length-normalize true; see the length report of penchant lint.",
        length_preference,
    ),
    Rule(
        "kl-runaway",
        "the policy is {nats:.3g} nats per answer away from the reference",
        "Quality falls again while the loss still does once a policy is far from its reference, under DPO as under "
        "reinforcement learning (Rafailov et al., 2024, arXiv:2406.02900). The limit of 50 nats is ours.",
        "Raise beta, lower the learning rate, or stop at an earlier checkpoint (--save-steps).",
        kl_runaway,
    ),
    Rule(
        "z-ref-zero",
        "KTO's baseline is 0 in {share:.0%} of the latest lines while the policy has moved by {nats:.2g} nats",
        "The estimate is clamped at 0 where answers under other prompts have become less likely. Desirable answers are "
        "then no longer held against anything.",
        "Use larger steps (--batch-size 32 or more), or --z-ref ema.",
        z_ref_zero,
    ),
    Rule(
        "non-finite",
        "the loss or its gradient is not finite in {rows}",
        "A log-prob of minus infinity, an overflow in float16, or a formula of one's own. Nothing is masked: the run "
        "stops with the rows named, or leaves the step out where --on-non-finite skip says so.",
        "Look at the rows, lower --learning-rate, or use --dtype float32.",
        often=True,
    ),
    Rule(
        "gradient-spike",
        "the gradient's norm is {norm:.3g}, over ten times its median of {median:.3g}",
        "One step's rows pull far harder than others: a wrong label with a huge margin, a broken row, or a learning "
        "rate at which training is about to diverge. Clipping (--max-grad-norm, 1 unless told) bounds the step.",
        "Look at the rows of that step; if it happens again, lower the learning rate.",
        gradient_spike,
        often=True,
    ),
    Rule(
        "unusual-setting",
        "{name} {value:g} is outside {low:g} to {high:g}, the range of {source}",
        "No published run in the table of presets used such a value (docs/presets.md). It may be right; most often it "
        "is another method's value or a slip by a factor of ten.",
        "Start inside the range.",
        often=True,
    ),
    Rule(
        "evaluation-seen",
        "{rows:.0f} of the evaluation rows have a prompt that is trained on",
        "Held-out numbers are too good where the model has seen the prompts.",
        "Take them out (penchant lint DATA --eval HELD_OUT --fix CLEAN), or use --eval-split, which splits by prompt.",
    ),
)
"""The alarms, in the order of their page."""

BY_ID: Mapping[str, Rule] = {rule.id: rule for rule in RULES}


def as_markdown() -> str:
    """A section for each alarm, for docs/alarms.md."""
    return "\n\n".join(_section(rule) for rule in RULES)


def _section(rule: Rule) -> str:
    when = " ".join((rule.check.__doc__ or "").split()) if rule.check else "As it happens."
    return f"## {rule.id}\n\n**When.** {when}\n\n**Why it matters.** {rule.why}\n\n**What to do.** {rule.remedy}"
