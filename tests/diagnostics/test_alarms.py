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
    "watch/longer_right": 0.3,
    "watch/drift": 3.0,
    "kl": 0.2,
}
FACTS = {"noise": 0.05, "rows_per_line": 16.0, "z_ref_estimated": 1.0}

PROVOKED = {
    "chosen-falling": {"watch/displaced": 0.8, "watch/chosen_shift": -5.0},
    "saturated": {"watch/saturated": 0.7},
    "margin-noise": {"watch/margin_square": 0.001},
    "length-preference": {"watch/longer_preferred": 0.8, "watch/longer_right": 0.48},
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


def test_a_spike_is_a_spike_once_twenty_lines_are_known():
    lines = [HEALTHY] * 22
    assert spoken(after([*lines, HEALTHY | {"grad_norm": 30.0}])) == {"gradient-spike"}
    assert spoken(after([*lines, HEALTHY | {"grad_norm": 30.0}, HEALTHY])) == set()
    assert spoken(after([*lines[:15], HEALTHY | {"grad_norm": 30.0}])) == set()


def test_an_old_spike_is_not_told_again_after_norms_that_are_no_numbers():
    lines = [HEALTHY] * 25 + [HEALTHY | {"grad_norm": 50.0}]
    assert spoken(after(lines)) == {"gradient-spike"}
    assert spoken(after([*lines, HEALTHY | {"grad_norm": math.nan}])) == set()


def test_heavy_tails_are_no_spikes():
    norms = np.exp(np.random.default_rng(0).normal(0, 1.5, 500))
    history = History()
    for norm in norms:
        history.add({"loss": 0.1, "grad_norm": float(norm)})
        assert spoken(history) == set()
    history.add({"loss": 0.1, "grad_norm": 1e5})
    assert spoken(history) == {"gradient-spike"}


@pytest.mark.parametrize(
    "line",
    [
        lambda step: {"loss": 0.69 + 0.05 * step, "grad_norm": 1 + 0.02 * step},
        lambda step: {"loss": 1.0, "grad_norm": 1.05**step},
        lambda step: {"loss": -1.0 + 0.05 * step},
    ],
)
def test_what_gets_worse_step_by_step_is_told(line):
    assert spoken(after([line(step) for step in range(200)])) == {"diverging"}
    assert spoken(after([line(step) for step in range(5)])) == set()


def test_a_noisy_loss_or_one_whose_beta_is_on_its_way_does_not_diverge():
    history = History()
    for loss in np.random.default_rng(0).gamma(0.5, 2.0, 500):
        history.add({"loss": float(loss)})
        assert spoken(history) == set()
    assert spoken(after([{"loss": 0.5 + 0.1 * step, "beta": 0.1} for step in range(100)])) == set()


def by_length(if_longer, if_shorter, labels, count):
    """Lines of eight pairs each: how often the policy is right where the longer answer is chosen, and where not."""
    draw = np.random.default_rng(0)
    for _ in range(count):
        chosen = draw.random(8) < labels
        preferred = chosen == (draw.random(8) < np.where(chosen, if_longer, if_shorter))
        numbers = {"chosen": chosen, "preferred": preferred, "right": chosen & preferred}
        yield {"loss": 0.69} | {f"watch/longer_{name}": float(one.mean()) for name, one in numbers.items()}


@pytest.mark.parametrize("accuracy", [0.5, 0.7])
@pytest.mark.parametrize("labels", [0.1, 0.3, 0.9])
def test_a_policy_that_is_blind_to_length_does_not_prefer_it(accuracy, labels):
    """It is nearer to half than the labels are, which is no preference."""
    assert spoken(after(by_length(accuracy, accuracy, labels, 100), {"rows_per_line": 8.0})) == set()


@pytest.mark.parametrize(("if_longer", "if_shorter", "which"), [(1.0, 0.0, "longer"), (0.05, 0.95, "shorter")])
@pytest.mark.parametrize("labels", [0.3, 0.5, 0.92])
def test_a_preference_for_either_length_is_told(if_longer, if_shorter, which, labels):
    history = after(by_length(if_longer, if_shorter, labels, 100), {"rows_per_line": 8.0})
    assert spoken(history) == {"length-preference"}
    rule = BY_ID["length-preference"]
    assert f"prefers {which} answers" in rule.say(rule.check(history))


APART = {"rows_per_line": 8.0, "apart": 1.0, "z_ref_estimated": 1.0}


def far_away(moved=0.0):
    """Lines of a policy whose reference is another model, 180 nats away; and how far it has moved on."""
    for noise in 5 * np.random.default_rng(0).normal(size=60):
        yield {
            "loss": 0.6,
            "watch/displaced": 1.0,
            "watch/chosen_shift": -200.0 + noise - moved,
            "watch/drift": 180.0 + noise + moved,
            "kl": 0.0,
        }


def test_another_model_as_reference_is_no_move_of_the_policy():
    assert spoken(after(far_away(), APART)) == set()
    lines = [*far_away(), *far_away(70.0)]
    assert spoken(after(lines, APART)) == {"chosen-falling", "kl-runaway", "z-ref-zero"}
    assert BY_ID["kl-runaway"].check(after(lines, APART))["nats"] == pytest.approx(70, abs=10)


def test_a_preference_that_the_start_had_is_not_learnt():
    assert spoken(after(by_length(0.9, 0.3, 0.5, 100), APART)) == set()
    learnt = [*by_length(0.5, 0.5, 0.5, 10), *by_length(0.95, 0.1, 0.5, 100)]
    assert spoken(after(learnt, APART)) == {"length-preference"}


def test_the_page_says_which_alarms_speak_again():
    for rule, section in zip(RULES, as_markdown().split("\n\n## "), strict=True):
        assert ("It speaks each time" in section) == rule.often


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
    assert (found["watch/longer_right"][0] * weights).tolist() == [0, 0]


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
