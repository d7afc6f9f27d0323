"""`penchant check` on right and wrong losses, on code that misbehaves, and from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from whiteboard.blind import BLIND
from whiteboard.blind_right import BLIND_RIGHT
from whiteboard.correct import CORRECT, CORRECT_HELD_OUT
from whiteboard.held_out import HELD_OUT
from whiteboard.latest import RIGHT as LATEST_RIGHT
from whiteboard.latest import WRONG as LATEST
from whiteboard.templates import NUMPY, TEMPLATES
from whiteboard.variants import graded, is_right, pairs, singles
from whiteboard.written import written as from_steps

from penchant.errors import InputError
from penchant.objectives import METHODS
from penchant.testing import assert_matches
from penchant.whiteboard import check
from penchant.whiteboard.anatomy import ANATOMIES
from penchant.whiteboard.faults import FAULTS
from penchant.whiteboard.inputs import role_of, sample_rows
from penchant.whiteboard.sandbox import Sandbox
from penchant.whiteboard.subjects import CatalogueFormula, checkable, get_subject

RIGHT = "def dpo_loss(pc, pr, rc, rr, beta=0.1):\n    return np.logaddexp(0, -beta * ((pc - rc) - (pr - rr))).mean()\n"


@pytest.mark.parametrize("name", [name for name in ANATOMIES if name in METHODS])
def test_the_steps_of_a_method_are_the_catalogues_loss(name: str) -> None:
    subject = get_subject(name)
    assert subject.method is not None
    rows = sample_rows(20)
    expected = CatalogueFormula(subject.method).loss(rows)
    np.testing.assert_allclose(subject.formula.loss(rows), expected, rtol=1e-9)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_bends_a_step_and_changes_the_loss(name: str) -> None:
    subject = get_subject(name)
    rows = sample_rows(20)
    rows["m"][:2], rows["n"][:2] = (1, 1200), (1300, 1)
    rows["z_raw"] = -rows["z_raw"]
    reference = subject.formula.loss(rows)
    for fault in subject.faults:
        assert set(fault.changes) <= {step.name for step in ANATOMIES[name].steps}, fault
        assert not np.allclose(subject.formula.loss(rows, fault.changes), reference), fault
        assert fault.sentence and fault.hint and fault.answer


def test_all_methods_on_numbers_per_pair_or_answer_can_be_checked() -> None:
    assert {"dpo", "ipo", "kto", "simpo", "orpo", "log_sigmoid"} <= set(checkable())


@pytest.mark.parametrize("number", range(len(CORRECT)))
def test_no_wrong_alarm(number: int, tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    verdict = graded(*CORRECT[number], tmp_path, sandboxes)
    assert verdict.kind == "right", verdict.as_text(True)


OWN_NAMES = {"npo", "r_dpo", "modpo", "ln_dpo", "cpo", "dpo_shift"}
"""Methods with a constant or an input of their own, and one that may be written on four log-probs."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in OWN_NAMES else [pytest.mark.slow])
        for name in checkable()
        if name
        not in ("log_sigmoid", "focal_dpo", "discopop")  # as written, the steps of these two under- and overflow
    ],
)
def test_a_method_written_from_its_steps_is_right(name: str, tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    verdict = graded(name, from_steps(name), tmp_path, sandboxes)
    assert verdict.kind == "right", verdict.as_text(True)


@pytest.mark.slow
@pytest.mark.parametrize("variant", LATEST + BLIND, ids=lambda variant: variant.name)
def test_mistakes_of_others_are_named(variant, tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    verdict = graded(variant.method, variant.source, tmp_path, sandboxes)
    assert is_right(verdict, variant.expected), verdict.as_text(True)


@pytest.mark.parametrize("variant", singles(TEMPLATES)[::4], ids=lambda variant: variant.name)
def test_one_mistake_is_named(variant, tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    verdict = graded(variant.method, variant.source, tmp_path, sandboxes)
    assert is_right(verdict, variant.expected), verdict.as_text(True)


@pytest.mark.slow
def test_of_all_variants_95_in_100_are_diagnosed_rightly(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    variants = singles(TEMPLATES) + pairs(TEMPLATES, 160)
    assert len(variants) >= 300
    right = [is_right(graded(v.method, v.source, tmp_path, sandboxes), v.expected) for v in variants]
    assert np.mean(right) >= 0.95


@pytest.mark.slow
def test_held_out_sources_are_not_called_wrong_when_right(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    for method, source in (
        CORRECT_HELD_OUT + [(t.method, t.source) for t in HELD_OUT] + list(LATEST_RIGHT + BLIND_RIGHT)
    ):
        assert graded(method, source, tmp_path, sandboxes).kind == "right", source


def written(folder: Path, source: str, name: str = "code.py") -> Path:
    path = folder / name
    path.write_text(source)
    return path


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    while True:\n        pass\n", "did not come back"),
        ("    while True:\n        print('x' * 10000, flush=True)\n", "printed more than|too large"),
        ("    import os\n    os._exit(3)\n", "exit code 3"),
        ("    return np.ones(10**11).mean()\n", "MemoryError"),
        ("    import socket\n    socket.create_connection(('127.0.0.1', 9))\n", "network"),
        ("    return undefined_name\n", r"line 5.*undefined_name"),
        ("    return None\n", "not a loss"),
    ],
)
def test_code_that_misbehaves_gets_a_clear_word(tmp_path: Path, body: str, words: str) -> None:
    import re

    path = written(tmp_path, NUMPY + "def dpo_loss(pc, pr, rc, rr, beta=0.1):\n" + body)
    verdict = check(path, seconds=3)
    assert verdict.kind == "failed" and verdict.exit_code == 2
    assert re.search(words, verdict.sentence), verdict.sentence


def test_what_the_code_starts_ends_with_it(tmp_path: Path) -> None:
    body = """    import subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open(r"PATH", "w").write(str(child.pid))
    time.sleep(600)
""".replace("PATH", str(tmp_path / "pid"))
    path = written(tmp_path, NUMPY + "def dpo_loss(pc, pr, rc, rr, beta=0.1):\n" + body)
    assert check(path, seconds=3).kind == "failed"
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_known_other_methods_and_constants(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    path = written(tmp_path, NUMPY + "def f(a, b, beta=0.1):\n    return (a - b - 1 / (2 * beta)) ** 2\n")
    verdict = check(path, method="dpo", sandboxes=sandboxes)
    assert verdict.kind == "other" and verdict.facts["recognised"] == "ipo"
    path = written(tmp_path, NUMPY + RIGHT.replace("np.logadd", "3 * np.logadd"))
    verdict = check(path, sandboxes=sandboxes)
    assert verdict.kind == "scaled" and verdict.facts["factor"] == 3 and verdict.exit_code == 1
    path = written(tmp_path, NUMPY + RIGHT.replace(", beta=0.1", "").replace("-beta", "-0.5"))
    verdict = check(path, sandboxes=sandboxes)
    assert verdict.kind == "right" and verdict.facts["fixed"] == {"beta": 0.5}


def test_the_example_is_where_the_function_is_wrong(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    path = written(tmp_path, NUMPY + RIGHT.replace("-beta * (", "-("))
    finding = check(path, sandboxes=sandboxes).findings[0]
    assert finding.code == "beta-missing" and finding.example is not None
    given = finding.example.inputs
    delta = given["pc"] - given["rc"] - given["pr"] + given["rr"]
    assert finding.example.got == pytest.approx(np.logaddexp(0, -delta))
    assert finding.example.expected == pytest.approx(np.logaddexp(0, -given["beta"] * delta))


def test_stated_inputs_and_what_cannot_be_told(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    source = (
        NUMPY + "def f(one, two, three, four):\n    return np.logaddexp(0, -0.1 * ((two - one) - (four - three)))\n"
    )
    path = written(tmp_path, source)
    assert check(path, method="dpo", sandboxes=sandboxes).codes == ("sign-flipped",)
    names = ["ref_chosen_logps", "policy_chosen_logps", "ref_rejected_logps", "policy_rejected_logps"]
    assert check(path, method="dpo", inputs=names, sandboxes=sandboxes).kind == "right"
    with pytest.raises(InputError, match="no input 'foo'"):
        check(path, method="dpo", inputs=["foo"], sandboxes=sandboxes)
    with pytest.raises(InputError, match="cannot tell what the parameters are"):
        check(written(tmp_path, NUMPY + "def dpo(a1, a2, a3):\n    return a1\n"), sandboxes=sandboxes)
    with pytest.raises(InputError, match="several functions"):
        check(written(tmp_path, "def f():\n    pass\n\n\ndef g():\n    pass\n"))
    with pytest.raises(InputError, match="not Python"):
        check(written(tmp_path, "def f(:\n"))
    with pytest.raises(InputError, match="cannot read"):
        check(tmp_path / "absent.py")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("policyChosenLogps", "pw"),
        ("ref_rejected", "rl"),
        ("avg_chosen", "cw"),
        ("len_l", "n"),
        ("log_ratio_w", "a"),
        ("tau", "beta"),
    ],
)
def test_names_are_read(name: str, role: str) -> None:
    assert role_of(name, paired=True) == role


def test_assert_matches_says_what_is_wrong() -> None:
    def mine(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
        return np.logaddexp(0, -beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))

    def flipped(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
        return np.logaddexp(0, beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))

    assert_matches("dpo", mine)
    with pytest.raises(AssertionError, match="wrong sign"):
        assert_matches("dpo", flipped)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "penchant", *arguments], capture_output=True, text=True, check=False)


def test_the_command_line(tmp_path: Path) -> None:
    right = written(tmp_path, NUMPY + RIGHT)
    done = run("check", f"{right}:dpo_loss")
    assert done.returncode == 0 and done.stdout.startswith("code.py:dpo_loss is dpo.")
    wrong = written(tmp_path, NUMPY + RIGHT.replace("-beta", "beta"), "wrong.py")
    done = run("check", str(wrong))
    assert done.returncode == 1 and "hint:" in done.stdout and "answer:" not in done.stdout
    done = run("check", str(wrong), "--json")
    assert json.loads(done.stdout)["findings"][0]["code"] == "sign-flipped"
    done = run("check", str(tmp_path / "absent.py"))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
