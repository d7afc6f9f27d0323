"""What a report says in sentences: the outcome, its numbers at a glance, and what was trained on what."""

from __future__ import annotations

import math
from dataclasses import dataclass

from penchant.evaluation.statistics import Estimate, Share
from penchant.report.numbers import Answers, Pairs, correlation, moved
from penchant.report.read import Run
from penchant.report.text import counted, number, percents, with_interval

_ENOUGH, _STRONG = 20, 0.5


@dataclass(frozen=True, slots=True)
class Card:
    """A number at a glance: its name, the number, and what to make of it."""

    title: str
    value: str
    note: str
    tone: str = ""


def title(run: Run) -> str:
    """The run in one line."""
    facts = run.facts
    model = facts.facts.get("base model", "a model").partition(" (")[0].rstrip("/").rpartition("/")[2]
    steps = f"{run.steps:,} steps" if facts.finished else f"step {run.steps:,} of {facts.steps:,}"
    return f"{facts.method.name} on {model}, {facts.rows:,} {facts.unit}, {steps}"


def outcome(run: Run, pairs: Pairs | None, answers: Answers | None) -> list[str]:
    """What came of it: a few sentences, the most important first, each true by a test or a count."""
    found = []
    if pairs is not None:
        found.append(_ordering(run, pairs))
        found += _displacement(run, pairs) + _length(run, pairs)
    if answers is not None and answers.ranked is not None:
        found.append(_ranking(answers, answers.ranked))
    if run.rows and run.rows_of == "training":
        found.append(
            "These rows were trained on, so this says how well they were fitted and nothing about new ones: "
            "--eval-split 0.1 sets rows aside."
        )
    kl = moved(run)
    if kl is not None:
        found.append(f"The model moved {_with_interval(kl)} nats per token (KL) from where it started.")
    return found


def _ordering(run: Run, pairs: Pairs) -> str:
    share = pairs.accuracy
    value, interval = with_interval(share)
    words = (
        f"The {_names(run)[0]} answer has the higher reward in {value} of {_counted(run, share.n)} "
        f"({interval}): {_against_chance(share)}."
    )
    if pairs.start_margins is None:
        return f"{words} How often it was so before training is not known."
    if pairs.before is None:
        return words
    was, gain = pairs.before
    change = "better than before" if gain.low > 0 else "worse than before" if gain.high < 0 else "no change shown"
    interval = f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}"
    interval = "one prompt alone gives no interval" if math.isnan(gain.low) else interval
    points = f"{100 * gain.value:+.1f} points, {interval}".replace("-", "−").replace("+0.0", "0.0")
    of = "" if was.n == share.n else f" of the {was.n:,} that were measured then"
    return f"{words} Before training it was so in {percents(was.value)[0]}{of}: {change} ({points})."


def _ranking(answers: Answers, share: Share) -> str:
    value, interval = with_interval(share)
    words = (
        f"A desirable answer has a higher reward than an undesirable one in {value} of all "
        f"{len(answers.desirable):,} × {len(answers.undesirable):,} comparisons ({interval}): {_against_chance(share)}."
    )
    if answers.before is None:
        return words
    value, interval = with_interval(answers.before)
    return f"{words} Before training it was so in {value} ({interval})."


def _against_chance(share: Share) -> str:
    if share.low > 0.5:
        return "better than chance"
    return "worse than chance" if share.high < 0.5 else "no difference from chance shown"


def _names(run: Run) -> tuple[str, str]:
    """What the two answers of a pair are called."""
    return ("better rated", "worse rated") if run.of_lists else ("chosen", "rejected")


def _counted(run: Run, pairs: int) -> str:
    which = "held-out " if run.rows_of == "held-out" else ""
    if run.of_lists:
        return f"{counted(pairs, 'pair')} of answers from {counted(len(run.rows), f'{which}list')}"
    return counted(pairs, f"{which}pair")


def _displacement(run: Run, pairs: Pairs) -> list[str]:
    """Whether the margin grew by raising the chosen answers or by lowering the rejected ones alone."""
    if pairs.drift is None or pairs.growth is None:
        return []
    chosen, rejected = pairs.drift
    good, bad = _names(run)
    if chosen.high < 0 and pairs.growth.low > 0:
        how = f"the margin grew by pushing both down, the {bad} ones further (likelihood displacement)"
    elif chosen.high < 0 and pairs.growth.high < 0:
        how = f"the {good} answers became less likely, and more so than the {bad} ones"
    elif chosen.high < 0:
        how = f"the {good} answers became less likely, and no change of the margin is shown"
    elif chosen.low > 0:
        how = f"the {good} answers did become more likely"
    else:
        how = f"no change of the {good} answers is shown"
    return [
        f"Log-probs changed by {number(chosen.value)} nats for {good} answers and {number(rejected.value)} for "
        f"{bad} ones on average: {how}."
    ]


def _length(run: Run, pairs: Pairs) -> list[str]:
    """Whether what training did to the margins is little more than a difference of lengths."""
    if pairs.start_margins is None:
        return []
    changes = pairs.margins[pairs.known] - pairs.start_margins
    found = correlation(pairs.length_difference[pairs.known], changes)
    if len(changes) < _ENOUGH or found is None or abs(found) < _STRONG:
        return []
    kind = "longer" if found > 0 else "shorter"
    what = "Margins follow length: their" if pairs.before is None else "What margins changed by follows length: its"
    return [
        f"{what} correlation with the extra tokens of the {_names(run)[0]} answer is {number(found, 2)}. "
        f"The model may have learnt to prefer {kind} answers and little else."
    ]


def cards(run: Run, pairs: Pairs | None, answers: Answers | None) -> list[Card]:
    """The numbers at a glance."""
    found = []
    which = "held-out" if run.rows_of == "held-out" else "trained-on"
    if pairs is not None:
        found.append(_share_card("Reward accuracy", pairs.accuracy, f"{which} pair", pairs.before))
        found.append(Card("Reward margin", number(pairs.margin.value), _interval(pairs.margin)))
        if pairs.on_top is not None:
            value, interval = with_interval(pairs.on_top, "")
            found.append(Card("Best rated on top", value, f"{interval}; {counted(pairs.on_top.n, f'{which} list')}"))
        if pairs.drift is not None:
            chosen = pairs.drift[0]
            tone = "bad" if chosen.high < 0 else ""
            good = _names(run)[0].capitalize()
            found.append(Card(f"{good} log-prob", _signed(chosen.value), f"nats, change; {_interval(chosen)}", tone))
    if answers is not None and answers.ranked is not None:
        value, interval = with_interval(answers.ranked, "")
        note = f"{interval}; {counted(len(run.rows), f'{which} answer')}"
        note += f"; {percents(answers.before.value)[0]} before" if answers.before else ""
        found.append(Card("Desirable ranked higher", value, note, "" if answers.before else _tone(answers.ranked)))
    kl = moved(run)
    if kl is not None:
        found.append(Card("KL to the start", number(kl.value), f"nats per token; {_interval(kl)}"))
    for key, where in (("eval_loss", "held-out, last"), ("loss", "last step")):
        loss = _last(run, key)
        if loss is not None:
            found.append(Card("Loss", number(loss), where))
            break
    distinct = len({alarm.id for alarm in run.alarms})
    found.append(Card("Alarms", str(distinct), "while training", "bad" if distinct else "good"))
    return found


def _share_card(title: str, share: Share, what: str, before: tuple[Share, Estimate] | None) -> Card:
    """A share at a glance: good or bad by what it changed by, where it did not start at chance."""
    value, interval = with_interval(share, "")
    note = f"{interval}; {counted(share.n, what)}"
    if before is None:
        return Card(title, value, note, _tone(share))
    was, gain = before
    tone = "good" if gain.low > 0 else "bad" if gain.high < 0 else ""
    return Card(title, value, f"{note}; {percents(was.value)[0]} before", tone)


def _tone(share: Share) -> str:
    return "good" if share.low > 0.5 else "bad" if share.high < 0.5 else ""


def story(run: Run) -> list[tuple[str, str, str | None]]:
    """What was trained on what, as (name, sentence, link)."""
    facts, method = run.facts, run.facts.method
    constants = ", ".join(f"{name} = {value}" for name, value in facts.constants.items())
    formula = "" if method.formula == method.name else f", {method.formula}"
    lines: list[tuple[str, str, str | None]] = [
        ("Method", f"{method.name}{formula}{f', with {constants}' if constants else ''}.", None),
        ("In words", f"{method.key_difference}.", None),
    ]
    if method.paper:
        lines.append(("Paper", method.paper, method.link))
    names = {"base model": "Base model", "data": "Data", "training": "Trained", "reference": "Reference"}
    names |= {
        "plan": "Plan",
        "memory": "Memory",
        "engine": "Engine",
        "prompts": "Prompts",
        "steps": "Steps",
        "noise": "Rounding",
    }
    lines += [(names.get(name, name), f"{text}.", None) for name, text in facts.facts.items()]
    if facts.noise is None and "noise" not in facts.facts:
        lines.append(("Rounding", "the weights are float32, whose rounding is too small to draw.", None))
    lines.append(("Rewards", _reward_words(run), None))
    when = f"started {facts.started}" + (f", ended {facts.finished}" if facts.finished else "")
    lines.append(("When", f"{when}; penchant {facts.penchant}; {facts.measuring_s:.0f} s went into this report.", None))
    return lines


def _reward_words(run: Run) -> str:
    facts = run.facts
    what = "log-ratio of policy to reference" if facts.reference else "log-prob"
    what += " per token" if facts.per_token else ""
    beta = facts.constants.get("beta")
    return f"beta × the {what}, beta = {beta}." if beta is not None else f"the {what}."


def _last(run: Run, key: str) -> float | None:
    return next((line[key] for line in reversed(run.log) if key in line), None)


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return "too few rows for an interval"
    return f"{number(estimate.low)} to {number(estimate.high)}"


def _with_interval(estimate: Estimate) -> str:
    return f"{number(estimate.value)} ({_interval(estimate)})"


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)
