"""A third held-out set: whole functions as different people would write them, with what they must be told; written after
the checker, without its expressions. Several are wrong in a way that no list of faults named before."""

from __future__ import annotations

from whiteboard.templates import JAX, MATH, NUMPY, TORCH
from whiteboard.variants import Variant


def wrong(name: str, method: str, source: str, *expected: str) -> Variant:
    """A wrong function; each expectation is one mistake, alternatives separated by ``|``."""
    return Variant(name, method, source, tuple(frozenset(codes.split("|")) for codes in expected))


WRONG = (
    wrong(
        "beta-on-the-policy-only",
        "dpo",
        TORCH
        + """def dpo_loss(policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=0.1):
    policy_margin = beta * (policy_chosen_logps - policy_rejected_logps)
    reference_margin = ref_chosen_logps - ref_rejected_logps
    return -F.logsigmoid(policy_margin - reference_margin).mean()
""",
        "beta-partial",
    ),
    wrong(
        "sigmoid-by-hand",
        "dpo",
        NUMPY
        + """def loss(pi_w, pi_l, ref_w, ref_l, beta=0.1):
    reward_w = beta * (pi_w - ref_w)
    reward_l = beta * (pi_l - ref_l)
    p = np.exp(reward_w) / (np.exp(reward_w) + np.exp(reward_l))
    return float(np.mean(-np.log(p)))
""",
        "exp-overflow|naive-log-sigmoid",
    ),
    wrong(
        "a-library-loss-that-overflows",
        "dpo",
        TORCH
        + """def pairwise_loss(batch_policy_chosen, batch_policy_rejected, batch_ref_chosen, batch_ref_rejected, beta: float = 0.1):
    with torch.no_grad():
        anchor = batch_ref_chosen - batch_ref_rejected
    h = (batch_policy_chosen - batch_policy_rejected) - anchor
    return torch.nn.SoftMarginLoss()(beta * h, torch.ones_like(h))
""",
        "naive-log-sigmoid|exp-overflow",
    ),
    wrong(
        "column-of-references",
        "dpo",
        NUMPY
        + """def dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    policy = np.asarray(chosen) - np.asarray(rejected)
    reference = (np.asarray(ref_chosen) - np.asarray(ref_rejected)).reshape(-1, 1)
    return np.logaddexp(0.0, -beta * (policy - reference)).mean()
""",
        "broadcast",
    ),
    wrong(
        "wrong-class",
        "dpo",
        JAX
        + """def loss(policy_w, policy_l, ref_w, ref_l, beta=0.1):
    rewards = beta * jnp.stack([policy_w - jax.lax.stop_gradient(ref_w), policy_l - jax.lax.stop_gradient(ref_l)], -1)
    return -jnp.mean(jax.nn.log_softmax(rewards, axis=-1)[..., 1])
""",
        "sign-flipped",
    ),
    wrong(
        "smoothing-pushes-away",
        "dpo",
        TORCH
        + """def loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1, label_smoothing=0.1):
    z = beta * (policy_chosen - ref_chosen - policy_rejected + ref_rejected)
    return (-(1 - label_smoothing) * F.logsigmoid(z) + label_smoothing * F.logsigmoid(-z)).mean()
""",
        "smoothing-sign",
    ),
    wrong(
        "ratios-crossed",
        "dpo",
        NUMPY
        + """def dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    up = policy_chosen - reference_rejected
    down = policy_rejected - reference_chosen
    return np.log1p(np.exp(-abs(beta * (up - down)))) + np.maximum(-beta * (up - down), 0)
""",
        "log-probs-mixed-up",
    ),
    wrong(
        "half-precision",
        "dpo",
        TORCH
        + """def dpo(pc, pr, rc, rr, beta=0.1):
    pc, pr, rc, rr = (x.bfloat16() for x in (pc, pr, rc, rr))
    return F.softplus(-beta * ((pc - rc) - (pr - rr))).float().mean()
""",
        "low-precision",
    ),
    wrong(
        "changes-its-inputs",
        "dpo",
        NUMPY
        + """def dpo(pc, pr, rc, rr, beta=0.1):
    pc -= rc
    pr -= rr
    return np.logaddexp(0, beta * (pr - pc)).mean()
""",
        "inputs-modified",
    ),
    wrong(
        "no-grad-rewards",
        "dpo",
        TORCH
        + """def dpo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    with torch.no_grad():
        rejected_reward = beta * (policy_rejected - ref_rejected)
        chosen_ref = ref_chosen.clone()
    chosen_reward = beta * (policy_chosen - chosen_ref)
    return -F.logsigmoid(chosen_reward - rejected_reward).mean()
""",
        "policy-detached",
    ),
    wrong(
        "sum-and-no-beta",
        "dpo",
        TORCH
        + """def loss(pi_w, pi_l, ref_w, ref_l, beta=0.1):
    delta = pi_w - ref_w.detach() - (pi_l - ref_l.detach())
    total = torch.zeros(())
    return total + F.softplus(-delta).sum()
""",
        "sum-for-mean",
        "beta-missing",
    ),
    wrong(
        "target-twice-as-far",
        "ipo",
        NUMPY
        + """def ipo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, tau=0.1):
    h = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
    return np.square(h - 1.0 / tau).mean()
""",
        "ipo-target",
    ),
    wrong(
        "distance-not-squared",
        "ipo",
        TORCH
        + """def ipo_loss(log_ratio_w, log_ratio_l, beta=0.1):
    return F.l1_loss(log_ratio_w - log_ratio_l, torch.full_like(log_ratio_w, 1 / (2 * beta)))
""",
        "square-missing",
    ),
    wrong(
        "half-the-square",
        "ipo",
        JAX
        + """def ipo(a, b, beta=0.1):
    return -jnp.mean((a - b - 0.5 / beta) ** 2)
""",
        "minus-missing",
    ),
    wrong(
        "baseline-added",
        "kto",
        NUMPY
        + """def kto_loss(policy_logps, ref_logps, labels, z_ref, beta=0.1, w_desirable=1.0, w_undesirable=1.0):
    r = policy_logps - ref_logps
    good = w_desirable / (1 + np.exp(beta * (r + z_ref)))
    bad = w_undesirable / (1 + np.exp(-beta * (r + z_ref)))
    return np.where(np.asarray(labels) > 0.5, good, bad).mean()
""",
        "z_ref-sign",
    ),
    wrong(
        "tilde-on-integers",
        "kto",
        NUMPY
        + """def kto(policy_logps, ref_logps, is_desirable, z_ref, beta=0.1):
    r = np.asarray(policy_logps) - np.asarray(ref_logps) - z_ref
    sign = np.where(~is_desirable, -1.0, 1.0)
    return np.mean(1 / (1 + np.exp(sign * beta * r)))
""",
        "integer-labels",
    ),
    wrong(
        "weights-the-other-way",
        "kto",
        TORCH
        + """def kto(log_ratio, desirable, z_ref, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
    gain = torch.where(desirable, log_ratio - z_ref, z_ref - log_ratio) * beta
    weights = torch.where(desirable, undesirable_weight, desirable_weight)
    return (weights * torch.sigmoid(-gain)).mean()
""",
        "weights-swapped",
    ),
    wrong(
        "baseline-with-gradient",
        "kto",
        TORCH
        + """def kto(log_ratio, desirable, kl_log_ratios, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
    z_ref = kl_log_ratios.mean().clamp(min=0)
    gain = torch.where(desirable, log_ratio - z_ref, z_ref - log_ratio) * beta
    weights = torch.where(desirable, desirable_weight, undesirable_weight)
    return (weights * torch.sigmoid(-gain)).mean()
""",
        "z_ref-gradient",
    ),
    wrong(
        "margin-before-beta",
        "simpo",
        MATH
        + """def simpo(chosen_logp, rejected_logp, chosen_length, rejected_length, beta=2.0, gamma=0.5):
    lead = chosen_logp / chosen_length - rejected_logp / rejected_length - gamma
    z = beta * lead
    return math.log1p(math.exp(-z)) if z > 0 else -z + math.log1p(math.exp(z))
""",
        "gamma-inside-beta",
    ),
    wrong(
        "one-length-for-both",
        "simpo",
        NUMPY
        + """def simpo(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):
    tokens = (chosen_lengths + rejected_lengths) / 2
    z = beta * (chosen_logps - rejected_logps) / tokens - gamma
    return np.logaddexp(0, -z)
""",
        "lengths-shared",
    ),
    wrong(
        "probability-of-winning",
        "simpo",
        TORCH
        + """def simpo(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):
    r_w = chosen_logps / chosen_lengths
    r_l = rejected_logps / rejected_lengths
    return -torch.sigmoid(beta * (r_w - r_l) + gamma).mean()
""",
        "gamma-sign",
        "sigmoid-for-log-sigmoid",
    ),
    wrong(
        "odds-by-division",
        "orpo",
        NUMPY
        + """def orpo(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lambda_=0.1):
    p_w = np.exp(chosen_logps / chosen_lengths)
    p_l = np.exp(rejected_logps / rejected_lengths)
    ratio = (p_w / (1 - p_w)) / (p_l / (1 - p_l))
    return np.mean(-np.log(p_w) + lambda_ * np.log1p(1 / ratio))
""",
        "log-odds-unstable",
        "naive-log-sigmoid",
    ),
    wrong(
        "fine-tuning-on-sums",
        "orpo",
        TORCH
        + """def orpo(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lambda_=0.1):
    w, l = chosen_logps / chosen_lengths, rejected_logps / rejected_lengths
    log_odds = (w - l) - (torch.log(-torch.expm1(w)) - torch.log(-torch.expm1(l)))
    return (-chosen_logps - lambda_ * F.logsigmoid(log_odds)).mean()
""",
        "sft-sum",
    ),
    wrong(
        "rewarded-for-length",
        "r_dpo",
        NUMPY
        + """def r_dpo(pc, pr, rc, rr, chosen_lengths, rejected_lengths, beta=0.1, alpha=0.05):
    z = beta * ((pc - rc) - (pr - rr)) - alpha * (chosen_lengths - rejected_lengths)
    return np.logaddexp(0, -z).mean()
""",
        "alpha-sign|lengths-swapped",
    ),
    wrong(
        "rejected-raised",
        "apo_zero",
        NUMPY
        + """def apo_zero(a, b, beta=0.1):
    return np.mean(1 / (1 + np.exp(beta * a)) + 1 / (1 + np.exp(beta * b)))
""",
        "sign-flipped",
    ),
    wrong(
        "penalty-left-out",
        "dpop",
        TORCH
        + """def dpop(log_ratio_w, log_ratio_l, beta=0.3, lambda_=50.0):
    return F.softplus(-beta * (log_ratio_w - log_ratio_l)).mean()
""",
        "lambda-missing",
    ),
    wrong(
        "probabilities-not-smoothed",
        "cdpo",
        NUMPY
        + """def cdpo(pc, pr, rc, rr, beta=0.1, label_smoothing=0.1):
    z = beta * ((pc - rc) - (pr - rr))
    return (label_smoothing * np.logaddexp(0, -z) + (1 - label_smoothing) * np.logaddexp(0, z)).mean()
""",
        "sign-flipped|smoothing-reversed",
    ),
)

RIGHT = (
    (
        "dpo",
        MATH
        + """def loss(log_pi_w, log_pi_l, log_ref_w, log_ref_l, beta=0.1):
    z = beta * ((log_pi_w - log_ref_w) - (log_pi_l - log_ref_l))
    if z < -30:
        return -z
    return math.log1p(math.exp(-z))
""",
    ),
    (
        "dpo",
        JAX
        + """def loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    ref_chosen, ref_rejected = map(jax.lax.stop_gradient, (ref_chosen, ref_rejected))

    def one(pw, pl, rw, rl):
        return -jax.nn.log_sigmoid(beta * (pw - rw - pl + rl))

    return jax.vmap(one)(*map(jnp.atleast_1d, (policy_chosen, policy_rejected, ref_chosen, ref_rejected))).mean()
""",
    ),
    (
        "ipo",
        TORCH
        + """def ipo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, tau=0.1):
    margin = (policy_chosen - policy_rejected) - (ref_chosen - ref_rejected).detach()
    return F.mse_loss(margin, torch.full_like(margin, 0.5 / tau))
""",
    ),
    (
        "kto",
        NUMPY
        + """def kto(policy_logps, ref_logps, label, z_ref, beta=0.1, lambda_d=1.0, lambda_u=1.0):
    label = np.asarray(label).astype(bool)
    sign = np.where(label, 1.0, -1.0)
    weight = np.where(label, lambda_d, lambda_u)
    u = sign * beta * (np.asarray(policy_logps) - np.asarray(ref_logps) - z_ref)
    return np.mean(weight * 0.5 * (1 - np.tanh(u / 2)))
""",
    ),
    (
        "simpo",
        TORCH
        + """def simpo(average_chosen, average_rejected, beta=2.0, gamma_beta_ratio=0.25):
    return -F.logsigmoid(beta * (average_chosen - average_rejected - gamma_beta_ratio)).mean()
""",
    ),
    (
        "orpo",
        NUMPY
        + """def orpo(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lam=0.1):
    w, l = chosen_logps / chosen_lengths, rejected_logps / rejected_lengths

    def log1mexp(x):
        return np.where(x > -0.693, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))

    return np.mean(lam * np.logaddexp(0, (l - log1mexp(l)) - (w - log1mexp(w))) - w)
""",
    ),
    (
        "hinge",
        NUMPY
        + """def hinge(log_ratio_w, log_ratio_l, beta=0.05):
    return np.clip(1 - beta * (log_ratio_w - log_ratio_l), 0, None).mean()
""",
    ),
    (
        "sppo",
        TORCH
        + """def sppo(log_ratio_w, log_ratio_l, beta=0.001):
    eta = 1 / beta
    return ((log_ratio_w - eta / 2).square() + (log_ratio_l + eta / 2).square()).mean()
""",
    ),
    (
        "ln_dpo",
        JAX
        + """def ln_dpo(log_ratio_w, log_ratio_l, chosen_lengths, rejected_lengths, beta=5.0):
    gap = log_ratio_w / chosen_lengths - log_ratio_l / rejected_lengths
    return jnp.logaddexp(0.0, -beta * gap).mean()
""",
    ),
)
