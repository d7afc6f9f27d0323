"""Golden rows of the losses on rated pairs."""

from __future__ import annotations

import mpmath as mp

from .recipe import Recipe, bernoulli_kl, row, softplus


def odpo(a, b, s, t, beta, alpha):
    return softplus(alpha * mp.log(s - t) - beta * (a - b))


def modpo(a, b, margin, beta, objective_weight):
    return softplus((margin - beta * (a - b)) / objective_weight)


def rebel(a, b, s, t, eta):
    return ((a - b) / eta - (s - t)) ** 2


def reward_aware(a, b, s, t, beta, eta, distance):
    z, target = beta * (a - b), eta * (s - t)
    if distance == "squared":
        return (z - target) ** 2
    return bernoulli_kl(z, target) if distance == "forward_kl" else bernoulli_kl(target, z)


RATIOS = ("log_ratio_w", "log_ratio_l")
RECIPES = {
    "odpo_loss": Recipe(odpo, (*RATIOS, "chosen_scores", "rejected_scores"), {"beta": 0.1, "alpha": 1.0}),
    "modpo_loss": Recipe(modpo, (*RATIOS, "margin"), {"beta": 0.1, "objective_weight": 1.0}),
    "rebel_loss": Recipe(rebel, (*RATIOS, "chosen_scores", "rejected_scores"), {"eta": 1.0}),
    "reward_aware_loss": Recipe(
        reward_aware,
        (*RATIOS, "chosen_scores", "rejected_scores"),
        {"beta": 0.1, "eta": 1.0, "distance": "backward_kl"},
    ),
}

# fmt: off
ROWS = [
    row("odpo_loss", "P", (2.0, -1.0, 4.0, 2.0),
        0.9089181979565277, -0.05970400888171234, 0.05970400888171234),
    row("odpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (4.0, 3.5, 5.0), (1.0, 3.0, 4.5)),
        0.5990127545540606,
        (-0.05620057119966686, -0.059951061278505746, -0.00548587031783316),
        (0.05620057119966686, 0.059951061278505746, 0.00548587031783316), alpha=0.5),
    row("odpo_loss", "policy is reference", (0.0, 0.0, 3.0, 1.0),
        1.0986122886681098, -0.2, 0.2, beta=0.3),
    row("odpo_loss", "800 apart", ((500.0, -300.0), (-300.0, 500.0), (2.0, 2.0), (1.0, 0.5)),
        400.2027325540541, (-0.0, -1.0), (0.0, 1.0), beta=1.0),
    row("modpo_loss", "P", (2.0, -1.0, 0.5),
        0.7981388693815918, -0.054983399731247794, 0.054983399731247794),
    row("modpo_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (0.5, -1.5, 2.0)),
        0.4758967393003093,
        (-0.1197375320224904, -0.036485104761271266, -0.053788284273999024),
        (0.1197375320224904, 0.036485104761271266, 0.053788284273999024), objective_weight=0.5),
    row("modpo_loss", "policy is reference", (0.0, 0.0, 0.0),
        0.6931471805599453, -0.15, 0.15, beta=0.3),
    row("modpo_loss", "z 800 and -800", ((500.0, -300.0), (-300.0, 500.0), (0.0, 0.0)),
        400.0, (-0.0, -1.0), (0.0, 1.0), beta=1.0),
    row("rebel_loss", "P", (2.0, -1.0, 1.0, 0.0),
        4.0, 4.0, -4.0),
    row("rebel_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (4.0, 3.5, 5.0), (1.0, 3.0, 4.5)),
        899.8333333333334, (12.0, -62.0, 198.0), (-12.0, 62.0, -198.0), eta=0.5),
    row("rebel_loss", "policy is reference", (0.0, 0.0, 3.0, 1.0),
        4.0, -4.0, 4.0),
    row("rebel_loss", "800 apart", ((500.0, -300.0), (-300.0, 500.0), (2.0, 2.0), (1.0, 0.5)),
        640401.625, (1598.0, -1603.0), (-1598.0, 1603.0)),
    row("reward_aware_loss", "P", (2.0, -1.0, 1.0, 0.0),
        0.0528345619913077, -0.01566160618183459, 0.01566160618183459),
    row("reward_aware_loss", "policy is reference", (0.0, 0.0, 3.0, 1.0),
        0.3278133254727377, -0.11423912339336473, 0.11423912339336473, beta=0.3),
    row("reward_aware_loss", "800 apart", ((500.0, -300.0), (-300.0, 500.0), (2.0, 2.0), (1.0, 0.5)),
        434.07773168916526,
        (0.2689414213699951, -0.8175744761936437), (-0.2689414213699951, 0.8175744761936437), beta=1.0),
    row("reward_aware_loss", "P forward", (2.0, -1.0, 1.0, 0.0),
        0.05679668128153442, -0.01711208181835221, 0.01711208181835221, distance='forward_kl'),
    row("reward_aware_loss", "forward batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (4.0, 3.5, 5.0), (1.0, 3.0, 4.5)),
        0.20078096893935568,
        (-0.029334997402889505, -0.021789499376181402, 0.015773336222649335),
        (0.029334997402889505, 0.021789499376181402, -0.015773336222649335), eta=0.5, distance='forward_kl'),
    row("reward_aware_loss", "policy is reference, forward", (0.0, 0.0, 3.0, 1.0),
        0.4337808304830272, -0.15, 0.15, beta=0.3, distance='forward_kl'),
    row("reward_aware_loss", "800 apart, forward", ((500.0, -300.0), (-300.0, 500.0), (2.0, 2.0), (1.0, 0.5)),
        1.0073374827504875, (0.0, 0.0), (0.0, 0.0), beta=1.0, distance='forward_kl'),
    row("reward_aware_loss", "ratings 3 apart", (2.0, -1.0, 4.0, 1.0),
        0.37771803531535475, -0.03781316100107742, 0.03781316100107742),
    row("reward_aware_loss", "squared", (2.0, -1.0, 1.0, 0.0),
        0.49, -0.14, 0.14, distance='squared'),
    row("reward_aware_loss", "a batch", ((1.0, -4.5, 30.0), (-2.0, 3.0, 5.0), (4.0, 3.5, 5.0), (1.0, 3.0, 4.5)),
        0.2483975374868873,
        (-0.024313195938198466, -0.02413552000611911, 0.03619653190929584),
        (0.024313195938198466, 0.02413552000611911, -0.03619653190929584), eta=0.5),
    row("rebel_loss", "P distilled", (2.0, -1.0, 1.0, 0.0), 0.49, -0.14, 0.14, eta=10.0),
]
# fmt: on
