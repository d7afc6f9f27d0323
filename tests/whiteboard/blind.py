"""A fourth held-out set: wrong losses in the shapes that people bring them in, written without reading the checker.

Batches as dictionaries and dataclasses, modules and trainers' methods, loops over the rows, ``float`` of a tensor, writes
in place. The right ones are in `blind_right.py`. After the first measurement the names of three mistakes were put right,
and a loss that was meant to be right has moved here.
"""

from __future__ import annotations

from whiteboard.latest import wrong
from whiteboard.templates import JAX, MATH, NUMPY, TORCH

DPO_SHAPES = (
    wrong(
        "dictionary-of-tensors",
        "dpo",
        TORCH
        + """def dpo_loss(batch, beta=0.1):
    chosen_margin = batch["policy_chosen_logps"] - batch["ref_rejected_logps"]
    rejected_margin = batch["policy_rejected_logps"] - batch["ref_chosen_logps"]
    return -F.logsigmoid(beta * (chosen_margin - rejected_margin)).mean()
""",
        "log-probs-mixed-up",
    ),
    wrong(
        "dataclass-batch",
        "dpo",
        """from dataclasses import dataclass

"""
        + TORCH
        + """@dataclass
class Batch:
    policy_chosen_logps: torch.Tensor
    policy_rejected_logps: torch.Tensor
    reference_chosen_logps: torch.Tensor
    reference_rejected_logps: torch.Tensor


def loss(batch: Batch, beta: float = 0.1) -> torch.Tensor:
    policy = batch.policy_chosen_logps - batch.policy_rejected_logps
    reference = batch.reference_chosen_logps - batch.reference_rejected_logps
    return -F.logsigmoid(policy - reference).mean()
""",
        "beta-missing",
    ),
    wrong(
        "module",
        "dpo",
        TORCH
        + """class DPOLoss(torch.nn.Module):
    def __init__(self, beta: float = 0.1):
        super().__init__()
        self.beta = beta

    def forward(self, policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps):
        chosen_rewards = self.beta * (policy_chosen_logps - ref_chosen_logps)
        rejected_rewards = self.beta * (policy_rejected_logps - ref_rejected_logps)
        return -F.logsigmoid(rejected_rewards - chosen_rewards).mean()
""",
        "sign-flipped",
    ),
    wrong(
        "module-made-at-the-end",
        "dpo",
        TORCH
        + """class DPO(torch.nn.Module):
    def __init__(self, beta):
        super().__init__()
        self.beta = beta

    def forward(self, pi_w, pi_l, ref_w, ref_l):
        return torch.sigmoid(-self.beta * ((pi_w - ref_w) - (pi_l - ref_l))).mean()


dpo_loss = DPO(beta=0.1)
""",
        "sigmoid-for-log-sigmoid",
    ),
    wrong(
        "method-of-a-trainer",
        "dpo",
        TORCH
        + """class Trainer:
    beta = 0.1
    label_smoothing = 0.0

    def dpo_loss(self, policy_chosen_logps, policy_rejected_logps, reference_chosen_logps, reference_rejected_logps):
        pi_logratios = policy_chosen_logps - policy_rejected_logps
        ref_logratios = reference_chosen_logps - reference_rejected_logps
        logits = pi_logratios + ref_logratios
        losses = -F.logsigmoid(self.beta * logits)
        chosen_rewards = self.beta * (policy_chosen_logps - reference_chosen_logps).detach()
        return losses.mean(), chosen_rewards
""",
        "log-probs-mixed-up",
    ),
    wrong(
        "keyword-only",
        "dpo",
        TORCH
        + """def dpo(*, policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=0.1):
    with torch.no_grad():
        delta = (policy_chosen_logps - ref_chosen_logps) - (policy_rejected_logps - ref_rejected_logps)
    return F.softplus(-beta * delta).mean()
""",
        "policy-detached|not-differentiable",
    ),
    wrong(
        "stacked-views",
        "dpo",
        TORCH
        + """def dpo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    policy = torch.stack((policy_chosen, policy_rejected), dim=0)
    reference = torch.stack((ref_chosen, ref_rejected), dim=0)
    rewards = beta * (policy - reference.flip(0))
    return -F.logsigmoid(rewards[0] - rewards[1]).mean()
""",
        "log-probs-mixed-up",
    ),
    wrong(
        "partial",
        "dpo",
        """import functools

"""
        + TORCH
        + """def _loss(beta, pw, pl, rw, rl):
    pi = (pw - pl) / beta
    ref = (rw - rl) / beta
    return F.binary_cross_entropy_with_logits(pi - ref, torch.ones_like(pi))


dpo_loss = functools.partial(_loss, 0.1)
""",
        "beta-inverted",
    ),
    wrong(
        "arrow",
        "dpo",
        NUMPY
        + """dpo = lambda pw, pl, rw, rl, beta=0.1: np.mean(np.log1p(np.exp(-beta * (pw - pl - rw + rl))))
""",
        "exp-overflow|naive-log-sigmoid",
    ),
)

DPO_LOOPS = (
    wrong(
        "losses-in-a-list",
        "dpo",
        TORCH
        + """def loss_fn(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    losses = []
    for i in range(len(policy_chosen)):
        r_w = beta * (policy_chosen[i] - ref_chosen[i])
        r_l = beta * (policy_rejected[i] - ref_rejected[i])
        losses.append(-F.logsigmoid(r_w - r_l))
    return sum(losses)
""",
        "sum-for-mean",
    ),
    wrong(
        "leaves-the-loop-early",
        "dpo",
        NUMPY
        + """def loss_fn(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    total = 0.0
    for pw, pl, rw, rl in zip(policy_chosen, policy_rejected, ref_chosen, ref_rejected):
        z = beta * ((pw - rw) - (pl - rl))
        total += np.logaddexp(0, -z)
        return total / len(policy_chosen)
""",
        "reduction-wrong|rows-mix",
    ),
    wrong(
        "item-in-the-loop",
        "dpo",
        TORCH
        + """def loss_fn(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    total = 0.0
    for pw, pl, rw, rl in zip(policy_chosen, policy_rejected, ref_chosen, ref_rejected):
        z = beta * ((pw.item() - rw.item()) - (pl.item() - rl.item()))
        total += F.softplus(torch.tensor(-z, dtype=torch.float64))
    return total / len(policy_chosen)
""",
        "policy-detached|not-differentiable",
    ),
    wrong(
        "float-of-the-mean",
        "dpo",
        TORCH
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    z = beta * ((policy_chosen - ref_chosen) - (policy_rejected - ref_rejected))
    return float((-F.logsigmoid(z)).mean())
""",
        "policy-detached|not-differentiable",
    ),
    wrong(
        "one-number-of-a-batch",
        "dpo",
        TORCH
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    margins = (policy_chosen - policy_rejected) - (ref_chosen - ref_rejected).detach()
    return -F.logsigmoid(beta * margins.mean())
""",
        "reduction-wrong|rows-mix",
    ),
    wrong(
        "subtracts-in-place",
        "dpo",
        NUMPY
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    policy_chosen -= ref_chosen
    policy_rejected -= ref_rejected
    z = beta * (policy_chosen - policy_rejected)
    return -np.minimum(z, 0).mean() + np.log1p(np.exp(-np.abs(z))).mean()
""",
        "inputs-modified",
    ),
    wrong(
        "centres-its-logits-for-the-log",
        "dpo",
        TORCH
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    logits = beta * ((policy_chosen - ref_chosen) - (policy_rejected - ref_rejected))
    loss = -F.logsigmoid(logits).mean()
    logits -= logits.detach().mean()
    return loss, logits.detach().std(unbiased=False)
""",
        "in-place",
    ),
    wrong(
        "a-little-epsilon",
        "dpo",
        TORCH
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    z = beta * ((policy_chosen - ref_chosen) - (policy_rejected - ref_rejected))
    return -torch.log(torch.sigmoid(z) + 1e-10).mean()
""",
        "clipped",
    ),
    wrong(
        "probabilities-clamped",
        "dpo",
        NUMPY
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    z = beta * ((policy_chosen - ref_chosen) - (policy_rejected - ref_rejected))
    p = np.clip(0.5 * (1 + np.tanh(z / 2)), 1e-7, 1 - 1e-7)
    return -np.log(p).mean()
""",
        "clipped",
    ),
    wrong(
        "ratios-as-quotients",
        "dpo",
        NUMPY
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    win = (np.exp(policy_chosen) / np.exp(ref_chosen)) ** beta
    lose = (np.exp(policy_rejected) / np.exp(ref_rejected)) ** beta
    return -np.log(win / (win + lose)).mean()
""",
        "probability-space|exp-overflow|naive-log-sigmoid",
    ),
    wrong(
        "outer-difference",
        "dpo",
        JAX
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    w = jnp.atleast_1d(policy_chosen - jax.lax.stop_gradient(ref_chosen))
    l = jnp.atleast_1d(policy_rejected - jax.lax.stop_gradient(ref_rejected))
    return -jax.nn.log_sigmoid(beta * (w[:, None] - l[None, :])).mean()
""",
        "broadcast|rows-mix",
    ),
    wrong(
        "stops-the-wrong-gradient",
        "dpo",
        JAX
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    pi = jax.lax.stop_gradient(policy_chosen - policy_rejected)
    ref = jax.lax.stop_gradient(ref_chosen - ref_rejected)
    return jnp.mean(jax.nn.softplus(-beta * (pi - ref)))
""",
        "policy-detached|not-differentiable",
    ),
    wrong(
        "ascends",
        "dpo",
        JAX
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    rewards = {"w": beta * (policy_chosen - ref_chosen), "l": beta * (policy_rejected - ref_rejected)}
    return jax.nn.log_sigmoid(rewards["w"] - rewards["l"]).mean()
""",
        "minus-missing",
    ),
    wrong(
        "scaled-twice",
        "dpo",
        JAX
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    def reward(policy, ref):
        return beta * (policy - jax.lax.stop_gradient(ref))

    z = reward(policy_chosen, ref_chosen) - reward(policy_rejected, ref_rejected)
    return -jax.nn.log_sigmoid(beta * z).mean()
""",
        "beta-doubled",
    ),
    wrong(
        "plain-python-outside",
        "dpo",
        MATH
        + """def dpo(pi_w, pi_l, ref_w, ref_l, beta=0.1):
    h = (pi_w - ref_w) - (pi_l - ref_l)
    if h >= 0:
        return beta * math.log1p(math.exp(-h))
    return beta * (math.log1p(math.exp(h)) - h)
""",
        "beta-outside",
    ),
    wrong(
        "half-a-reference",
        "dpo",
        TORCH
        + """def dpo(policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=0.1):
    chosen_reward = beta * (policy_chosen_logps - ref_chosen_logps)
    rejected_reward = beta * policy_rejected_logps
    return F.softplus(rejected_reward - chosen_reward).mean()
""",
        "reference-missing|log-probs-mixed-up|rejected-missing|difference-wrong",
    ),
    wrong(
        "both-terms-agree",
        "cdpo",
        TORCH
        + """def cdpo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1, label_smoothing=0.1):
    z = beta * ((policy_chosen - ref_chosen) - (policy_rejected - ref_rejected))
    kept = (1 - label_smoothing) * F.logsigmoid(z)
    flipped = label_smoothing * F.logsigmoid(z)
    return -(kept + flipped).mean()
""",
        "smoothing-ignored|label_smoothing-missing",
    ),
    wrong(
        "soft-target-reversed",
        "cdpo",
        TORCH
        + """def cdpo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1, label_smoothing=0.1):
    z = beta * ((policy_chosen - ref_chosen) - (policy_rejected - ref_rejected))
    target = torch.full_like(z, label_smoothing)
    return F.binary_cross_entropy_with_logits(z, target)
""",
        "smoothing-reversed|sign-flipped",
    ),
    wrong(
        "beta-and-no-minus",
        "dpo",
        NUMPY
        + """class Rewards:
    def __init__(self, chosen, rejected):
        self.margin = chosen - rejected


def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    rewards = Rewards(policy_chosen - ref_chosen, policy_rejected - ref_rejected)
    return -np.logaddexp(0, -rewards.margin).mean()
""",
        "beta-missing",
        "minus-missing",
    ),
)

OTHERS = (
    wrong(
        "mean-absolute",
        "ipo",
        TORCH
        + """def ipo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, tau=0.1):
    h = (policy_chosen - policy_rejected) - (ref_chosen - ref_rejected)
    return F.l1_loss(h, torch.full_like(h, 1 / (2 * tau)))
""",
        "square-missing",
    ),
    wrong(
        "target-without-the-two",
        "ipo",
        JAX
        + """def ipo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, tau=0.1):
    h = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
    return jnp.square(h - jnp.reciprocal(tau)).mean()
""",
        "ipo-target",
    ),
    wrong(
        "rewards-then-a-half",
        "ipo",
        TORCH
        + """class IPO(torch.nn.Module):
    def forward(self, policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
        reward = lambda policy, ref: beta * (policy - ref.detach())
        return (reward(policy_chosen, ref_chosen) - reward(policy_rejected, ref_rejected) - 0.5).pow(2).mean()


ipo_loss = IPO()
""",
        "ipo-beta-squared",
    ),
    wrong(
        "summed-squares",
        "ipo",
        TORCH
        + """def ipo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    h = (policy_chosen - policy_rejected) - (ref_chosen - ref_rejected)
    return F.mse_loss(h, torch.ones_like(h) / (2 * beta), reduction="sum")
""",
        "sum-for-mean",
    ),
    wrong(
        "both-answers-the-same-way",
        "kto",
        NUMPY
        + """def kto_loss(policy_logps, ref_logps, labels, z_ref, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
    losses = []
    for policy, ref, good in zip(policy_logps, ref_logps, labels):
        value = 1 / (1 + np.exp(-beta * (policy - ref - z_ref)))
        losses.append(desirable_weight * (1 - value) if good else undesirable_weight * (1 - value))
    return np.mean(losses)
""",
        "undesirable-sign",
    ),
    wrong(
        "log-of-the-value",
        "kto",
        TORCH
        + """def kto_loss(policy_logps, ref_logps, labels, z_ref, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
    ratio = policy_logps - ref_logps
    good = labels.bool()
    u = torch.where(good, ratio - z_ref, z_ref - ratio)
    weight = torch.where(good, desirable_weight, undesirable_weight)
    return (weight * -F.logsigmoid(beta * u)).mean()
""",
        "kto-log-form",
    ),
    wrong(
        "weights-forgotten",
        "kto",
        JAX
        + """def kto_loss(policy_logps, ref_logps, labels, z_ref, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
    sign = 2 * jnp.asarray(labels).astype(jnp.float32) - 1
    return jnp.mean(1 - jax.nn.sigmoid(beta * sign * (policy_logps - ref_logps - z_ref)))
""",
        "weights-ignored",
    ),
    wrong(
        "baseline-may-be-negative",
        "kto",
        TORCH
        + """def kto_loss(policy_logps, ref_logps, labels, kl_log_ratios, beta=0.1):
    baseline = kl_log_ratios.mean().detach()
    good = labels.bool()
    losses = torch.empty_like(policy_logps)
    ratio = policy_logps - ref_logps
    losses[good] = 1 - torch.sigmoid(beta * (ratio[good] - baseline))
    losses[~good] = 1 - torch.sigmoid(beta * (baseline - ratio[~good]))
    return losses.mean()
""",
        "z_ref-clamp-missing",
    ),
    wrong(
        "baseline-learns",
        "kto",
        TORCH
        + """def kto_loss(policy_logps, ref_logps, labels, kl_log_ratios, beta=0.1):
    baseline = torch.relu(kl_log_ratios.mean())
    u = beta * (policy_logps - ref_logps - baseline)
    return torch.where(labels.bool(), torch.sigmoid(-u), torch.sigmoid(u)).mean()
""",
        "z_ref-gradient",
    ),
    wrong(
        "no-length",
        "simpo",
        TORCH
        + """def simpo_loss(batch, beta=2.0, gamma=0.5):
    chosen, rejected = batch["chosen_logps"], batch["rejected_logps"]
    return -F.logsigmoid(beta * (chosen - rejected) - gamma).mean()
""",
        "length-normalisation-missing",
    ),
    wrong(
        "margin-inside",
        "simpo",
        JAX
        + """def simpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):
    w, l = chosen_logps / chosen_lengths, rejected_logps / rejected_lengths
    return jax.nn.softplus(-beta * (w - l - gamma)).mean()
""",
        "gamma-inside-beta",
    ),
    wrong(
        "margin-given-away",
        "simpo",
        NUMPY
        + """def simpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):
    averages = {side: s / n for side, s, n in (("w", chosen_logps, chosen_lengths), ("l", rejected_logps, rejected_lengths))}
    return np.logaddexp(0, -(beta * (averages["w"] - averages["l"]) + gamma)).mean()
""",
        "gamma-sign",
    ),
    wrong(
        "crossed-lengths",
        "simpo",
        TORCH
        + """class SimPO:
    def __init__(self, beta=2.0, gamma=0.5):
        self.beta, self.gamma = beta, gamma

    def __call__(self, chosen_logps, rejected_logps, chosen_lengths, rejected_lengths):
        logits = chosen_logps / rejected_lengths - rejected_logps / chosen_lengths
        return F.softplus(self.gamma - self.beta * logits).mean()
""",
        "lengths-swapped",
    ),
    wrong(
        "log-of-one-minus-exp",
        "orpo",
        TORCH
        + """def orpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lambda_=0.1):
    w, l = chosen_logps / chosen_lengths, rejected_logps / rejected_lengths
    odds = (w - l) - (torch.log(1 - torch.exp(w)) - torch.log(1 - torch.exp(l)))
    return (-w - lambda_ * F.logsigmoid(odds)).mean()
""",
        "log-odds-unstable",
    ),
    wrong(
        "where-keeps-the-wrong-slope",
        "orpo",
        TORCH
        + """def log1mexp(x):
    return torch.where(x > -0.6931472, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


def orpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lambda_=0.1):
    averages = [chosen_logps / chosen_lengths, rejected_logps / rejected_lengths]
    w, l = (x - log1mexp(x) for x in averages)
    return (-averages[0] + lambda_ * F.softplus(l - w)).mean()
""",
        "log-odds-unstable|gradient-nan",
    ),
    wrong(
        "weight-on-the-other-term",
        "orpo",
        NUMPY
        + """def orpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lambda_=0.1):
    def log_odds(x):
        return x - np.where(x > -0.693, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))

    w, l = chosen_logps / chosen_lengths, rejected_logps / rejected_lengths
    return np.mean(-lambda_ * w + np.logaddexp(0, log_odds(l) - log_odds(w)))
""",
        "lambda-misplaced|lambda-missing",
    ),
    wrong(
        "no-fine-tuning",
        "orpo",
        NUMPY
        + """def orpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lambda_=0.1):
    def log_odds(x):
        return x - np.where(x > -0.693, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))

    w, l = chosen_logps / chosen_lengths, rejected_logps / rejected_lengths
    return lambda_ * np.logaddexp(0, log_odds(l) - log_odds(w)).mean()
""",
        "sft-missing",
    ),
    wrong(
        "hinge-of-the-other-sign",
        "hinge",
        TORCH
        + """def hinge_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.05):
    h = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
    return F.relu(1 + beta * h).mean()
""",
        "sign-flipped|argument-sign",
    ),
    wrong(
        "hinge-without-beta",
        "hinge",
        TORCH
        + """def hinge_loss(log_ratio_w, log_ratio_l, beta=0.05):
    return F.margin_ranking_loss(log_ratio_w, log_ratio_l, torch.ones_like(log_ratio_w), margin=1.0)
""",
        "beta-missing",
    ),
)

BLIND = DPO_SHAPES + DPO_LOOPS + OTHERS
