"""Exercises on whole arrays: log-probs from logits, and one step of DPO. Each known mistake has its own expected result."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.whiteboard.bench import Runner
from penchant.whiteboard.binding import Parameter
from penchant.whiteboard.grade import failed
from penchant.whiteboard.verdict import Example, Finding, Verdict

Results = tuple[tuple[Finding | None, np.ndarray], ...]


@dataclass(frozen=True)
class Task:
    """Inputs by parameter with their kinds, and what comes out: the right result first, then that of each mistake."""

    name: str
    values: Mapping[str, Any]
    kinds: Mapping[str, str]
    results: Results


def grade_task(runner: Runner, task: Task, parameters: list[Parameter], name: str) -> Verdict:
    """Grade a function whose parameters stand in the task's order."""
    names = [parameter.name for parameter in parameters][: len(task.values)]
    values = dict(zip(names, task.values.values(), strict=False))
    kinds = dict(zip(names, task.kinds.values(), strict=False))
    reply = runner.call(values, kinds, "float64", [], ())
    if "error" in reply:
        return failed(task.name, name, reply["error"], runner.library)
    got = np.asarray(reply["value"], dtype=np.float64)
    for finding, expected in task.results:
        if got.shape == expected.shape and np.allclose(got, expected, rtol=1e-4, atol=1e-6):
            if finding is None:
                return Verdict(task.name, "right", f"{name} is {task.name}.", library=runner.library)
            return Verdict(
                task.name,
                "wrong",
                f"{name} is not {task.name} as it should be: {finding.sentence}.",
                (finding,),
                runner.library,
            )
    right = task.results[0][1]
    what = "shape" if got.shape != right.shape else "result"
    example = Example(
        {},
        list(right.shape) if what == "shape" else right.tolist(),
        list(got.shape) if what == "shape" else got.tolist(),
        what,
    )
    unknown = Finding("unknown", f"its {what} is not the expected one", example=example)
    return Verdict(task.name, "wrong", f"{name} is not {task.name}: {unknown.sentence}.", (unknown,), runner.library)


def _faults(line: str, *faults: tuple[str, str, str, str]) -> dict[str, Finding]:
    """Findings by code, from code, sentence, hint and answer; all about one line."""
    return {code: Finding(code, sentence, True, line, hint, answer) for code, sentence, hint, answer in faults}


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def _gather(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return np.asarray(np.take_along_axis(table, ids[..., None], -1)[..., 0])


def sequence_logps_task() -> Task:
    """Summed log-prob of each answer from logits ``(rows, time, vocabulary)``, ids and mask ``(rows, time)``."""
    rng = np.random.default_rng(5)
    logits, ids = rng.normal(0, 2, (2, 6, 5)), rng.integers(0, 5, (2, 6))
    mask = np.array([[0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 1, 1]])
    values = {"logits": logits.tolist(), "input_ids": ids.tolist(), "mask": mask.tolist()}
    kinds = {"logits": "float", "input_ids": "int", "mask": "float"}
    return Task("sequence_logps", values, kinds, _sequence_results(logits, ids, mask))


_SEQUENCE_LINE = "log π(y|x) = Σ_t mask_t · log softmax(logits_{t-1})[id_t]"
_SHIFT = ("The logits at a place predict which token: this one or the next?", "Drop the last logits and the first id.")
_COVER = ("Which tokens belong to the answer?", "Multiply by the mask, shifted like the ids.")
_SEQUENCE_FAULTS = _faults(
    _SEQUENCE_LINE,
    ("shift-missing", "the shift is missing: each token is scored by the logits that already saw it", *_SHIFT),
    ("shift-reversed", "the shift is the wrong way round", *_SHIFT),
    ("mask-unshifted", "the mask is not shifted along with the ids", *_COVER),
    ("mask-missing", "the mask is not used: prompt and padding count", *_COVER),
    (
        "mean-for-sum",
        "the log-probs are averaged over tokens where they are summed",
        "Is a longer answer less likely?",
        "Sum them.",
    ),
    (
        "log-missing",
        "probabilities are summed where log-probs belong",
        "What is the log of a product?",
        "Use log_softmax.",
    ),
    (
        "softmax-missing",
        "raw logits are summed: the log-softmax is missing",
        "Do the exps of the log-probs at one place sum to 1?",
        "Use log_softmax over the vocabulary.",
    ),
    (
        "minus-extra",
        "the sign is wrong: this is the negative log-likelihood",
        "Can a log-prob be positive?",
        "Drop the minus.",
    ),
    (
        "sum-over-rows",
        "the rows are summed: one number per answer is wanted",
        "How many answers are there?",
        "Sum over time only.",
    ),
)


def _sequence_results(logits: np.ndarray, ids: np.ndarray, mask: np.ndarray) -> Results:
    table = _log_softmax(logits)
    token, kept = _gather(table[:, :-1], ids[:, 1:]), mask[:, 1:]
    right = (token * kept).sum(-1)
    wrong = {
        "shift-missing": (_gather(table, ids) * mask).sum(-1),
        "shift-reversed": (_gather(table[:, 1:], ids[:, :-1]) * mask[:, :-1]).sum(-1),
        "mask-unshifted": (token * mask[:, :-1]).sum(-1),
        "mask-missing": token.sum(-1),
        "mean-for-sum": right / kept.sum(-1),
        "log-missing": (np.exp(token) * kept).sum(-1),
        "softmax-missing": (_gather(logits[:, :-1], ids[:, 1:]) * kept).sum(-1),
        "minus-extra": -right,
        "sum-over-rows": np.asarray(right.sum()),
    }
    return ((None, right), *((_SEQUENCE_FAULTS[code], result) for code, result in wrong.items()))


def dpo_step_task() -> Task:
    """One step of gradient descent on a bigram model: its logits after token i are row i of the weights."""
    rng = np.random.default_rng(11)
    weights = rng.normal(0, 1, (4, 4))
    reference = weights + rng.normal(0, 0.5, (4, 4))
    chosen, rejected = rng.integers(0, 4, (3, 5)), rng.integers(0, 4, (3, 5))
    values = {
        "weights": weights.tolist(),
        "ref_weights": reference.tolist(),
        "chosen": chosen.tolist(),
        "rejected": rejected.tolist(),
    }
    kinds = {
        "weights": "float",
        "ref_weights": "float",
        "chosen": "int",
        "rejected": "int",
        "learning_rate": "constant",
        "beta": "constant",
    }
    constants = {"learning_rate": 0.7, "beta": 0.3}
    return Task("dpo_step", values | constants, kinds, _step_results(weights, reference, chosen, rejected, 0.7, 0.3))


def _bigram(weights: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Summed log-prob of each row, and its derivative by the weights: shapes ``(rows,)`` and ``(rows, V, V)``."""
    table = _log_softmax(weights)
    gradient = np.zeros((len(ids), *weights.shape))
    for row, tokens in enumerate(ids):
        for now, following in itertools.pairwise(tokens):
            gradient[row, now] -= np.exp(table[now])
            gradient[row, now, following] += 1
    return table[ids[:, :-1], ids[:, 1:]].sum(-1), gradient


_STEP_FAULTS = _faults(
    "w ← w - η · ∂/∂w mean(-log σ(β(a - b)))",
    ("ascent", "the step goes uphill", "Does the loss fall?", "Subtract the learning rate times the gradient."),
    ("no-step", "the weights do not change", "Where is the gradient used?", "Return the new weights."),
    (
        "reference-missing",
        "the reference is left out of the loss",
        "What is the loss where policy and reference agree?",
        "Subtract the reference's log-probs.",
    ),
    ("sign-flipped", "chosen and rejected are swapped", "Which answer becomes likelier?", "Swap them back."),
    (
        "sum-for-mean",
        "the pairs are summed where they are averaged",
        "Does the step grow with the batch?",
        "Take the mean.",
    ),
    ("beta-missing", "beta is missing", "Where does beta stand?", "z = β(a - b)."),
    (
        "learning-rate-missing",
        "the learning rate is not used",
        "How long is the step?",
        "Multiply the gradient by it.",
    ),
    (
        "reference-moved",
        "the reference is changed and not the policy",
        "Which of the two models learns?",
        "Return the policy's new weights.",
    ),
)


def _step_results(
    weights: np.ndarray, reference: np.ndarray, chosen: np.ndarray, rejected: np.ndarray, rate: float, beta: float
) -> Results:
    (pw, dw), (pl, dl) = _bigram(weights, chosen), _bigram(weights, rejected)
    rw, rl = _bigram(reference, chosen)[0], _bigram(reference, rejected)[0]

    def moved(z: np.ndarray, factor: float = 1.0) -> np.ndarray:
        slope = -factor / (1 + np.exp(z)) / len(z)
        return np.asarray(weights - rate * np.einsum("b,bij->ij", slope, dw - dl))

    delta = (pw - rw) - (pl - rl)
    right = moved(beta * delta, beta)
    wrong = {
        "ascent": 2 * weights - right,
        "no-step": weights,
        "reference-missing": moved(beta * (pw - pl), beta),
        "sign-flipped": moved(-beta * delta, -beta),
        "sum-for-mean": weights + len(pw) * (right - weights),
        "beta-missing": moved(delta),
        "learning-rate-missing": weights + (right - weights) / rate,
        "reference-moved": reference + right - weights,
    }
    return ((None, right), *((_STEP_FAULTS[code], result) for code, result in wrong.items()))


TASKS = {"sequence_logps": sequence_logps_task, "dpo_step": dpo_step_task}
