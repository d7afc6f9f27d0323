"""Right losses in the shapes of `blind.py`: none may be called wrong."""

from __future__ import annotations

from whiteboard.templates import JAX, MATH, NUMPY, TORCH

BLIND_RIGHT = (
    (
        "dpo",
        TORCH
        + """def dpo_loss(batch, beta=0.1):
    policy = batch["policy_chosen_logps"] - batch["policy_rejected_logps"]
    reference = batch["ref_chosen_logps"] - batch["ref_rejected_logps"]
    return -F.logsigmoid(beta * (policy - reference)).mean()
""",
    ),
    (
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
    return F.softplus(-beta * (policy - reference)).mean()
""",
    ),
    (
        "dpo",
        TORCH
        + """class DPOLoss(torch.nn.Module):
    def __init__(self, beta: float = 0.1):
        super().__init__()
        self.beta = beta

    def forward(self, policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps):
        chosen_rewards = self.beta * (policy_chosen_logps - ref_chosen_logps.detach())
        rejected_rewards = self.beta * (policy_rejected_logps - ref_rejected_logps.detach())
        return -F.logsigmoid(chosen_rewards - rejected_rewards).mean()
""",
    ),
    (
        "dpo",
        TORCH
        + """class Trainer:
    beta = 0.1

    def dpo_loss(self, policy_chosen_logps, policy_rejected_logps, reference_chosen_logps, reference_rejected_logps):
        chosen_logratios = policy_chosen_logps - reference_chosen_logps.detach()
        rejected_logratios = policy_rejected_logps - reference_rejected_logps.detach()
        losses = -F.logsigmoid(self.beta * (chosen_logratios - rejected_logratios))
        return losses, self.beta * chosen_logratios.detach(), self.beta * rejected_logratios.detach()
""",
    ),
    (
        "dpo",
        """import functools

"""
        + TORCH
        + """def _loss(beta, pw, pl, rw, rl):
    return F.binary_cross_entropy_with_logits(beta * ((pw - pl) - (rw - rl).detach()), torch.ones_like(pw))


dpo_loss = functools.partial(_loss, 0.1)
""",
    ),
    (
        "dpo",
        TORCH
        + """def dpo(*, policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=0.1):
    with torch.no_grad():
        anchor = ref_chosen_logps - ref_rejected_logps
    delta = policy_chosen_logps - policy_rejected_logps
    delta = delta - anchor
    return {"loss": F.softplus(-beta * delta).mean(), "margin": beta * delta.detach()}
""",
    ),
    (
        "dpo",
        """from typing import NamedTuple

"""
        + NUMPY
        + """class Pair(NamedTuple):
    chosen: np.ndarray
    ref_chosen: np.ndarray
    rejected: np.ndarray
    ref_rejected: np.ndarray


def dpo(pi_w, pi_l, ref_w, ref_l, beta=0.1):
    pair = Pair(pi_w, ref_w, pi_l, ref_l)
    h = (pair.chosen - pair.ref_chosen) - (pair.rejected - pair.ref_rejected)
    return np.logaddexp(0, -beta * h).mean()
""",
    ),
    (
        "dpo",
        MATH
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    losses = []
    for pw, pl, rw, rl in zip(policy_chosen, policy_rejected, ref_chosen, ref_rejected):
        z = beta * ((pw - rw) - (pl - rl))
        losses.append(math.log1p(math.exp(-z)) if z > 0 else math.log1p(math.exp(z)) - z)
    return sum(losses) / len(losses)
""",
    ),
    (
        "dpo",
        JAX
        + """@jax.jit
def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    rewards = {
        "w": beta * (policy_chosen - jax.lax.stop_gradient(ref_chosen)),
        "l": beta * (policy_rejected - jax.lax.stop_gradient(ref_rejected)),
    }
    return jnp.mean(jax.nn.softplus(rewards["l"] - rewards["w"]))
""",
    ),
    (
        "dpo",
        TORCH
        + """def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    z = policy_chosen.clone()
    z -= policy_rejected
    z -= (ref_chosen - ref_rejected).detach()
    z *= beta
    losses = torch.empty_like(z)
    losses[...] = F.softplus(-z)
    return losses.mean()
""",
    ),
    (
        "cdpo",
        TORCH
        + """def cdpo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1, label_smoothing=0.1):
    z = beta * ((policy_chosen - policy_rejected) - (ref_chosen - ref_rejected).detach())
    return F.binary_cross_entropy_with_logits(z, torch.full_like(z, 1 - label_smoothing))
""",
    ),
    (
        "ipo",
        TORCH
        + """class IPO(torch.nn.Module):
    def __init__(self, tau=0.1):
        super().__init__()
        self.tau = tau

    def forward(self, policy_chosen, policy_rejected, ref_chosen, ref_rejected):
        h = (policy_chosen - policy_rejected) - (ref_chosen - ref_rejected).detach()
        return F.mse_loss(h, torch.full_like(h, 1 / (2 * self.tau)))


ipo_loss = IPO()
""",
    ),
    (
        "kto",
        TORCH
        + """def kto_loss(policy_logps, ref_logps, labels, z_ref, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
    losses = []
    for policy, ref, good in zip(policy_logps, ref_logps.detach(), labels.bool()):
        u = beta * (policy - ref - z_ref)
        losses.append(desirable_weight * torch.sigmoid(-u) if good else undesirable_weight * torch.sigmoid(u))
    return torch.stack(losses).mean()
""",
    ),
    (
        "kto",
        TORCH
        + """def kto_loss(policy_logps, ref_logps, labels, kl_log_ratios, beta=0.1):
    baseline = kl_log_ratios.mean().clamp(min=0).detach()
    ratio = policy_logps - ref_logps.detach()
    good = labels.bool()
    losses = torch.empty_like(policy_logps)
    losses[good] = 1 - torch.sigmoid(beta * (ratio[good] - baseline))
    losses[~good] = 1 - torch.sigmoid(beta * (baseline - ratio[~good]))
    return losses.mean()
""",
    ),
    (
        "simpo",
        TORCH
        + """def simpo_loss(batch, beta=2.0, gamma=0.5):
    w = batch["chosen_logps"] / batch["chosen_lengths"]
    l = batch["rejected_logps"] / batch["rejected_lengths"]
    return -F.logsigmoid(beta * (w - l) - gamma).mean()
""",
    ),
    (
        "simpo",
        JAX
        + """def simpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, beta=2.0, gamma_beta_ratio=0.25):
    w, l = chosen_logps / chosen_lengths, rejected_logps / rejected_lengths
    return -jax.nn.log_sigmoid(beta * (w - l - gamma_beta_ratio)).mean()
""",
    ),
    (
        "orpo",
        TORCH
        + """def log_one_minus_exp(x):
    near = x > -0.6931472
    return torch.where(
        near,
        torch.log(-torch.expm1(torch.where(near, x, -1.0))),
        torch.log1p(-torch.exp(torch.where(near, -1.0, x))),
    )


def orpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lambda_=0.1):
    averages = [chosen_logps / chosen_lengths, rejected_logps / rejected_lengths]
    w, l = (x - log_one_minus_exp(x) for x in averages)
    return (-averages[0] + lambda_ * F.softplus(l - w)).mean()
""",
    ),
    (
        "hinge",
        TORCH
        + """def hinge_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.05):
    h = (policy_chosen - policy_rejected) - (ref_chosen - ref_rejected).detach()
    return F.hinge_embedding_loss(beta * h, -torch.ones_like(h), margin=1.0)
""",
    ),
)
