"""The length-controlled win rate against statsmodels' GLM, and the properties that make it a win rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from penchant.evaluation.length_controlled import length_controlled


def simulated(rows=600, theta=0.4, phi=1.2, per_prompt=1, seed=0, psi=0.0):
    """Soft preferences for the first answer, lengths, prompts, difficulty."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(20, 900, (rows, 2)).astype(float)
    prompts = np.arange(rows) // per_prompt
    difficulty = generator.normal(0, 1, prompts.max() + 1)[prompts]
    difference = lengths[:, 0] - lengths[:, 1]
    logits = theta + phi * np.tanh(difference / difference.std()) + psi * difficulty
    noisy = 1 / (1 + np.exp(-(logits + generator.normal(0, 1.5, prompts.max() + 1)[prompts])))
    return noisy, lengths, prompts, difficulty


@pytest.mark.parametrize("with_difficulty", [False, True])
@pytest.mark.parametrize("per_prompt", [1, 3])
def test_the_fit_is_that_of_an_independent_glm(with_difficulty, per_prompt):
    sm = pytest.importorskip("statsmodels.api")
    p, lengths, prompts, difficulty = simulated(per_prompt=per_prompt, psi=0.7)
    found = length_controlled(p, lengths, prompts, difficulty if with_difficulty else None)
    difference = lengths[:, 0] - lengths[:, 1]
    columns = [np.ones(len(p)), np.tanh(difference / difference.std())] + ([difficulty] if with_difficulty else [])
    design = np.stack(columns, axis=1)
    options = {"cov_type": "cluster", "cov_kwds": {"groups": prompts, "df_correction": False, "use_correction": True}}
    fit = sm.GLM(p, design, family=sm.families.Binomial()).fit(tol=1e-12, **options)
    design[:, 1] = 0
    rates = 1 / (1 + np.exp(-design @ fit.params))
    value = rates.mean()
    assert found.win_rate.value == pytest.approx(value, rel=1e-9)
    assert found.length_effect == pytest.approx(fit.params[1], rel=1e-8)
    slope = (design * (rates * (1 - rates))[:, None]).mean(axis=0)
    rows, groups = len(p), len(set(prompts))
    small = groups / (groups - 1) * ((rows - 1) / (rows - design.shape[1]))  # statsmodels' correction, ours is G/(G-1)
    error = np.sqrt(slope @ fit.cov_params() @ slope * groups / (groups - 1) / small) / (value * (1 - value))
    logit = np.log(value / (1 - value))
    quantile = stats.t.ppf(0.975, groups - design.shape[1])
    low, high = (1 / (1 + np.exp(-(logit + sign * quantile * error))) for sign in (-1, 1))
    assert (found.win_rate.low, found.win_rate.high) == pytest.approx((low, high), rel=1e-6)


def test_length_is_taken_out_and_quality_is_left():
    _, lengths, prompts, _ = simulated(rows=4000)
    longer = lengths.copy()
    longer[:, 0] += 150
    difference = longer[:, 0] - longer[:, 1]
    biased = 1 / (1 + np.exp(-2.0 * np.tanh(difference / difference.std())))
    found = length_controlled(biased, longer, prompts)
    assert biased.mean() > 0.59
    assert found.win_rate.value == pytest.approx(0.5, abs=1e-9)
    assert found.length_effect == pytest.approx(2.0)


def test_swapping_the_sides_gives_the_rest():
    p, lengths, prompts, _ = simulated()
    one, other = length_controlled(p, lengths, prompts), length_controlled(1 - p, lengths[:, ::-1], prompts)
    assert one.win_rate.value + other.win_rate.value == pytest.approx(1)
    assert (one.win_rate.low, one.win_rate.high) == pytest.approx((1 - other.win_rate.high, 1 - other.win_rate.low))


def test_ties_alone_are_no_certainty():
    """A fit without residuals would give the interval [0.5, 0.5] to a handful of ties."""
    _, lengths, prompts, _ = simulated(rows=50)
    assert "every verdict is the same" in length_controlled(np.full(50, 0.5), lengths, prompts)


def test_equal_lengths_leave_the_plain_win_rate():
    p, lengths, prompts, _ = simulated()
    lengths[:, 1] = lengths[:, 0]
    assert length_controlled(p, lengths, prompts).win_rate.value == pytest.approx(p.mean())


def test_intervals_cover_the_truth():
    hits = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        lengths = generator.integers(20, 900, (200, 2)).astype(float)
        difference = lengths[:, 0] - lengths[:, 1]
        rate = 1 / (1 + np.exp(-(0.6 + 1.0 * np.tanh(difference / difference.std()))))
        outcome = (generator.random(200) < rate).astype(float)
        share = length_controlled(outcome, lengths, np.arange(200)).win_rate
        hits += share.low <= 1 / (1 + np.exp(-0.6)) <= share.high
    assert 0.9 <= hits / 200 <= 0.99


@pytest.mark.parametrize(("prompts", "per_prompt"), [(1, 6), (2, 6)])
def test_too_few_prompts_give_no_interval(prompts, per_prompt):
    """The scores of all rows add up to 0, so that one prompt, or two of two coefficients, would seem without error."""
    p, lengths, index, _ = simulated(prompts * per_prompt, per_prompt=per_prompt)
    share = length_controlled(p, lengths, index).win_rate
    assert 0 < share.value < 1 and np.isnan(share.low) and np.isnan(share.high)


def test_few_prompts_cover_the_truth():
    hits, fits = 0, 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        lengths = generator.integers(20, 900, (20, 2)).astype(float)
        difference = lengths @ np.array([1.0, -1.0])
        logits = np.tanh(difference / difference.std()) + generator.normal(size=5).repeat(4)
        outcome = (generator.random(20) < 1 / (1 + np.exp(-logits))) * 1.0
        found = length_controlled(outcome, lengths, np.arange(5).repeat(4))
        if not isinstance(found, str):
            fits, hits = fits + 1, hits + (found.win_rate.low <= 0.5 <= found.win_rate.high)
    assert fits > 200 and hits / fits >= 0.93


def test_no_number_where_there_is_none():
    lengths = np.array([[10, 5], [20, 50], [30, 10], [5, 9], [7, 8]], dtype=float)
    assert isinstance(length_controlled(np.ones(5), lengths, np.arange(5)), str)
    assert isinstance(length_controlled((lengths[:, 0] > lengths[:, 1]) * 1.0, lengths, np.arange(5)), str)
    assert isinstance(length_controlled(np.ones(2), lengths[:2], np.arange(2)), str)
