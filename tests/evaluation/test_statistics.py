"""Intervals and tests against independent numbers."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from penchant.evaluation import statistics
from penchant.evaluation.statistics import ClusterBootstrap, RunningMean, higher_share, mcnemar, wilson_of_sum


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


def test_bootstrap_of_independent_rows_agrees_with_the_normal_interval():
    values = np.random.default_rng(2).normal(size=500)
    found = ClusterBootstrap(np.arange(500)).ratio(values)
    half = 1.96 * values.std() / np.sqrt(500)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


def test_pairs_of_one_prompt_widen_the_interval():
    """Ten copies of each row are no new evidence: the interval stays that of the prompts."""
    values = np.random.default_rng(3).normal(size=80)
    single = ClusterBootstrap(np.arange(80)).ratio(values)
    copied = ClusterBootstrap(np.repeat(np.arange(80), 10)).ratio(np.repeat(values, 10))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))


def test_shares_take_wilson_only_where_prompts_have_one_pair():
    outcomes = np.array([1.0, 0.0, 1.0, 1.0])
    assert ClusterBootstrap(np.arange(4)).share(outcomes) == wilson_of_sum(3, 4)
    assert ClusterBootstrap(np.array([0, 0, 1, 1])).share(outcomes) != wilson_of_sum(3, 4)


def test_one_prompt_gives_no_interval():
    assert np.isnan(ClusterBootstrap(np.zeros(3)).ratio(np.ones(3)).low)


def test_prompts_put_together_at_random_give_the_same_intervals(monkeypatch):
    """Seven thousand prompts of one to five pairs, in groups and one by one."""
    generator = np.random.default_rng(0)
    prompts = np.repeat(np.arange(7000), generator.integers(1, 6, 7000))
    values = generator.normal(0, 1, 7000)[prompts] + generator.normal(0, 1, len(prompts))
    grouped = ClusterBootstrap(prompts).ratio(values)
    monkeypatch.setattr(statistics, "MOST_CLUSTERS", 10_000)
    single = ClusterBootstrap(prompts).ratio(values)
    assert grouped.value == single.value
    assert grouped.high - grouped.low == pytest.approx(single.high - single.low, rel=0.07)


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
