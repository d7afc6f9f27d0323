"""What happens to several rows at once: the reduction, rows that mix, inputs that change, labels written as integers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from penchant.whiteboard.bench import Bench
from penchant.whiteboard.inputs import Rows, take
from penchant.whiteboard.matching import Match
from penchant.whiteboard.verdict import Example, Finding

_ROWS = 5
_CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}


def batch_findings(bench: Bench, match: Match | None, singles_finite: bool = True) -> list[Finding]:
    """Findings from a batch of rows."""
    if not bench.batched:
        return []
    rows = bench.rows(_ROWS, constant=True)
    reply = bench.call(rows)
    if "error" in reply:
        return [Finding("batch-fails", f"a batch of rows fails: {reply['error']['message']}")]
    findings = list(_changed(bench, reply))
    if singles_finite:
        per_row, _ = bench.losses(rows)
    elif match is not None:
        per_row = match.predict(rows)
    else:
        return findings
    findings += _reduction(bench, match, rows, np.asarray(reply["value"], dtype=np.float64), per_row)
    if bench.binding.has("y") and bench.labels == "bool":
        findings += _integer_labels(bench, rows, reply["value"])
    return findings


def _changed(bench: Bench, reply: dict[str, object]) -> Iterator[Finding]:
    changed = reply["changed"]
    if isinstance(changed, list) and changed:
        names = ", ".join(changed)
        yield Finding(
            "inputs-modified",
            f"it changes its inputs: {names} is not the same after the call",
            hint="Which line writes into an array that the caller still holds?",
            answer="Write x = x - y and not x -= y; clone before you write in place.",
        )


def _reduction(bench: Bench, match: Match | None, rows: Rows, got: np.ndarray, singles: np.ndarray) -> list[Finding]:
    """Hold the batch's result against the rows' own losses."""
    if not np.isfinite(singles).all():
        return []
    tolerance: dict[str, Any] = {"rtol": 3e-2, "atol": 2e-2} if match is not None and match.tolerance > 1e-2 else _CLOSE
    if got.size == len(singles) and np.allclose(got.reshape(-1), singles, **tolerance):
        return []
    if got.size == 1 and np.allclose(got, singles.mean(), **tolerance):
        return []
    shown = got.reshape(-1).tolist() if got.size > 1 else float(got.flat[0])
    example = Example(
        {"rows": len(singles), "losses of the rows": singles.tolist()}, float(singles.mean()), shown, "batch"
    )
    named = _named_reduction(bench, match, rows, got, singles, example)
    return [named, *_summed_besides(bench, rows)] if named.code == "broadcast" and got.size == 1 else [named]


def _summed_besides(bench: Bench, rows: Rows) -> list[Finding]:
    """Of equal rows the mean is that of one even where rows mix; a sum is not."""
    row = take(rows, [0] * _ROWS)
    one, _ = bench.losses(take(row, [0]))
    reply = bench.call(row)
    value = np.asarray(reply.get("value", np.nan), dtype=np.float64)
    if value.size != 1 or not any(np.isclose(float(value.flat[0]), one[0] * k, rtol=1e-5) for k in (_ROWS, _ROWS**2)):
        return []
    return [_summed(None)]


def _named_reduction(
    bench: Bench, match: Match | None, rows: Rows, got: np.ndarray, singles: np.ndarray, example: Example
) -> Finding:
    broadcast = Finding(
        "broadcast",
        "rows mix: (rows,) meets (rows, 1) somewhere, which makes (rows, rows)",
        True,
        "one loss per row",
        "Print the shape of every array on the way. Which is two-dimensional?",
        "Bring all inputs to shape (rows,) first; drop keepdim and unsqueeze.",
        example,
    )
    if got.size == len(singles) ** 2:
        return broadcast
    if got.size > 1:
        return Finding("rows-mix", "a row's loss depends on the other rows", example=example)
    value = float(got.flat[0])
    if np.isclose(value, singles.sum(), rtol=1e-5):
        return _summed(example)
    if bench.binding.has("y"):
        desirable = np.asarray(rows["y"], dtype=bool)
        parts = [part.mean() for part in (singles[desirable], singles[~desirable])]
        for total, words in ((sum(parts), "added"), (sum(parts) / 2, "averaged")):
            if np.isclose(value, total, rtol=1e-5):
                sentence = f"the means of desirable and undesirable answers are {words}: an answer counts by how rare its label is"
                return Finding(
                    "two-means",
                    sentence,
                    True,
                    "L = mean over all answers",
                    "Give 9 desirable answers and 1 undesirable one.",
                    "Average over all answers at once.",
                    example,
                )
    if match is not None and any(np.isclose(value, mixed, rtol=1e-5) for mixed in _crossed(match, rows)):
        return broadcast
    return Finding(
        "reduction-wrong", "the batch's loss is neither the mean nor the sum of the rows' losses", example=example
    )


def _summed(example: Example | None) -> Finding:
    return Finding(
        "sum-for-mean",
        "the batch is summed where it is averaged",
        True,
        "L = mean over the rows",
        "Does the loss grow when the batch is given twice?",
        "Take the mean.",
        example,
    )


def _crossed(match: Match, rows: Rows) -> Iterator[float]:
    """Mean and sum of the losses when some symbols are taken from row i and the others from row j."""
    count = len(rows["pw"])
    i, j = (index.reshape(-1) for index in np.meshgrid(np.arange(count), np.arange(count), indexing="ij"))
    names = ("pw", "pl", "rw", "rl", "m", "n") if match.subject.paired else ("p", "r", "y", "z0")
    one, other = take(rows, i.tolist()), take(rows, j.tolist())
    for size in range(1, len(names)):
        for moved in itertools.combinations(names, size):
            losses = match.predict(one | {name: other[name] for name in moved})
            yield float(losses.mean())
            yield float(losses.sum())


def _integer_labels(bench: Bench, rows: Rows, booleans: object) -> list[Finding]:
    reply = bench.call(rows, labels="int")
    if "error" in reply:
        return []
    got, expected = np.asarray(reply["value"]), np.asarray(booleans)
    if got.shape == expected.shape and np.allclose(got, expected, equal_nan=True, **_CLOSE):
        return []
    labels = np.where(rows["y"], 1, 0).tolist()
    return [
        Finding(
            "integer-labels",
            "labels written as 1 and 0 give another loss than True and False: ~ turns 0 into -1, and an index is no mask",
            True,
            "u = +β(r - z_ref) if desirable, else -β(r - z_ref)",
            "What is ~1, and what does x[1] select?",
            "Make the labels boolean first: is_desirable = is_desirable.bool() or .astype(bool).",
            Example({"labels": labels}, expected.tolist(), got.tolist()),
        )
    ]


def empty_answer_note(bench: Bench, match: Match) -> list[Finding]:
    """Whether an answer without tokens gets a loss."""
    if not (bench.binding.has("m") and any(fault.code == "lengths-swapped" for fault in match.subject.faults)):
        return []
    rows = bench.rows(1, pw=0.0, m=0.0)
    reply = bench.call(take(rows, 0))
    if "error" in reply or not np.isfinite(np.asarray(reply["value"], dtype=np.float64)).all():
        return []
    return [
        Finding(
            "lengths-clamped",
            "an answer of 0 tokens gets a finite loss: its length is clamped, and the empty answer scores 0, the best there is",
            wrong=False,
            answer="Drop such pairs, or fail on them.",
        )
    ]


def half_precision_note(bench: Bench, match: Match) -> list[Finding]:
    """Whether bfloat16 inputs are worked on in bfloat16."""
    if bench.runner.library not in ("torch", "jax") or not bench.batched:
        return []
    rows = bench.rows(6, constant=True)
    for name in ("pw", "pl", "rw", "rl", "p", "r", "x"):
        rows[name] = np.round(rows[name] * 4) / 4  # exact in bfloat16
    exact, coarse = bench.call(rows), bench.call(rows, "bfloat16")
    if "error" in exact:
        return []
    if "error" in coarse:
        return [
            Finding(
                "bfloat16",
                f"bfloat16 inputs fail: {coarse['error']['message']}",
                wrong=False,
                answer="Convert to float32 first.",
            )
        ]
    expected, got = np.asarray(exact["value"]), np.asarray(coarse["value"])
    if expected.shape == got.shape and np.allclose(expected, got, rtol=2e-3, atol=1e-4):
        return []
    worst = float(np.max(np.abs(expected - got))) if expected.shape == got.shape else float("nan")
    return [
        Finding(
            "bfloat16",
            f"bfloat16 inputs are worked on in bfloat16: off by up to {worst:.2g} here",
            wrong=False,
            answer="Convert log-probs to float32 before the first subtraction.",
        )
    ]
