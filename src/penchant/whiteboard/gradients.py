"""Where the gradient goes: into the policy as the loss says, not into the reference, and finite in the tails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from penchant.whiteboard.anatomy import Anatomy
from penchant.whiteboard.bench import Bench, role_name
from penchant.whiteboard.extremes import base_rows, walks
from penchant.whiteboard.inputs import CONSTANT_INPUTS, POLICY_ROLES, Rows, take
from penchant.whiteboard.matching import COARSE, Match
from penchant.whiteboard.verdict import Example, Finding

_IN_PLACE = ("inplace", "in-place")


def gradient_findings(bench: Bench, match: Match | None) -> list[Finding]:
    """Hold the library's derivatives against differences of the function's own values."""
    if bench.runner.library not in ("torch", "jax"):
        return []
    policy = [name for name, role in bench.binding.roles.items() if role in POLICY_ROLES]
    fixed = [name for name, role in bench.binding.roles.items() if role in CONSTANT_INPUTS]
    if not policy + fixed:
        return []
    rows = bench.rows(3 if bench.batched else 1, constant=True)
    rows = rows if bench.batched else take(rows, 0)
    reply = bench.call(rows, grad=policy + fixed)
    if "error" in reply:
        reply = bench.call(rows, grad=policy)
        fixed = []
    if "error" in reply or "backward_error" in reply:
        return [_no_backward(reply)]
    slopes = {name: _slope(bench, rows, name, match) for name in policy}
    findings = _policy(bench, reply["grads"], slopes, match) + _fixed(bench, reply["grads"], fixed)
    if not findings and match is not None:
        findings += _tails(bench, match, policy)
    return findings


def _no_backward(reply: dict[str, Any]) -> Finding:
    message = reply.get("backward_error") or f"{reply['error']['type']}: {reply['error']['message']}"
    if any(word in message.lower() for word in _IN_PLACE):
        return Finding(
            "in-place",
            "a write in place breaks the derivative",
            hint="Which line writes into a tensor that a derivative still needs?",
            answer="Write x = x - y and not x -= y, and build new tensors with torch.where or cat.",
            example=Example({}, "a gradient", message, "backward:"),
        )
    return Finding(
        "not-differentiable",
        "there is no derivative: the function leaves its library on the way",
        hint="Which line turns a tensor into a number or a NumPy array?",
        answer="Stay in the library: no float(), .item(), .numpy() or math.* before the loss.",
        example=Example({}, "a gradient", message, "backward:"),
    )


def _slope(bench: Bench, rows: Rows, parameter: str, match: Match | None) -> np.ndarray:
    """Derivative of the summed result by a parameter, by central differences of the function's own values."""
    role = bench.binding.roles[parameter]
    symbol = {"a": "pw", "b": "pl", "cw": "pw", "cl": "pl", "q": "p"}.get(role, role)
    chain = np.atleast_1d(np.asarray(rows[{"cw": "m", "cl": "n"}[role]])) if role in ("cw", "cl") else 1.0
    step = 1e-4 if match is not None and match.tolerance < 1e-6 else 2e-2
    count = np.size(rows[symbol])
    slopes = np.zeros(count)
    for index in range(count):
        ends = []
        for sign in (1, -1):
            moved = np.array(np.atleast_1d(rows[symbol]), dtype=np.float64)
            moved[index] += sign * step
            reply = bench.call(rows | {symbol: moved if bench.batched else moved[0]})
            ends.append(np.sum(np.asarray(reply.get("value", np.nan), dtype=np.float64)))
        slopes[index] = (ends[0] - ends[1]) / (2 * step)
    return slopes * chain


def _policy(bench: Bench, grads: dict[str, Any], slopes: dict[str, np.ndarray], match: Match | None) -> list[Finding]:
    detached, different = [], []
    for name, slope in slopes.items():
        got = np.zeros_like(slope) if grads[name] is None else np.asarray(grads[name], dtype=np.float64).reshape(-1)
        scale = float(np.max(np.abs(slope)))
        if not np.isfinite(slope).all() or scale < 1e-7:
            continue
        if np.max(np.abs(got)) < 1e-3 * scale:
            detached.append((name, slope, got))
        elif not np.allclose(got, slope, rtol=3e-2, atol=3e-2 * scale):
            different.append((name, slope, got))
    if detached:
        names = ", ".join(role_name(bench, name) for name, _, _ in detached)
        return [
            Finding(
                "policy-detached",
                f"no gradient reaches {names}: the policy does not learn from it",
                hint="Where does the graph end: detach, no_grad, stop_gradient, .data, .item()?",
                answer="Detach the reference only.",
                example=_gradient_example(detached[0]),
            )
        ]
    coarse = match is not None and match.tolerance >= COARSE
    if different and not coarse and (match is None or isinstance(match.subject.formula, Anatomy)):
        names = ", ".join(role_name(bench, name) for name, _, _ in different)
        return [
            Finding(
                "gradient-wrong",
                f"the derivative by {names} is not that of the loss: a part of it is detached, or a backward is written wrongly",
                hint="Which use of the policy's log-probs is detached?",
                answer="Detach the reference only.",
                example=_gradient_example(different[0]),
            )
        ]
    return []


def _gradient_example(case: tuple[str, np.ndarray, np.ndarray]) -> Example:
    name, slope, got = case
    return Example({"by": name}, slope.tolist(), got.tolist(), "derivative")


def _fixed(bench: Bench, grads: dict[str, Any], names: Sequence[str]) -> list[Finding]:
    leaking = [name for name in names if grads[name] is not None and np.any(np.abs(np.asarray(grads[name])) > 1e-9)]
    findings: list[Finding] = []
    for name in leaking:
        role = bench.binding.roles[name]
        baseline = role in ("z0", "kl")
        code = "z_ref-gradient" if baseline else "reference-gradient"
        what = "the baseline z_ref" if baseline else role_name(bench, name)
        if all(finding.code != code for finding in findings):
            findings.append(
                Finding(
                    code,
                    f"a gradient flows into {what} if what is given carries one",
                    wrong=role == "kl",
                    hint="Which of the inputs are constants for this step?",
                    answer=f"{name} = {name}.detach() (in JAX, lax.stop_gradient), or compute it under torch.no_grad().",
                )
            )
    return findings


def _tails(bench: Bench, match: Match, policy: Sequence[str]) -> list[Finding]:
    """Derivatives at large margins and near certainty, where values may be right and derivatives NaN."""
    for walk in walks(match):
        if walk.kind == "small":
            continue
        rows = base_rows(bench)
        for name, value in walk.place(1e-9 if walk.kind == "certain" else 1500.0).items():
            rows[name] = np.array([value])
        reply = bench.call(take(rows, 0), "float32" if walk.kind == "certain" else "float64", grad=policy)
        grads = reply.get("grads", {})
        bad = [n for n in policy if grads.get(n) is not None and not np.isfinite(np.asarray(grads[n])).all()]
        if bad and np.isfinite(np.asarray(reply["value"], dtype=np.float64)).all():
            certain = walk.kind == "certain"
            return [
                Finding(
                    "log-odds-unstable" if certain else "gradient-nan",
                    "the value is right and its derivative is NaN"
                    + (" where a probability is near 1" if certain else " at a large margin"),
                    hint="Does where() evaluate the branch that is not taken? What is the derivative of that one?",
                    answer="Make the argument of the branch not taken harmless before exp or log, or use the library's log-sigmoid.",
                    example=Example(
                        bench.inputs(take(rows, 0)), "a finite derivative", "nan", f"derivative by {bad[0]}:"
                    ),
                )
            ]
    return []
