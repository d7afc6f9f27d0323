"""Mistakes that people make and that were once called none of the known ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from whiteboard.templates import NUMPY
from whiteboard.variants import graded

from penchant.whiteboard.sandbox import Sandbox

FOUR = "def loss(pw, pl, rw, rl, beta=0.1):\n    a, b = pw - rw, pl - rl\n    return "
DPO = FOUR + "np.logaddexp(0, -beta * ({0})).mean()\n"
ORPO = (
    "def loss(w, l, m, n, lam=0.1):\n    p, q = w / m, l / n\n    P, Q = np.exp(p), np.exp(q)\n"
    "    return (-p + lam * np.logaddexp(0, -({0}))).mean()\n"
)
SIMPO = "def loss(w, l, m, n, beta=2.0, {1}=0.5):\n    p, q = w / m, l / n\n    return np.logaddexp(0, -({0})).mean()\n"
DPOP = FOUR.replace("0.1", "0.3, lam=50.0") + "np.logaddexp(0, -(beta * (a - b) - lam * np.maximum(0, -a))).mean()\n"

MISTAKES = [
    ("orpo", ORPO.format("P / (1 - P) / (Q / (1 - Q))"), "odds-unlogged"),
    ("orpo", ORPO.format("P / (1 - P) - Q / (1 - Q)"), "odds-unlogged"),
    ("orpo", ORPO.format("p - q - np.log1p(P) + np.log1p(Q)"), "complement-wrong"),
    ("orpo", ORPO.format("p - q - np.log1p(-p) + np.log1p(-q)"), "complement-wrong"),
    ("orpo", ORPO.format("p - q - (np.log1p(-P) + np.log1p(-Q))"), "complements-added"),
    ("orpo", ORPO.format("p - q - np.log1p(-P) + np.log1p(-Q)").replace("-p +", "-(1 - lam) * p +"), "sft-weighted"),
    ("simpo", SIMPO.format("beta * (p - q) - gamma_beta_ratio", "gamma_beta_ratio"), "gamma-over-beta"),
    ("simpo", SIMPO.format("p - q - gamma / beta", "gamma"), "beta-missing"),
    ("simpo", SIMPO.format("beta * p - q - gamma", "gamma"), "beta-partial"),
    ("simpo", SIMPO.format("p - beta * q - gamma", "gamma"), "beta-partial"),
    ("dpop", DPOP, "lambda-outside-beta"),
    ("dpo", DPO.format("pw / rw - pl / rl"), "log-probs-divided"),
    ("dpo", DPO.format("np.exp(a) - np.exp(b)"), "ratio-unlogged"),
    ("dpo", DPO.format("np.exp(pw) - np.exp(rw) - np.exp(pl) + np.exp(rl)"), "probabilities-for-logs"),
    ("dpo", DPO.format("np.log(pw / rw) - np.log(pl / rl)"), "logs-of-logs"),
    ("dpo", DPO.format("np.abs(a - b)"), "absolute-value"),
    ("dpo", FOUR + "(np.logaddexp(0, -beta * a) - np.logaddexp(0, -beta * b)).mean()\n", "sigmoids-apart"),
    ("dpo", FOUR + "(1 - 0.5 * (1 + np.tanh(beta * (a - b) / 2))).mean()\n", "sigmoid-for-log-sigmoid"),
]


@pytest.mark.parametrize(("method", "source", "code"), MISTAKES)
def test_a_mistake_is_named(method: str, source: str, code: str, tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    verdict = graded(method, NUMPY + source, tmp_path, sandboxes)
    assert verdict.findings[0].code == code and "Besides" not in verdict.sentence, verdict.as_text(True)


def test_an_overflow_is_not_blamed_on_a_sigmoid_alone(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    source = FOUR + "np.log1p(np.exp(-beta * (a - b))).mean()\n"
    verdict = graded("dpo", NUMPY + source, tmp_path, sandboxes)
    assert verdict.codes == ("naive-log-sigmoid",) and "e^-z overflows" in verdict.sentence
    assert "exp(800)" in (verdict.findings[0].hint or "")


def test_what_is_expected_is_the_methods_own_value(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    source = FOUR + "np.log2(1 + np.exp(-beta * (a - b))).mean()\n"
    verdict = graded("dpo", NUMPY + source, tmp_path, sandboxes)
    example = verdict.findings[0].example
    assert example is not None and example.expected == pytest.approx(709.8, abs=0.1)
    assert "by 1.4427 (1/ln 2: the logarithm is to base 2)" in verdict.sentence


def test_a_number_added_besides_is_said_in_words(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    source = FOUR + "(3 + np.logaddexp(0, -(a - b))).mean()\n"
    verdict = graded("dpo", NUMPY + source, tmp_path, sandboxes)
    assert verdict.codes == ("beta-missing",) and verdict.sentence.endswith("(Besides, 3 is added to the loss.)")


def test_another_method_with_a_fault_is_named_with_it(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    source = FOUR + "np.log1p(np.exp(-beta * (a - b))).mean()\n"
    verdict = graded("ipo", NUMPY + source, tmp_path, sandboxes)
    assert "is not ipo; it is dpo, and not as that should be: log σ(z)" in verdict.sentence
