"""Alarms of a run: rules on its log lines, each with a sentence, a reason and a remedy. No torch.

A rule sees the first lines of the log, the latest ones, and what was known before the first step. It returns the
numbers that made it speak, or None. Its limits are ours; where they come from stands in its reason.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Line = Mapping[str, float]
Values = dict[str, Any]

FIRST, LATEST = 10, 50
_SHORT = 5
_FEW = 10  # pairs of a kind before an error rate is taken of them
MOST = 20
"""Most times that a run tells one alarm; what happens more often is counted."""


@dataclass(slots=True)
class History:
    """The lines that rules look at: the first ten of a run and the latest fifty, and facts from before it began.

    The facts: ``apart`` where policy and reference differ before the first step, so that log-ratios do not start at 0;
    ``noise``, ``rows_per_line`` and ``z_ref_estimated``.
    """

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

    def rise(self, name: str) -> tuple[float, float] | None:
        """How far its mean over the latest ten lines is above that over the first ten, and five standard errors."""
        before, after = _values(self.first, name), self.recent(name, FIRST)
        if self.seen < 2 * FIRST or len(before) < FIRST or len(after) < FIRST:
            return None
        error = math.sqrt((statistics.variance(before) + statistics.variance(after)) / FIRST)
        return statistics.fmean(after) - statistics.fmean(before), 5 * error


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
    """Where the reference is the policy before training: over half of the chosen answers are less likely than before,
    by 2 nats on average. Against another reference, their log-ratio is 2 nats below that of the first ten lines, and
    without one their loss per token is 0.1 nats above; by five standard errors, too.
    """
    share, shift = history.mean("watch/displaced"), history.mean("watch/chosen_shift")
    if share is not None and shift is not None and "apart" not in history.facts:
        return {"nats": -shift, "each": "an answer", "share": share} if share > 0.5 and shift < -2 else None
    name, limit, each = ("nll_loss", 0.1, "a token") if shift is None else ("watch/chosen_shift", 2.0, "an answer")
    rise, error = history.rise(name) or (0.0, 0.0)
    fall = rise if shift is None else -rise
    return {"nats": fall, "each": each} if fall > max(limit, error) else None


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
    """Among pairs of unequal length, the error rates where the longer and where the shorter answer is chosen are 30
    points apart, and by three standard errors, over the latest 50 lines. Against a reference that is another model,
    they have moved apart so far since the first ten lines.
    """
    latest = _errors_by_length(history, history.latest)
    start = _errors_by_length(history, history.first) if "apart" in history.facts else (0.0, 0.0, 0.0)
    if latest is None or start is None or history.seen < _SHORT:
        return None
    longer, shorter, error = latest
    moved = (shorter - longer) - (start[1] - start[0])
    if abs(moved) <= max(0.3, 3 * math.hypot(error, start[2])):
        return None
    return {"which": "longer" if moved > 0 else "shorter", "longer": longer, "shorter": shorter}


def _errors_by_length(history: History, lines: Sequence[Line]) -> tuple[float, float, float] | None:
    """How often the policy errs where the longer answer is chosen and where the shorter is, and the standard error of
    the difference; None where either is too rare.
    """
    names = ("watch/longer_chosen", "watch/longer_preferred", "watch/longer_right")
    columns = [_values(lines, name) for name in names]
    rows = len(columns[2]) * history.facts.get("rows_per_line", 0.0)
    if not rows:
        return None
    chosen, preferred, right = (statistics.fmean(column) for column in columns)
    if rows * min(chosen, 1 - chosen) < _FEW:
        return None
    longer, shorter = (chosen - right) / chosen, (preferred - right) / (1 - chosen)
    return longer, shorter, math.sqrt(0.25 / rows * (1 / chosen + 1 / (1 - chosen)))


def kl_runaway(history: History) -> Values | None:
    """The log-probs of the data's answers are 50 nats from the reference's on average, or KTO's estimate is. Against a
    reference that is another model: 50 nats further than in the first ten lines, and five standard errors.
    """
    far = max(_moved(history, "watch/drift") or 0.0, _moved(history, "kl") or 0.0)
    return {"nats": far} if far > 50 else None


def _moved(history: History, name: str) -> float | None:
    """A distance from the reference, or what it has grown by where it was not 0 before the first step."""
    if "apart" not in history.facts:
        return history.mean(name)
    rise, error = history.rise(name) or (0.0, 0.0)
    return rise if rise > error else None


def z_ref_zero(history: History) -> Values | None:
    """An estimated baseline is exactly 0 in nine of ten of the latest 20 lines, and the policy has moved by 1 nat."""
    estimates, drift = history.recent("kl", 20), _moved(history, "watch/drift")
    if not history.facts.get("z_ref_estimated") or len(estimates) < 20 or drift is None or drift <= 1:
        return None
    share = sum(value == 0 for value in estimates) / len(estimates)
    return {"share": share, "nats": drift} if share >= 0.9 else None


def gradient_spike(history: History) -> Values | None:
    """The gradient's norm is over ten times the median of the 20 to 49 lines before it, and its logarithm further above
    theirs than five times their spread, taken from the median deviation.
    """
    norm = history.latest[-1].get("grad_norm", math.nan)
    before = [math.log(value) for value in _values(history.latest[:-1], "grad_norm") if value > 0]
    if not (math.isfinite(norm) and norm > 0) or len(before) < 2 * FIRST:
        return None
    usual = statistics.median(before)
    spread = 1.4826 * statistics.median(abs(value - usual) for value in before)  # a normal's standard deviation
    if math.log(norm) - usual <= max(math.log(10), 5 * spread):
        return None
    return {"norm": norm, "median": math.exp(usual), "times": norm / math.exp(usual)}


def diverging(history: History) -> Values | None:
    """In three of four of the latest 20 lines the loss is above all of the first ten, and on average half as high
    again; or the median of the gradient's norm over them is a hundred times that over the first ten. Where beta is on
    its way, losses are not comparable and the norm alone is looked at.
    """
    if history.seen < 3 * FIRST:
        return None
    early, late = _values(history.first, "loss"), history.recent("loss", 2 * FIRST)
    if len(early) == FIRST and len(late) == 2 * FIRST and "beta" not in history.latest[-1]:
        before, after = statistics.fmean(early), statistics.fmean(late)
        if sum(value > max(early) for value in late) >= 0.75 * len(late) and after - before > 0.5 * abs(before):
            return {"what": "loss", "before": before, "after": after}
    early, late = _values(history.first, "grad_norm"), history.recent("grad_norm", 2 * FIRST)
    if len(early) < FIRST or len(late) < 2 * FIRST:
        return None
    before, after = statistics.median(early), statistics.median(late)
    return {"what": "gradient's norm", "before": before, "after": after} if after > 100 * before > 0 else None


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
        "the chosen answers have become less likely, by {nats:.2g} nats {each} on average",
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
        "the policy prefers {which} answers: it errs on {longer:.0%} of the pairs whose longer answer is chosen and on "
        "{shorter:.0%} of those whose shorter one is",
        "A policy that is blind to length errs as often on both. Summed log-ratios grow with length, so length is "
        "learnt beyond what the labels say (Park et al., 2024, arXiv:2403.19159).",
        "Take --method r_dpo, ln_dpo or simpo, or --length-normalize true; see the length report of penchant lint.",
        length_preference,
    ),
    Rule(
        "kl-runaway",
        "the policy has moved {nats:.3g} nats per answer away from the reference",
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
        "the gradient's norm is {norm:.3g}, {times:.3g} times its median of {median:.3g}",
        "One step's rows pull far harder than others: a wrong label with a huge margin, a broken row, or a learning "
        "rate at which training is about to diverge. Clipping (--max-grad-norm, 1 unless told) bounds the step.",
        "Look at the rows of that step; if it happens again, lower the learning rate.",
        gradient_spike,
        often=True,
    ),
    Rule(
        "diverging",
        "the {what} has risen from {before:.3g} over the first ten lines to {after:.3g} over the latest 20",
        "What is trained gets worse on the rows it is trained on: steps are too large, and each makes the next one "
        "worse. No single step stands out, so gradient-spike may be silent.",
        "Stop, lower --learning-rate or raise beta, and go on from a checkpoint before the rise (--save-steps).",
        diverging,
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
    when += f" It speaks each time: the first {MOST} are told, the others counted." if rule.often else ""
    return f"## {rule.id}\n\n**When.** {when}\n\n**Why it matters.** {rule.why}\n\n**What to do.** {rule.remedy}"
