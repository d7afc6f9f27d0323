"""Each alarm with log lines that provoke it and lines that do not; and the page made of the rules."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from penchant.diagnostics import watched
from penchant.diagnostics.alarms import BY_ID, RULES, History, as_markdown
from penchant.records import AnswerLogps, PairLogps

HEALTHY = {
    "loss": 0.6,
    "grad_norm": 1.0,
    "nll_loss": 2.0,
    "watch/displaced": 0.4,
    "watch/chosen_shift": 0.5,
    "watch/saturated": 0.1,
    "watch/margin_square": 4.0,
    "watch/longer_preferred": 0.55,
    "watch/longer_chosen": 0.5,
    "watch/drift": 3.0,
    "kl": 0.2,
}
FACTS = {"noise": 0.05, "rows_per_line": 16.0, "z_ref_estimated": 1.0}

PROVOKED = {
    "chosen-falling": {"watch/displaced": 0.8, "watch/chosen_shift": -5.0},
    "saturated": {"watch/saturated": 0.7},
    "margin-noise": {"watch/margin_square": 0.001},
    "length-preference": {"watch/longer_preferred": 0.8},
    "kl-runaway": {"watch/drift": 80.0},
    "z-ref-zero": {"kl": 0.0},
}


def spoken(history):
    return {rule.id for rule in RULES if rule.check is not None and rule.check(history) is not None}


def after(lines, facts=FACTS):
    history = History(facts=dict(facts))
    for line in lines:
        history.add(line)
    return history


def test_a_healthy_run_raises_none():
    assert spoken(after([HEALTHY] * 60)) == set()


@pytest.mark.parametrize("alarm", PROVOKED)
def test_each_speaks_alone_when_provoked(alarm):
    history = after([HEALTHY] * 20 + [HEALTHY | PROVOKED[alarm]] * 50)
    assert spoken(history) == {alarm}
    sentence = BY_ID[alarm].say(BY_ID[alarm].check(history))
    assert "{" not in sentence
    assert len(sentence) > 20


@pytest.mark.parametrize("alarm", PROVOKED)
def test_one_odd_line_is_no_alarm(alarm):
    assert alarm not in spoken(after([HEALTHY] * 40 + [HEALTHY | PROVOKED[alarm]]))


def test_without_a_reference_falling_answers_show_in_their_loss():
    start = [{"loss": 1.0, "nll_loss": 2.0 + 0.01 * (i % 3)} for i in range(10)]
    later = [{"loss": 1.0, "nll_loss": 2.6 + 0.01 * (i % 3)} for i in range(10)]
    assert spoken(after(start + later)) == {"chosen-falling"}
    assert spoken(after(start + start)) == set()


def test_a_spike_is_a_spike_once_ten_lines_are_known():
    lines = [HEALTHY] * 12
    assert spoken(after([*lines, HEALTHY | {"grad_norm": 30.0}])) == {"gradient-spike"}
    assert spoken(after([*lines, HEALTHY | {"grad_norm": 30.0}, HEALTHY])) == set()
    assert spoken(after([*lines[:5], HEALTHY | {"grad_norm": 30.0}])) == set()


def test_what_is_not_finite_does_not_hide_in_a_mean():
    history = after([HEALTHY] * 20 + [HEALTHY | {"watch/drift": math.nan}] + [HEALTHY | {"watch/drift": 80.0}] * 5)
    assert "kl-runaway" in spoken(history)


def test_rounding_and_baseline_are_only_judged_where_they_are_known():
    lines = [HEALTHY | PROVOKED["margin-noise"] | PROVOKED["z-ref-zero"]] * 40
    assert spoken(after(lines, {})) == set()


def test_measures_of_pairs_by_hand():
    """Two pairs: the first has both answers down and the longer one, rejected, ahead; the second the other way."""
    one = PairLogps(
        policy_chosen_logps=np.array([-12.0, -3.0]),
        policy_rejected_logps=np.array([-6.0, -9.0]),
        ref_chosen_logps=np.array([-10.0, -4.0]),
        ref_rejected_logps=np.array([-5.0, -5.0]),
        chosen_lengths=np.array([3, 4]),
        rejected_lengths=np.array([5, 4]),
    )
    found = watched(one, [np.array([-0.5, -0.001]), np.array([0.5, 0.001])], 1.0)
    assert found["watch/displaced"][0].tolist() == [1, 0]
    assert found["watch/chosen_shift"][0].tolist() == [-2, 1]
    assert found["watch/drift"][0].tolist() == [1.5, 2.5]
    assert found["watch/margin_square"][0].tolist() == [1, 25]
    assert found["watch/saturated"][0].tolist() == [0, 1]
    values, weights = found["watch/longer_preferred"]
    assert (values * weights).tolist() == [1, 0]
    assert weights.tolist() == [1, 0]
    assert (found["watch/longer_chosen"][0] * weights).tolist() == [0, 0]


def test_measures_of_answers_look_at_the_desirable_ones():
    one = AnswerLogps(
        policy_logps=np.array([-3.0, -7.0]),
        ref_logps=np.array([-2.0, -2.0]),
        lengths=np.array([2, 2]),
        is_desirable=np.array([True, False]),
        z_ref=np.array(0.0),
    )
    found = watched(one, [np.array([0.1, 0.1])], None)
    assert "watch/saturated" not in found
    values, weights = found["watch/displaced"]
    assert (values * weights).sum() == weights.sum() == 1


def test_page_is_made_of_the_rules():
    page = (Path(__file__).parents[2] / "docs" / "alarms.md").read_text(encoding="utf-8")
    assert as_markdown() in page
    assert page.count("\n## ") == len(RULES)
