"""A loss may be a class, a method, an object, or take its batch in one parameter."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penchant.errors import InputError
from penchant.testing import assert_matches
from penchant.whiteboard import check
from penchant.whiteboard.sandbox import Sandbox
from penchant.whiteboard.shapes import plain

FOUR = "pi_w, pi_l, ref_w, ref_l"
BODY = "np.logaddexp(0, -beta * ((pi_w - ref_w) - (pi_l - ref_l))).mean()"
OF_BATCH = "np.logaddexp(0, -beta * ((batch['pi_w'] - batch['ref_w']) - (batch['pi_l'] - batch.get('ref_l')))).mean()"
INIT = "    def __init__(self, beta):\n        self.beta = beta\n\n"
SHAPES = {
    "a lambda": f"dpo = lambda {FOUR}, beta=0.1: {BODY}",
    "a dictionary": f"def dpo(batch, beta=0.1):\n    return {OF_BATCH}",
    "two dictionaries": (
        "def dpo(policy, ref, beta=0.1):\n    pi_w, pi_l = policy['chosen'], policy['rejected']\n"
        f"    ref_w, ref_l = ref['chosen'], ref['rejected']\n    return {BODY}"
    ),
    "two tuples": (
        f"def dpo(policy, ref, beta=0.1):\n    pi_w, pi_l = policy\n    ref_w, ref_l = ref\n    return {BODY}"
    ),
    "a closure": f"def make(beta):\n    def loss({FOUR}):\n        return {BODY}\n\n    return loss\n\n\ndpo = make(0.1)",
    "an object": f"class DPO:\n{INIT}    def __call__(self, {FOUR}):\n        return {BODY.replace('beta', 'self.beta')}",
    "a method": f"class Trainer:\n    beta = 0.1\n\n    def dpo_loss(self, {FOUR}, beta=0.1):\n        return {BODY}",
    "a static method": f"class Losses:\n    @staticmethod\n    def dpo_loss({FOUR}, beta=0.1):\n        return {BODY}",
    "a trainer": (
        "class Trainer:\n    def __init__(self, model, beta=0.1):\n        self.model, self.beta = model, beta\n\n"
        f"    def dpo_loss(self, {FOUR}):\n        return {BODY.replace('beta', 'self.beta')}"
    ),
    "a partial": f"def _dpo(beta, {FOUR}):\n    return {BODY}\n\n\ndpo = functools.partial(_dpo, 0.1)",
    "a dataclass": (
        "@dataclass\nclass Batch:\n    pi_w: np.ndarray\n    pi_l: np.ndarray\n    ref_w: np.ndarray\n    ref_l: np.ndarray\n\n\n"
        f"def dpo(batch: Batch, beta=0.1):\n    {FOUR} = batch.pi_w, batch.pi_l, batch.ref_w, batch.ref_l\n    return {BODY}"
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_graded(shape: str, tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    head = "import functools\nfrom dataclasses import dataclass\n\nimport numpy as np\n\n\n"
    path = tmp_path / "code.py"
    path.write_text(head + SHAPES[shape] + "\n")
    verdict = check(path, method="dpo", sandboxes=sandboxes)
    assert verdict.kind == "right", verdict.as_text(True)
    path.write_text(head + SHAPES[shape].replace("np.logaddexp(0, -", "np.logaddexp(0, ") + "\n")
    assert check(path, method="dpo", sandboxes=sandboxes).codes == ("sign-flipped",)


@dataclass
class Batch:
    """Four log-probs per pair, and something that the loss does not use."""

    pw: Any
    pl: Any
    rw: Any
    rl: Any
    prompts: Any


def of_batch(batch: Batch, beta: float = 0.1) -> Any:
    z = beta * ((batch.pw - batch.rw) - (batch.pl - batch.rl))
    return np.logaddexp(0, -z).mean()


class Loss:
    def __init__(self, beta: float = 0.1, shift: float = 0.0):
        self.beta, self.shift = beta, shift

    def __call__(self, chosen: Any, rejected: Any, ref_chosen: Any, ref_rejected: Any) -> Any:
        return np.logaddexp(0, -self.beta * ((chosen - ref_chosen) - (rejected - ref_rejected)) + self.shift)


def test_assert_matches_takes_them_too() -> None:
    for loss in (of_batch, functools.partial(of_batch, beta=0.3), Loss, Loss(0.2), Loss().__call__):
        assert_matches("dpo", loss)
    with pytest.raises(AssertionError):
        assert_matches("dpo", Loss(shift=1.0))


def test_a_class_has_its_constructors_constants() -> None:
    loss = plain(Loss)
    assert [p.name for p in loss.parameters] == ["chosen", "rejected", "ref_chosen", "ref_rejected", "beta", "shift"]
    assert loss.call(-12.0, -30.0, -14.0, -29.0, beta=0.1) == pytest.approx(np.logaddexp(0, -0.3))


def test_a_class_that_cannot_be_called_is_named(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    path = tmp_path / "code.py"
    path.write_text("class Loss:\n    beta = 0.1\n")
    verdict = check(path, "Loss", "dpo", sandboxes=sandboxes)
    assert verdict.kind == "failed" and "neither forward nor __call__" in verdict.sentence


def test_a_call_that_tries_the_loss_is_no_loss(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    path = tmp_path / "code.py"
    path.write_text(
        f"import numpy as np\n\n\ndef dpo({FOUR}, beta=0.1):\n    return {BODY}\n\n\nx = dpo(-1.0, -2.0, -1.0, -1.0)\n"
    )
    assert check(path, sandboxes=sandboxes).sentence == "code.py:dpo is dpo."


def test_a_batch_whose_keys_say_nothing_is_refused(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    path = tmp_path / "code.py"
    path.write_text("import numpy as np\n\n\ndef dpo(batch):\n    return batch['one'] - batch['two']\n")
    with pytest.raises(InputError, match="cannot tell what the parameters are"):
        check(path, method="dpo", sandboxes=sandboxes)
