"""Right losses as people write them: constants under their usual names, a baseline left out, means per token."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from whiteboard.templates import NUMPY, TORCH
from whiteboard.variants import graded

from penchant.errors import InputError
from penchant.testing import assert_matches
from penchant.whiteboard import check
from penchant.whiteboard.sandbox import Sandbox

FOUR = "policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps"
RATIOS = "    a, b = policy_chosen_logps - ref_chosen_logps, policy_rejected_logps - ref_rejected_logps\n    return "
ORPO = (
    "def loss(chosen_avg_logps, rejected_avg_logps, {0}=0.1):\n    log_odds = lambda p: p - np.log(-np.expm1(p))\n"
    "    z = log_odds(chosen_avg_logps) - log_odds(rejected_avg_logps)\n"
    "    return (-chosen_avg_logps + {0} * np.logaddexp(0, -z)).mean()\n"
)


def on_four(constants: str, body: str) -> str:
    return f"{NUMPY}def loss({FOUR}, {constants}):\n{RATIOS}({body}).mean()\n"


EXO = "np.exp(-np.logaddexp(0, -z)) * (-np.logaddexp(0, -z) - np.log(1 - e)) + np.exp(-np.logaddexp(0, z)) * (-np.logaddexp(0, z) - np.log(e))"
USUAL = [
    ("orpo", NUMPY + ORPO.format("beta")),
    ("orpo", NUMPY + ORPO.format("alpha")),
    ("hinge", on_four("gamma=0.05", "np.maximum(0, 1 - gamma * (a - b))")),
    ("rso", on_four("gamma=0.05", "np.maximum(0, 1 - gamma * (a - b))")),
    ("exo", on_four("beta=0.1, label_smoothing=1e-3", EXO.replace("z", "(beta * (a - b))").replace("e)", "label_smoothing)"))),
    ("bco", on_four("beta=0.1, delta=0.0", "np.logaddexp(0, delta - beta * a) + np.logaddexp(0, beta * b - delta)")),
    ("bco", on_four("beta=0.1, log_ratio_baseline=0.0", "np.logaddexp(0, -beta * (a - log_ratio_baseline)) + np.logaddexp(0, beta * (b - log_ratio_baseline))")),
    ("bco", on_four("beta=0.1", "np.logaddexp(0, -beta * a) + np.logaddexp(0, beta * b)")),
    ("r_dpo", NUMPY + f"def loss({FOUR}, chosen_len, rejected_len, beta=0.1, lam=0.05):\n{RATIOS}np.logaddexp(0, -beta * (a - b) - lam * (chosen_len - rejected_len)).mean()\n"),
    ("ipo", on_four("beta=0.1, label_smoothing=0.0", "((a - b) - 1 / (2 * beta)) ** 2 * (1 - label_smoothing) + label_smoothing * ((b - a) - 1 / (2 * beta)) ** 2")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "source"), USUAL)
def test_usual_names_of_constants_are_known(
    method: str, source: str, tmp_path: Path, sandboxes: dict[str, Sandbox]
) -> None:
    verdict = graded(method, source, tmp_path, sandboxes)
    assert verdict.kind == "right", verdict.as_text(True)


def test_a_constant_that_the_method_does_not_have_is_named(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    source = on_four("beta=0.05, margin=2.0", "np.maximum(0, margin - beta * (a - b)) ** 3")
    verdict = graded("rso", source, tmp_path, sandboxes)
    assert "margin: no constant of rso, which has beta" in verdict.sentence


def test_bco_with_no_baseline_is_recognised_under_another_name(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    source = on_four("beta=0.1", "np.logaddexp(0, -beta * a) + np.logaddexp(0, beta * b)")
    verdict = graded("dpo", source, tmp_path, sandboxes)
    assert verdict.kind == "other" and verdict.sentence.endswith("it is bco, with a baseline of 0.")


PLAIN = (
    "def dpo_loss(pw, pl, rw, rl, beta=0.1):\n    z = beta * ((pw - rw) - (pl - rl))\n"
    "    return math.log1p(math.exp(-z)) if z > 0 else -z + math.log1p(math.exp(z))\n"
)


def test_plain_python_is_judged_as_such_beside_an_array_library(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    for head, notes in (("import math\n\n\n", ()), ("import math\n\nimport torch\n\n\n", ("plain-numbers",))):
        verdict = graded("dpo", head + PLAIN, tmp_path, sandboxes)
        assert (verdict.kind, verdict.notes) == ("right", notes), verdict.as_text(True)


def test_a_function_of_tensors_that_mentions_math_stays_with_them(
    tmp_path: Path, sandboxes: dict[str, Sandbox]
) -> None:
    body = "    z = beta * ((pw - rw) - (pl - rl))\n    return -ls(z - math.log(1.0)).mean()\n"
    source = "import math\n" + TORCH + "ls = F.logsigmoid\n\n\ndef dpo_loss(pw, pl, rw, rl, beta=0.1):\n" + body
    verdict = graded("dpo", source, tmp_path, sandboxes)
    assert (verdict.kind, verdict.library) == ("right", "torch")


def test_assert_matches_takes_plain_python_beside_an_array_library() -> None:
    scope: dict[str, object] = {}
    exec("import math\nimport torch\n" + PLAIN, scope)
    assert_matches("dpo", scope["dpo_loss"])  # type: ignore[arg-type]


def test_ipo_per_token_is_a_known_other_form(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    ratios = "(policy_chosen_logps - ref_chosen_logps) / chosen_len - (policy_rejected_logps - ref_rejected_logps) / rejected_len"
    source = (
        f"{NUMPY}def loss({FOUR}, chosen_len, rejected_len, beta=0.1):\n    return ({ratios} - 1 / (2 * beta)) ** 2\n"
    )
    verdict = graded("ipo", source, tmp_path, sandboxes)
    assert (verdict.kind, verdict.codes) == ("other", ("ipo-per-token",))


@pytest.mark.parametrize("method", ["simpo", "orpo"])
def test_log_probs_without_lengths_may_be_means(method: str, tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    simpo = "def loss(chosen_avg_logps, rejected_avg_logps, beta=2.0, gamma=0.5):\n    return np.logaddexp(0, gamma - beta * (chosen_avg_logps - rejected_avg_logps)).mean()\n"
    source = NUMPY + (simpo if method == "simpo" else ORPO.format("beta")).replace("avg_", "")
    verdict = graded(method, source, tmp_path, sandboxes)
    inputs = re.search(r"--inputs ([\w,]+)\)", verdict.sentence)
    assert verdict.codes == ("length-normalisation-missing",) and inputs, verdict.sentence
    again = check(tmp_path / "code.py", method=method, inputs=inputs[1].split(","), sandboxes=sandboxes)
    assert again.kind == "right", again.as_text(True)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("policy_logps, ref_logps", "a matrix of \\(rows, 2\\) and a concatenated batch are not taken"),
        ("logps, ref_logps", "a matrix of \\(rows, 2\\) and a concatenated batch are not taken"),
        ("policy_logits_w, policy_logits_l, ref_logits_w, ref_logits_l, labels_w, labels_l", "logits are not taken"),
    ],
)
def test_inputs_that_are_not_one_number_per_answer_are_refused_as_such(
    parameters: str, words: str, tmp_path: Path, sandboxes: dict[str, Sandbox]
) -> None:
    with pytest.raises(InputError, match=words):
        graded("dpo", f"{NUMPY}def dpo({parameters}, beta=0.1):\n    return np.zeros(3)\n", tmp_path, sandboxes)


def test_an_unknown_loss_says_how_its_parameters_were_read(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    verdict = graded("dpo", NUMPY + "def dpo(one, two, beta=0.1):\n    return one[..., 1] - two\n", tmp_path, sandboxes)
    hint = verdict.findings[0].hint or ""
    assert "one is log_ratio_w, two is log_ratio_l" in hint and "no concatenated batch" in hint


def test_another_method_with_a_constant_of_its_own_is_recognised(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    bent = "-np.expm1(-alpha * {0}) / alpha"
    source = on_four("beta=0.1, alpha=0.5", f"np.logaddexp(0, -beta * ({bent.format('a')} - {bent.format('b')}))")
    verdict = graded("dpo", source.replace("- -", "+ "), tmp_path, sandboxes)
    assert verdict.kind == "other" and verdict.facts["recognised"] == "f_dpo", verdict.as_text(True)


def test_a_methods_own_constants_can_be_stated(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    body = "np.logaddexp(0, -k * ((one - three) - (two - four)) - s * (five - six)).mean()"
    (tmp_path / "code.py").write_text(f"{NUMPY}def f(one, two, three, four, five, six, k, s):\n    return {body}\n")
    inputs = [*FOUR.split(", "), "chosen_lengths", "rejected_lengths", "beta", "alpha"]
    verdict = check(tmp_path / "code.py", method="r_dpo", inputs=inputs, sandboxes=sandboxes)
    assert verdict.kind == "right", verdict.as_text(True)
