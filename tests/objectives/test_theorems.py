"""What the papers prove, with exact numbers: policies on a few answers, brought to their optimum by Newton's method.

T1 to T11 are the theorems of the design: what is recovered, what is not, and from which data.
"""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize_scalar

import penchant
from penchant import numpy as oracle

REWARDS = torch.tensor([1.0, 0.5, 0.0, -0.5], dtype=torch.float64)
REFERENCE = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
BEST = (0.73745008, 0.20346954, 0.04990151, 0.00917887)  # ∝ reference · e^(reward / 0.5)
UNIFORM = torch.full((3,), 1 / 3, dtype=torch.float64)


def logit(p):
    return math.log(p / (1 - p))


def optimum(loss, start):
    """The policy that minimises a loss of log-probs, found by Newton's method on its logits (the last one stays)."""
    free = torch.log(start / start[-1])[:-1]

    def of_logits(x):
        return loss(torch.log_softmax(torch.cat([x, torch.zeros(1, dtype=x.dtype)]), 0))

    for _ in range(60):
        slope = torch.func.grad(of_logits)(free)
        if slope.abs().max() < 1e-15:
            break
        step = torch.linalg.solve(torch.func.hessian(of_logits)(free), slope)
        free = free - step / max(1.0, step.abs().max().item() / 2)
    assert slope.abs().max() < 1e-11
    return torch.softmax(torch.cat([free, torch.zeros(1, dtype=free.dtype)]), 0)


def on_pairs(loss, reference, pairs):
    """The weighted mean of a loss of log-ratios over (winner, loser, weight), as a function of the log-probs."""
    winners, losers, shares = zip(*pairs, strict=True)
    winners, losers, weights = torch.tensor(winners), torch.tensor(losers), torch.tensor(shares, dtype=torch.float64)

    def mean(logps):
        ratios = logps - torch.log(reference)
        losses = loss(ratios[winners], ratios[losers], reduction="none")
        return (losses * weights).sum() / weights.sum()

    return mean


def bradley_terry(rewards):
    """Every pair in both orders, with the probability of each."""
    order = itertools.permutations(range(len(rewards)), 2)
    return [(i, j, torch.sigmoid(rewards[i] - rewards[j]).item()) for i, j in order]


def dpo(a, b, beta, reduction):
    zero = torch.zeros_like(a)
    return penchant.dpo_loss(a, b, zero, zero, beta, reduction=reduction)


def near(expected, rel=1e-9):
    return pytest.approx(np.asarray(expected), rel=rel)


# --- T1: DPO's optimum -----------------------------------------------------------------------------------------------


def best(rewards=REWARDS, reference=REFERENCE, beta=0.5):
    return torch.softmax(torch.log(reference) + rewards / beta, 0)


@pytest.mark.parametrize("start", [REFERENCE, torch.full((4,), 0.25, dtype=torch.float64)])
def test_dpo_recovers_the_policy_of_the_reward(start):
    population = on_pairs(partial(dpo, beta=0.5), REFERENCE, bradley_terry(REWARDS))
    found = optimum(population, start)
    assert found.numpy() == near(best())
    assert found.numpy() == near(BEST, rel=1e-6)
    assert population(torch.log(found)).item() == near(0.60466662286771, rel=1e-13)
    assert torch.func.grad(lambda x: population(torch.log_softmax(x, 0)))(torch.log(best())).abs().max() < 1e-16


def test_how_often_a_pair_is_compared_and_a_constant_reward_are_of_no_consequence():
    pairs = bradley_terry(REWARDS + 3.0)
    weights = {frozenset((i, j)): 1 + 5 * i + j for i, j in itertools.combinations(range(4), 2)}
    uneven = [(i, j, weight * weights[frozenset((i, j))]) for i, j, weight in pairs]
    assert optimum(on_pairs(partial(dpo, beta=0.5), REFERENCE, uneven), REFERENCE).numpy() == near(best())


def test_dpo_needs_a_connected_graph_of_comparisons():
    pairs = [(i, j, weight) for i, j, weight in bradley_terry(REWARDS) if {i, j} in ({0, 1}, {2, 3})]
    population = on_pairs(partial(dpo, beta=0.5), REFERENCE, pairs)
    curvature = torch.func.hessian(lambda x: population(torch.log_softmax(x, 0)))(torch.log(REFERENCE))
    assert torch.linalg.matrix_rank(curvature, tol=1e-12) == 2  # 3 where every answer is compared with every other


# --- T2: two answers, of which one wins with probability p ------------------------------------------------------------

SHARE, FLIPS = 0.75, 0.2
TWO = torch.full((2,), 0.5, dtype=torch.float64)


def best_gap(loss, p, beta=1.0):
    """beta times the log-ratios' difference at the optimum of two answers."""
    found = optimum(on_pairs(loss, TWO, [(0, 1, p), (1, 0, 1 - p)]), TWO)
    return beta * torch.log(found[0] / found[1]).item()


@pytest.mark.parametrize(
    ("name", "loss", "expected"),
    [
        ("dpo", partial(dpo, beta=1.0), 1.09861228866811),
        ("exponential", partial(penchant.exponential_loss, beta=1.0), 0.549306144334055),
        ("ipo", partial(penchant.ipo_loss, beta=0.5), 0.5),
        ("squared_hinge", partial(penchant.squared_hinge_loss, beta=1.0), 0.5),
        ("cdpo", partial(penchant.soft_dpo_loss, preference_probs=1 - FLIPS, beta=1.0), logit(0.65)),
    ],
)
def test_the_gap_that_a_win_rate_leads_to(name, loss, expected):
    assert best_gap(loss, SHARE) == near(expected)


@pytest.mark.parametrize("p", [0.51, 0.75, 0.99])
def test_hinge_goes_to_its_margin_whatever_the_majority(p):
    found = minimize_scalar(
        lambda z: p * penchant.hinge_loss(z, 0.0, 1.0) + (1 - p) * penchant.hinge_loss(-z, 0.0, 1.0),
        bounds=(-5, 5),
        options={"xatol": 1e-9},
    )
    assert found.x == pytest.approx(1.0, abs=1e-7)


def test_under_flipped_labels_robust_dpo_is_unbiased_and_conservative_dpo_shrinks():
    observed = (1 - FLIPS) * SHARE + FLIPS * (1 - SHARE)
    assert best_gap(partial(dpo, beta=1.0), observed) == near(0.619039208406223)
    robust = partial(penchant.robust_dpo_loss, beta=1.0, label_smoothing=FLIPS)
    assert best_gap(robust, observed) == near(1.09861228866811)
    conservative = partial(penchant.soft_dpo_loss, preference_probs=1 - FLIPS, beta=1.0)
    assert best_gap(conservative, observed) == near(0.363965377201412)


# --- T3: IPO ---------------------------------------------------------------------------------------------------------


def ipo_policy(pairs, tau):
    return optimum(on_pairs(partial(penchant.ipo_loss, beta=tau), UNIFORM, pairs), UNIFORM).numpy()


@pytest.mark.parametrize(
    ("tau", "expected"),
    [(0.1, 0.993307149075715), (0.5, 0.731058578630005), (1.0, 0.622459331201855), (2.0, 0.562176500885798)],
)
def test_ipo_stays_near_the_reference_where_dpo_runs_away(tau, expected):
    loss = on_pairs(partial(penchant.ipo_loss, beta=tau), TWO, [(0, 1, 1.0)])
    assert optimum(loss, TWO)[0].item() == near(expected)
    for gap in (0.0, 1 / (2 * tau), 500.0 / tau):
        assert oracle.dpo_grad(gap, 0.0, 0.0, 0.0, tau).chosen < 0  # whatever its beta, never at rest


@pytest.mark.parametrize(
    ("tau", "expected"),
    [
        (0.1, (0.964369788973, 0.0344029214361, 0.00122728959044)),
        (1.0, (0.448440863799, 0.321321919853, 0.230237216348)),
    ],
)
def test_ipo_on_a_total_order(tau, expected):
    assert ipo_policy([(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0)], tau) == near(expected)


@pytest.mark.parametrize(("tau", "expected"), [(0.1, 0.0033576616265), (1.0, 0.232696537619)])
def test_ipo_on_an_answer_that_never_wins(tau, expected):
    found = ipo_policy([(0, 1, 1.0), (1, 0, 1.0), (0, 2, 1.0), (1, 2, 1.0)], tau)
    assert found[2] == near(expected)
    assert found[2] == near(1 / (1 + 2 * math.exp(1 / (2 * tau))))


@pytest.mark.parametrize("loss", [partial(penchant.ipo_loss, beta=0.1), partial(dpo, beta=0.1)], ids=["ipo", "dpo"])
def test_a_cycle_leaves_the_reference(loss):
    found = optimum(on_pairs(loss, UNIFORM, [(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)]), UNIFORM)
    assert found.numpy() == near(UNIFORM)


def test_an_answer_that_is_not_compared_is_not_moved():
    loss = on_pairs(partial(penchant.ipo_loss, beta=0.1), UNIFORM, [(0, 1, 1.0)])
    assert torch.func.grad(lambda x: loss(torch.log_softmax(x, 0)))(torch.zeros(3, dtype=torch.float64))[2] == 0.0


def test_ipo_of_a_sampled_preference_is_least_squares():
    tau, p = 0.2, 0.7
    assert best_gap(partial(penchant.ipo_loss, beta=tau), p) == near((p - 0.5) / tau)


# --- T4: answers never seen ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "expected"), [(1e-9, 0.147117), (1e-30, 0.001258)])
def test_dpo_is_content_with_mass_on_an_answer_it_never_saw(share, expected):
    policy, reference = np.log([0.1, share, 0.9]), np.log([0.5, 0.5])
    assert penchant.dpo_loss(*policy[:2], *reference, 0.1) == pytest.approx(expected, abs=5e-7)


# --- T5: likelihood displacement -------------------------------------------------------------------------------------


def moved(features, policy):
    """How the log-probs move along DPO's first step, per unit of it, on logits that are linear in features."""
    features = torch.tensor(features, dtype=torch.float64)
    offset = torch.log(torch.tensor(policy, dtype=torch.float64))

    def logps(weights):
        return torch.log_softmax(offset + features @ weights, 0)

    start = torch.zeros(features.shape[1], dtype=torch.float64)
    reference = logps(start)
    beta = 0.1

    def loss(weights):
        return penchant.dpo_loss(*logps(weights)[:2], *reference[:2], beta)

    step = -torch.func.grad(loss)(start) / (beta / 2)
    return torch.func.jvp(logps, (start,), (step,))[1].numpy()


def test_with_logits_of_their_own_the_chosen_answer_rises():
    w, lo, _ = policy = (0.2, 0.5, 0.3)
    assert moved(np.eye(3), policy) == near((1 - w + lo, -1 - w + lo, -(w - lo)), rel=1e-12)


def test_with_shared_features_the_chosen_answer_may_fall():
    found = moved([(1.0, 0.0), (0.8, 0.5), (0.5, -1.0)], (1 / 3, 1 / 3, 1 / 3))
    assert found == pytest.approx([-0.0366667, -0.3266667, 0.3633333], abs=5e-8)


# --- T6: contradictory labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "sign"), [(0.7, -1), (0.3, 1)])
def test_kto_follows_the_majority_from_everywhere(p, sign):
    ratios = np.linspace(-60, 60, 41)
    good, bad = (
        oracle.kto_grad(ratios, np.full(41, label), value_function="sigmoid").log_ratio for label in (True, False)
    )
    assert (np.sign(p * good + (1 - p) * bad) == sign).all()


def test_dpo_weighs_the_majority_against_the_reference():
    reference = torch.tensor([0.2, 0.8], dtype=torch.float64)
    found = optimum(on_pairs(partial(dpo, beta=1.0), reference, [(0, 1, 0.7), (1, 0, 0.3)]), reference)
    assert (found[0] / found[1]).item() == near(0.25 * 0.7 / 0.3)
    assert (found[0] / found[1]).item() == pytest.approx(0.5833, abs=5e-5)


# --- T7: what lengths invite -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "mean"), [(-0.5, -1.3), (-1.5, -1.5), (-2.5, -1.7)])
def test_easy_tokens_raise_simpos_reward_but_not_dpos(token, mean):
    before, after = (penchant.simpo_loss(*chosen, 4, 4, 1.0, 0.0) for chosen in ((-6.0, -8.0), (5 * mean * 0.8, -8.0)))
    longer = penchant.simpo_loss(-6.0 + token, -8.0, 5, 4, 1.0, 0.0)
    assert longer == near(after, rel=1e-14)
    assert np.sign(round(before - longer, 12)) == np.sign(token + 1.5)
    assert penchant.dpo_loss(-6.0 + token, -8.0, -6.0 + token, -8.0) == penchant.dpo_loss(-6.0, -8.0, -6.0, -8.0)


def test_simpo_has_no_floor_but_0_and_no_reference_to_hold_it():
    assert penchant.simpo_loss(-1e-9, -1e6, 1, 1) < 1e-300


def test_orpos_slope_is_its_odds_times_its_share():
    w, lo, m, n = -12.0, -30.0, 8, 15
    p, q = math.exp(w / m), math.exp(lo / n)
    share = 1 / (1 + (p / (1 - p)) / (q / (1 - q)))
    penalty = np.subtract(oracle.orpo_grad(w, lo, m, n, 1.0), oracle.orpo_grad(w, lo, m, n, 0.0))
    assert penalty == near((-share / (m * (1 - p)), share / (n * (1 - q))), rel=1e-13)


# --- T8: a reference that moves --------------------------------------------------------------------------------------


def test_hard_syncs_are_a_smaller_beta():
    reference, beta = REFERENCE, 2.0
    for k in (1, 2, 3):
        reference = optimum(on_pairs(partial(dpo, beta=beta), reference, bradley_terry(REWARDS)), reference)
        assert reference.numpy() == near(best(beta=beta / k))


def test_soft_syncs_add_their_share():
    policy = optimum(on_pairs(partial(dpo, beta=2.0), REFERENCE, bradley_terry(REWARDS)), REFERENCE)
    mixed = torch.softmax(0.6 * torch.log(policy) + 0.4 * torch.log(REFERENCE), 0)
    again = optimum(on_pairs(partial(dpo, beta=2.0), mixed, bradley_terry(REWARDS)), mixed)
    assert again.numpy() == near(best(beta=2.0 / 1.6))


# --- T9: chi-squared -------------------------------------------------------------------------------------------------


def test_chi_po_holds_back_where_kl_does_not():
    pairs = bradley_terry(torch.tensor([1.0, 0.0], dtype=torch.float64))
    chi = partial(penchant.chi_po_loss, beta=0.5, clip=100.0)
    assert optimum(on_pairs(chi, TWO, pairs), TWO)[0].item() == near(0.739350771499861)
    assert optimum(on_pairs(partial(dpo, beta=0.5), TWO, pairs), TWO)[0].item() == near(0.880797077977882)


def test_chi_po_on_one_comparison_stops_at_its_clip():
    def slope(share):
        ratios = math.log(share / 0.1), math.log((1 - share) / 0.9)
        return oracle.chi_po_grad(*ratios, beta=1.0, clip=2.0).chosen

    moving = brentq(lambda share: 0.5 if slope(share) < 0 else -0.5, 0.1, 0.9, xtol=1e-13)
    assert moving == pytest.approx(0.204503892885, abs=2e-12)
    assert oracle.dpo_grad(math.log(9.0), math.log(0.1 / 0.9), 0.0, 0.0, 1.0).chosen < 0  # DPO goes on to 1


# --- T10: rankings ---------------------------------------------------------------------------------------------------

SCORES = np.array([0.7, -0.2, 0.4])


def test_the_probabilities_of_all_rankings_add_up_to_1():
    losses = [
        penchant.plackett_luce_loss(SCORES[list(order)], np.zeros(3), 1.0) for order in itertools.permutations(range(3))
    ]
    assert math.fsum(math.exp(-loss) for loss in losses) == near(1.0, rel=1e-14)


def test_a_ranking_is_a_product_of_choices():
    weights = np.exp(SCORES)
    choices = weights[0] / weights.sum() * weights[1] / weights[1:].sum()
    assert math.exp(-penchant.plackett_luce_loss(SCORES, np.zeros(3), 1.0)) == near(choices, rel=1e-14)


@pytest.mark.parametrize("name", ["plackett_luce", "info_nca", "exo_list", "lipo"])
def test_rankings_know_differences_only(name, objectives, points):
    columns = points(objectives[name], 20)
    slopes = objectives[name].true_slopes(*columns)[0]
    assert np.abs(slopes.sum(-1)).max() < 1e-15
    shifted = [columns[0] + 7.0, *columns[1:]]
    assert objectives[name].loss(*shifted) == near(objectives[name].loss(*columns), rel=1e-12)


@pytest.mark.parametrize("z", [-30.0, -1.0, 0.0, 0.5, 8.0])
@pytest.mark.parametrize(("name", "constants"), [("rao_kupper", {"tie_margin": 0.5}), ("davidson", {"nu": 0.7})])
def test_win_loss_and_tie_add_up_to_1(name, constants, z, objectives):
    loss = partial(objectives[name].loss, beta=1.0, **constants)
    outcomes = (loss(z, 0.0, False), loss(0.0, z, False), loss(z, 0.0, True))
    assert math.fsum(math.exp(-outcome) for outcome in outcomes) == near(1.0, rel=1e-14)


# --- T11: KTO's baseline ---------------------------------------------------------------------------------------------


def test_the_baseline_moves_the_loss_and_not_its_graph():
    """That it is clamped, shared and never of an answer's own prompt is the trainer's part, and tested there."""
    ratios = torch.tensor([1.5, -2.0, 0.25], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([True, False, True])
    for form in ("sigmoid", "log_sigmoid"):
        baseline = ratios.mean().clamp(min=0)
        loss = penchant.kto_loss(ratios, labels, baseline, value_function=form, reduction="sum")
        (slope,) = torch.autograd.grad(loss, ratios)
        fixed = oracle.kto_grad([1.5, -2.0, 0.25], [True, False, True], baseline.item(), value_function=form)
        assert slope.numpy() == near(fixed.log_ratio, rel=1e-13)
