"""Intervals and tests against independent numbers."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from penchant.evaluation.statistics import ByPrompt, RunningMean, higher_share, mcnemar, wilson, wilson_of_sum


def test_running_mean_is_students_interval_however_the_rows_are_cut():
    values = np.random.default_rng(1).normal(1e6, 2.0, 1001)
    mean = RunningMean()
    for part in np.array_split(values, [1, 1, 400, 900]):
        mean.add(part)
    low, high = stats.t.interval(0.95, 1000, loc=values.mean(), scale=stats.sem(values))
    assert mean.estimate().low == pytest.approx(low, abs=1e-8)
    assert mean.estimate().high == pytest.approx(high, abs=1e-8)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 3), (1, 9), (20, 41), (400, 480)])
def test_mcnemar_is_the_exact_binomial_test(b, c):
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("rows", [2, 3, 500])
def test_means_of_independent_rows_have_students_interval(rows):
    values = np.random.default_rng(2).normal(size=rows)
    found = ByPrompt(np.arange(rows)).mean(values)
    wanted = stats.t.interval(0.95, rows - 1, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(wanted)


def test_pairs_of_one_prompt_widen_the_interval():
    """Ten copies of each row are no new evidence: the interval stays that of the prompts."""
    values = np.random.default_rng(3).normal(size=80)
    single, copied = (ByPrompt(np.repeat(np.arange(80), n)).mean(np.repeat(values, n)) for n in (1, 10))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))
    share, same = (ByPrompt(np.repeat(np.arange(80), n)).share(np.repeat(values > 1, n)) for n in (1, 10))
    assert (same.low, same.high) == pytest.approx((share.low, share.high), abs=0.01), "t in place of z"


def test_the_error_over_prompts_is_that_of_an_independent_library():
    """With prompts of one size CR2 is the usual cluster-robust variance with G / (G - 1)."""
    sm = pytest.importorskip("statsmodels.api")
    draw = np.random.default_rng(4)
    prompts = np.repeat(np.arange(30), 4)
    values = draw.normal(size=30)[prompts] + draw.normal(size=120)
    options = {"groups": prompts, "use_correction": False}
    error = sm.OLS(values, np.ones(120)).fit(cov_type="cluster", cov_kwds=options).bse[0] * np.sqrt(30 / 29)
    found = ByPrompt(prompts).mean(values)
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 29) * error)


def test_shares_are_wilsons_where_prompts_have_one_row():
    outcomes = np.array([1.0, 0.0, 1.0, 1.0] * 2)
    found = ByPrompt(np.arange(8)).share(outcomes)
    assert (found.low, found.high) == pytest.approx((wilson_of_sum(6, 8).low, wilson_of_sum(6, 8).high))
    mask = np.arange(8) < 7
    assert ByPrompt(np.array([0, 1, 2, 3, 4, 5, 6, 6])).share(outcomes, mask) == wilson(outcomes[mask]), "none repeats"


def test_no_interval_has_a_width_of_0_by_luck():
    """All right, or all tied: twenty pairs of nineteen prompts, and few pairs of few prompts."""
    twenty = ByPrompt(np.array([*range(19), 0])).share(np.ones(20))
    assert (twenty.high, twenty.low) == (1.0, pytest.approx(wilson([1.0] * 18).low, abs=0.03))
    for prompts in ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3], list(range(5))):
        one, half = (ByPrompt(np.array(prompts)).share(np.full(len(prompts), x)) for x in (1.0, 0.5))
        assert one.low < 0.5 and half.high - half.low > 0.3


def test_few_prompts_cover_the_truth():
    """The share's interval holds it in 93 % of the runs or more, from five prompts up, however prompts are alike."""
    draw = np.random.default_rng(5)
    for prompts, share, alike in ((5, 0.5, 0.8), (5, 0.95, 0), (10, 0.8, 0.8), (10, 0.95, 0.3), (20, 0.5, 0.3)):
        index, hits = np.repeat(np.arange(prompts), 4), 0
        for _ in range(300):
            odds = (
                draw.beta(*(np.array([share, 1 - share]) * (1 / alike - 1)), prompts) if alike else np.full(99, share)
            )
            found = ByPrompt(index).share(draw.random(len(index)) < odds[index])
            hits += found.low <= share <= found.high
        assert hits / 300 >= 0.93, (prompts, share, alike)
    hits = 0
    for _ in range(500):
        index = np.repeat(np.arange(5), draw.integers(1, 6, 5))
        found = ByPrompt(index).mean(draw.normal(size=5)[index] + draw.normal(size=len(index)))
        hits += found.low <= 0 <= found.high
    assert hits / 500 >= 0.93


def test_ties_and_soft_outcomes_are_not_taken_for_coin_flips():
    scores = [1.0] * 11 + [0.5] * 48 + [0.0]
    found, of_sum = wilson(scores), wilson_of_sum(35, 60, 48)
    assert 0.5 < found.low < 0.53, "a sign test of 11 against 1 gives 0.006"
    assert (found.low, found.high) == pytest.approx((of_sum.low, of_sum.high))
    draw, hits = np.random.default_rng(6), 0
    for _ in range(500):
        share = wilson(draw.beta(6, 4, 20))
        hits += share.low <= 0.6 <= share.high
    assert hits / 500 >= 0.93


def test_one_prompt_gives_no_interval():
    assert np.isnan(ByPrompt(np.zeros(3)).mean(np.ones(3)).low)
    assert str(ByPrompt(np.zeros(3)).share(np.ones(3))) == "100% [too few for an interval]"


def test_how_often_one_is_higher_is_counted_and_its_interval_covers_the_truth():
    """Normal samples whose means differ: the truth is Phi(d / sqrt 2); 95 % of the intervals hold it, or a few more."""
    draw = np.random.default_rng(0)
    few, other = draw.normal(0.5, 1, 7).round(1), draw.normal(0, 1, 9).round(1)
    by_hand = np.mean([(one > two) + 0.5 * (one == two) for one in few for two in other])
    assert higher_share(few, other).value == pytest.approx(by_hand)
    for d, m, n in ((0.0, 20, 20), (1.0, 15, 40), (3.0, 20, 20)):
        truth = NormalDist().cdf(d / 2**0.5)
        found = [higher_share(draw.normal(d, 1, m), draw.normal(0, 1, n)) for _ in range(400)]
        assert np.mean([share.low <= truth <= share.high for share in found]) > 0.92
    all_of_them = higher_share(np.ones(16), np.zeros(16))
    assert (all_of_them.value, all_of_them.high) == (1.0, 1.0) and 0.8 < all_of_them.low < 0.9
    assert higher_share(np.ones(16), np.zeros(16), (4, 4)).low < 0.65
