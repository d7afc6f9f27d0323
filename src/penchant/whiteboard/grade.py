"""Puts the probes together: what a function computes, what is wrong with it, and the sentence that says so."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from penchant.whiteboard.anatomy import evaluate
from penchant.whiteboard.batches import batch_findings, empty_answer_note, half_precision_note
from penchant.whiteboard.bench import ENCODINGS, Bench, Runner, fit, role_name
from penchant.whiteboard.binding import Parameter, bind
from penchant.whiteboard.extremes import extreme_findings
from penchant.whiteboard.fault import Fault
from penchant.whiteboard.gradients import gradient_findings
from penchant.whiteboard.inputs import BASELINE, ROLE_NAMES, Rows, take
from penchant.whiteboard.matching import COARSE, Match, match
from penchant.whiteboard.subjects import Subject
from penchant.whiteboard.verdict import Example, Finding, Verdict

_PROBES = 15
_OTHER_FORM = {"kto-log-form", "ipo-per-token"}
_MEANS = {"pw": "cw", "pl": "cl"}


def grade(
    runner: Runner, subject: Subject, parameters: Sequence[Parameter], name: str, inputs: Sequence[str] | None = None
) -> Verdict:
    """Grade a function.

    Args:
        runner: Calls it.
        subject: What it should be.
        parameters: Its parameters.
        name: What to call it in messages.
        inputs: The user's own statement of what the parameters are.

    Raises:
        InputError: if the parameters' roles cannot be told.
    """
    bench = Bench(runner, subject, bind(parameters, subject.forms, inputs, name, tuple(subject.constants)))
    error = fit(bench)
    if error is not None:
        return failed(subject.name, name, error, runner.library)
    rows, observed, found = _recognise(bench, parameters)
    findings = [_or_means(bench, f, parameters) for f in _formula_findings(bench, found, observed, rows)]
    finite = bool(np.isfinite(observed).all())
    findings += batch_findings(bench, found, finite or found is None)
    if found is not None:
        findings += extreme_findings(bench, found) if found.tolerance < COARSE else []
        findings += empty_answer_note(bench, found) + half_precision_note(bench, found)
    findings = _swapped_with_detach(_one_cause(findings + gradient_findings(bench, found)), found)
    return conclude(bench, found, findings, name)


def explanation(
    runner: Runner, subject: Subject, parameters: Sequence[Parameter], name: str, inputs: Sequence[str] | None = None
) -> Match | None:
    """The formula that a function computes, held against one method; nothing where it cannot be run or recognised.

    Raises:
        InputError: if the parameters do not fit the method.
    """
    bench = Bench(runner, subject, bind(parameters, subject.forms, inputs, name, tuple(subject.constants)))
    return None if fit(bench) is not None else _recognise(bench, parameters)[2]


def _one_cause(findings: list[Finding]) -> list[Finding]:
    """A write into an input that also breaks the derivative is one mistake; so is exp(-1500) that has no derivative."""
    codes = {finding.code for finding in findings}
    if "probability-space" in codes:
        findings = [finding for finding in findings if finding.code != "gradient-nan"]
    if not {"inputs-modified", "in-place"} <= codes:
        return findings
    kept = [finding for finding in findings if finding.code != "inputs-modified"]
    words = "a write in place changes the caller's tensors and breaks the derivative"
    return [replace(f, sentence=words, also=("inputs-modified",)) if f.code == "in-place" else f for f in kept]


def _swapped_with_detach(findings: list[Finding], found: Match | None) -> list[Finding]:
    """Policy and reference swapped in one log-ratio move the detach along: one mistake, seen in value and gradient."""
    moved = {"policy-detached", "reference-gradient"}
    side = _swapped_side(found)
    if side is None or not moved <= {finding.code for finding in findings}:
        return findings
    words = f"policy and reference are swapped in the log-ratio of the {side} answer, and what is detached with them"
    kept = [finding for finding in findings if finding.code not in moved]
    return [
        replace(f, sentence=words, also=(*f.also, *sorted(moved))) if f.code == "log-probs-mixed-up" else f
        for f in kept
    ]


def _swapped_side(found: Match | None) -> str | None:
    """The answer whose log-ratio has the wrong sign alone, if that is the mistake."""
    names = ("pw", "rw", "pl", "rl")
    units = [{name: float(name == one) for name in names} for one in names]
    for fault in found.faults if found is not None else ():
        if fault.code == "log-probs-mixed-up" and "delta" in fault.changes:
            signs = [float(evaluate(fault.changes["delta"], unit)) for unit in units]
            if signs in ([1, -1, 1, -1], [-1, 1, -1, 1]):
                return "rejected" if signs[0] > 0 else "chosen"
    return None


def _recognise(bench: Bench, parameters: Sequence[Parameter]) -> tuple[Rows, np.ndarray, Match | None]:
    """What it computes; where that is unknown, with constants that the method does not have left at their defaults."""
    known = recognise(bench)
    given = {p.name for p in parameters if not p.required} & set(bench.strays)
    if known[2] is not None or not given:
        return known
    whole, labels = bench.binding, bench.labels
    bench.binding = replace(whole, roles={name: role for name, role in whole.roles.items() if name not in given})
    again = recognise(bench)
    if again[2] is None:
        bench.binding, bench.labels = whole, labels
    return known if again[2] is None else again


def recognise(bench: Bench) -> tuple[Rows, np.ndarray, Match | None]:
    """The formula that the function computes, looked for under each way to write labels."""
    candidates = list(ENCODINGS) if bench.binding.has("y") else ["bool"]
    best: tuple[Rows, np.ndarray, Match | None] | None = None
    for labels in candidates[candidates.index(bench.labels) :]:
        bench.labels = labels
        rows = bench.rows(_PROBES)
        observed, _ = bench.losses(rows)
        coarse = _is_coarse(bench, rows, observed)
        found = match(observed, rows, bench.subject, bench.free, coarse)
        if found is None and bench.batched and bench.binding.has("y") and not np.isfinite(observed).all():
            found = _recognise_in_twos(bench)
        if found is not None and not found.faults:
            return rows, observed, found
        if best is None or (best[2] is None and found is not None):
            best, kept = (rows, observed, found), labels
    assert best is not None
    bench.labels = kept
    return best


def _recognise_in_twos(bench: Bench) -> Match | None:
    """Functions that average each label's answers need one of both; the sum of their two means is observed."""
    rows = bench.rows(_PROBES)
    shared = ("beta", "gamma", "lam", "eps", "wd", "wu", "z0", "z_raw", "z_rows")
    totals = []
    partner = {name: np.roll(values, -1, axis=0) for name, values in rows.items()} | {
        name: rows[name] for name in shared
    }
    partner["y"] = ~np.asarray(rows["y"], dtype=bool)
    for index in range(_PROBES):
        pair = {name: np.stack([np.asarray(rows[name])[index], np.asarray(partner[name])[index]]) for name in rows}
        reply = bench.call(pair)
        totals.append(np.sum(np.asarray(reply.get("value", np.nan), dtype=np.float64)))
    return _match_in_twos(np.asarray(totals), rows, partner, bench.subject)


def _match_in_twos(totals: np.ndarray, rows: Rows, partner: Rows, subject: Subject) -> Match | None:
    for faults in ((), *((fault,) for fault in subject.faults), *itertools.combinations(subject.faults, 2)):
        found = Match(subject, faults)
        expected = found.predict(rows) + found.predict(partner)
        if np.allclose(totals, expected, rtol=1e-5) or np.allclose(totals, expected / 2, rtol=1e-5):
            return found
    return None


def _is_coarse(bench: Bench, rows: Rows, observed: np.ndarray) -> bool:
    """Whether small changes of the inputs change nothing, as in half precision."""
    moved = {name: rows[name] + 2e-4 if name in ("pw", "p", "x") else rows[name] for name in rows}
    again, _ = bench.losses(moved)
    same = np.isfinite(observed) & (again == observed)
    return bool(same.mean() > 0.3)


def _formula_findings(bench: Bench, found: Match | None, observed: np.ndarray, rows: Rows) -> list[Finding]:
    if found is None:
        example, hint = smallest_example(bench, None), _read_as(bench)
        sentence = "it is none of the known methods or mistakes, alone or in pairs"
        if not np.isfinite(observed).any():
            sentence = "it gives no finite loss on ordinary inputs"
            hint += " Each is one number per answer: no logits, no matrix of (rows, 2), no concatenated batch."
        sentence += _stray_words(bench)
        return [Finding("unknown", sentence, line=_whole_line(bench.subject), hint=hint, example=example)]
    example = smallest_example(bench, found) if found.faults else None
    findings = [_of_fault(found, fault, example if not i else None) for i, fault in enumerate(found.faults)]
    if found.tolerance >= COARSE:
        findings.append(
            Finding(
                "low-precision",
                "it computes in half precision: two log-probs near -500 that differ by less than 2 come out equal",
                hint="How many digits has a bfloat16?",
                answer="Compute the loss in float32 at least.",
                example=smallest_example(bench, found),
            )
        )
    return findings


def _read_as(bench: Bench) -> str:
    meant = {name: role_name(bench, name) for name in bench.binding.roles}
    read = ", ".join(f"{name} is {role}" for name, role in meant.items() if name != role) or "as they are called"
    return f"Is this what the parameters are: {read}? If not, say so with --inputs."


def _or_means(bench: Bench, finding: Finding, parameters: Sequence[Parameter]) -> Finding:
    """Log-probs without lengths beside them may be means already, as TRL passes them: how to say so."""
    roles = bench.binding.roles
    if finding.code != "length-normalisation-missing" or {"m", "a", "rw"} & set(roles.values()):
        return finding
    known = itertools.takewhile(lambda p: p.name in roles, parameters)
    stated = [_MEANS.get(roles[p.name], roles[p.name]) for p in known]
    inputs = ",".join(ROLE_NAMES.get(role, role) for role in stated)
    words = f"{finding.sentence} (if they are means per token already, it may be right: say --inputs {inputs})"
    return replace(finding, sentence=words)


def _stray_words(bench: Bench) -> str:
    if not bench.strays:
        return ""
    own = ", ".join(ROLE_NAMES.get(role, role) for role in bench.subject.constants) or "none"
    return f" ({', '.join(bench.strays)}: no constant of {bench.subject.name}, which has {own})"


def _of_fault(found: Match, fault: Fault, example: Example | None) -> Finding:
    step = next(iter(fault.changes))
    also = tuple(dict.fromkeys(other.code for other in found.also if other.code != fault.code))
    sentence = fault.sentence
    same = [] if len(found.faults) > 1 else [other.sentence for other in found.also if other.code != fault.code][:2]
    if same:
        sentence += " (seen from outside, the same as: " + "; ".join(same) + ")"
    line = found.subject.formula.line(step)
    return Finding(fault.code, sentence, True, line, fault.hint, fault.answer, example, also)


def _whole_line(subject: Subject) -> str:
    return subject.method.formula if subject.method else "log σ(x) = -log(1 + e^-x)"


def smallest_example(bench: Bench, found: Match | None) -> Example | None:
    """The simplest inputs, small whole numbers first, on which the function is not the reference."""
    rows = _simple_rows(bench)
    reference = Match(bench.subject)
    expected = reference.predict(rows)
    if found is not None:
        wrong = np.abs(found.predict(rows) - expected) > 1e-3 * np.maximum(1, np.abs(expected))
        if found.tolerance >= COARSE:
            wrong[:] = True
    else:
        wrong = np.ones(len(expected), dtype=bool)
    for index in np.flatnonzero(wrong & np.isfinite(expected)):
        row = take(rows, int(index))
        reply = bench.call(row)
        if "error" in reply:
            continue
        got = np.asarray(reply["value"], dtype=np.float64)
        if got.size == 1 and (not np.isfinite(got).all() or abs(float(got.flat[0]) - expected[index]) > 1e-6):
            return Example(bench.inputs(row), float(expected[index]), float(got.flat[0]))
    return None


def _simple_rows(bench: Bench) -> Rows:
    grid = sorted(itertools.product((-2.0, -1.0, -4.0), repeat=4), key=lambda p: (len(set(p)), -sum(p)))
    names = ("pw", "pl", "rw", "rl")
    table = np.array(grid).T
    count = table.shape[1]
    values: dict[str, Any] = dict(zip(names, table, strict=True))
    values |= {"p": table[0], "r": table[2], "x": table[0] + 3, "y": np.arange(count) % 2 == 0}
    values |= {"m": np.where(table[0] == -4, 2.0, 1.0), "n": np.where(table[1] == -4, 3.0, 1.0)}
    rows = bench.rows(count, constant=True, **values, z0=0.5 if bench.binding.has("z0") else 0.0)
    typical = {"beta": 0.5, "gamma": 1.0, "lam": 0.5, "eps": 0.2, "wd": 1.0, "wu": 2.0}
    return rows | {name: np.full(count, value) for name, value in typical.items() if name in bench.free}


def conclude(bench: Bench, found: Match | None, findings: list[Finding], name: str) -> Verdict:
    """The sentence on top."""
    findings = sorted(findings, key=lambda finding: not finding.wrong)
    wrong = [finding for finding in findings if finding.wrong]
    subject = bench.subject
    title = subject.name
    fixed = (
        "".join(f", with {key} = {value:g} written into it" for key, value in (found.fixed or {}).items())
        if found
        else ""
    )
    if found is not None and BASELINE in found.subject.extras and not bench.has_baseline:
        fixed += ", with a baseline of 0"
    facts: dict[str, Any] = {"fixed": dict(found.fixed or {})} if found else {}
    if found is not None and found.subject.name != subject.name:
        facts |= {"recognised": found.subject.name}
    if wrong and {finding.code for finding in wrong} <= _OTHER_FORM:
        kind, sentence = "other", f"{name} is a known other form of {title}: {wrong[0].sentence}."
    elif wrong:
        kind = "wrong"
        causes = "; and ".join(finding.sentence for finding in wrong)
        sentence = f"{name} is not {title} as it should be: {causes}."
        if found is not None and found.subject.name != title:
            sentence = f"{name} is not {title}; it is {found.subject.name}, and not as that should be: {causes}."
    elif found is not None and found.subject.name != subject.name:
        kind, sentence = "other", f"{name} is not {title}; it is {found.subject.name}{_constant_words(found)}{fixed}."
    elif found is not None and (found.factor != 1 or found.offset or found.power):
        kind, sentence = "scaled", f"{name} is {title}{_constant_words(found)}: right up to a constant{fixed}."
    else:
        kind, sentence = "right", f"{name} is {title}{fixed}."
    if kind == "wrong" and found is not None and _constant_words(found):
        sentence += f" (Besides, {_besides(found)}.)"
    return Verdict(title, kind, sentence, tuple(findings), bench.runner.library, facts | _constants(found))


def _constants(found: Match | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {"factor": found.factor, "offset": found.offset, "beta_power": found.power}


def _constant_words(found: Match) -> str:
    words = f" times {found.factor:g}{_base(found.factor)}" if found.factor != 1 else ""
    if found.power:
        words += f" times β^{found.power}" if found.power != 1 else " times β"
    return words + (f" {'+' if found.offset > 0 else '-'} {abs(found.offset):g}" if found.offset else "")


def _besides(found: Match) -> str:
    """The constants once more, as what was done to the loss."""
    if found.offset:
        return f"{abs(found.offset):g} is {'added to' if found.offset > 0 else 'taken off'} the loss"
    return f"the loss is multiplied by{_constant_words(found).removeprefix(' times')}"


def _base(factor: float) -> str:
    """The base of a logarithm that is not the natural one, seen from its factor."""
    base = next((base for base in (2, 10) if abs(factor * math.log(base) - 1) < 1e-5), None)
    return f" (1/ln {base}: the logarithm is to base {base})" if base else ""


def failed(method: str, name: str, error: dict[str, Any], library: str) -> Verdict:
    """The verdict on what cannot be run."""
    line = f" (line {error['line']})" if error.get("line") else ""
    sentence = f"{name} cannot be run{line}: {error['type']}: {error['message']}"
    return Verdict(method, "failed", sentence, library=library)
