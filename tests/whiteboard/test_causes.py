"""One cause is named once, two are named both, and a function need not say which method it should be."""

from __future__ import annotations

from pathlib import Path

import pytest
from whiteboard.fresh import FRESH
from whiteboard.templates import JAX, NUMPY, TORCH
from whiteboard.variants import graded, is_right, singles

from penchant.errors import InputError
from penchant.whiteboard import check
from penchant.whiteboard.sandbox import Sandbox

PAIR = "def loss(pw, pl, rw, rl, beta=0.1):\n"


@pytest.mark.parametrize(
    ("source", "method", "kind"),
    [
        (NUMPY + PAIR + "    return np.logaddexp(0, -beta * (pw - rw - pl + rl)).mean()\n", "dpo", "right"),
        (NUMPY + PAIR + "    return np.logaddexp(0, -beta * (pw - pl - rw - rl)).mean()\n", "dpo", "wrong"),
        (NUMPY + PAIR + "    return ((pw - rw - pl + rl - 1 / beta) ** 2).mean()\n", "ipo", "wrong"),
        (
            TORCH + "def loss(chosen, rejected, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):\n"
            "    margin = chosen / chosen_lengths - rejected / rejected_lengths\n"
            "    return -F.logsigmoid(beta * margin + gamma).mean()\n",
            "simpo",
            "wrong",
        ),
        (
            TORCH + "def loss(log_ratio, is_desirable, z_ref, beta=0.1):\n"
            "    u = beta * (log_ratio - z_ref)\n    return torch.sigmoid(-u).mean()\n",
            "kto",
            "wrong",
        ),
    ],
)
def test_a_function_called_loss_is_held_against_the_nearest_method(
    tmp_path: Path, sandboxes: dict[str, Sandbox], source: str, method: str, kind: str
) -> None:
    (tmp_path / "mine.py").write_text(source)
    verdict = check(tmp_path / "mine.py", sandboxes=sandboxes)
    assert (verdict.method, verdict.kind) == (method, kind)
    assert "unknown" not in verdict.codes
    assert ("is the nearest method" in verdict.sentence) is (kind != "right")


def test_what_resembles_no_method_is_refused(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    (tmp_path / "mine.py").write_text(NUMPY + "def loss(a, b, c):\n    return a * b * c\n")
    with pytest.raises(InputError, match="cannot tell which method"):
        check(tmp_path / "mine.py", sandboxes=sandboxes)


def test_a_swap_that_moves_the_detach_along_is_one_mistake(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    source = JAX + (
        "def reward(policy, reference, beta):\n    return beta * (policy - jax.lax.stop_gradient(reference))\n\n\n"
        "def dpo(pw, pl, rw, rl, beta=0.1):\n"
        "    return jax.nn.softplus(reward(rl, pl, beta) - reward(pw, rw, beta)).mean()\n"
    )
    verdict = graded("dpo", source, tmp_path, sandboxes)
    assert [finding.code for finding in verdict.findings if finding.wrong] == ["log-probs-mixed-up"]
    assert "swapped in the log-ratio of the rejected answer" in verdict.sentence


def test_rows_that_mix_and_a_sum_are_two_mistakes(tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    body = "    return np.logaddexp(0, -beta * (pw - rw - (pl - rl)[:, None])).{}()\n"
    for reduction, expected in (("mean", {"broadcast"}), ("sum", {"broadcast", "sum-for-mean"})):
        verdict = graded("dpo", NUMPY + PAIR + body.format(reduction), tmp_path, sandboxes)
        assert {finding.code for finding in verdict.findings if finding.wrong} == expected


def test_a_wrong_sign_is_seen_on_top_of_a_mistake_in_the_last_step(
    tmp_path: Path, sandboxes: dict[str, Sandbox]
) -> None:
    source = NUMPY + PAIR + "    return -np.abs(pw - rw - pl + rl - 1 / (2 * beta)).mean()\n"
    verdict = graded("ipo", source, tmp_path, sandboxes)
    assert {finding.code for finding in verdict.findings} == {"square-missing", "minus-missing"}


@pytest.mark.slow
@pytest.mark.parametrize("variant", singles(FRESH), ids=lambda variant: variant.name)
def test_the_second_held_out_set(variant, tmp_path: Path, sandboxes: dict[str, Sandbox]) -> None:
    assert is_right(graded(variant.method, variant.source, tmp_path, sandboxes), variant.expected)
