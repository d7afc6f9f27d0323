"""A second held-out set, written before the checker was changed for the first time after the first one."""

from __future__ import annotations

from whiteboard.templates import JAX, MATH, NUMPY, TORCH, Template, edit

FRESH = (
    Template(
        "fresh-dpo-torch-cross-entropy",
        "dpo",
        TORCH
        + """def dpo(logp_w, logp_l, ref_w, ref_l, beta=0.1, label_smoothing=0.0):
    chosen_reward = (logp_w - ref_w.detach()).mul(beta)
    rejected_reward = (logp_l - ref_l.detach()).mul(beta)
    logits = chosen_reward.sub(rejected_reward)
    keep = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits), reduction="none")
    flip = F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits), reduction="none")
    return torch.lerp(keep, flip, label_smoothing).mean()
""",
        (
            edit("sign-flipped", "chosen_reward.sub(rejected_reward)", "rejected_reward.sub(chosen_reward)"),
            edit("log-probs-mixed-up", "chosen_reward.sub", "chosen_reward.add"),
            edit("reference-missing", "(logp_w - ref_w.detach())", "(logp_w - ref_l.detach())"),
            edit("beta-missing", ".mul(beta)", ""),
            edit("beta-doubled", "sub(rejected_reward)", "sub(rejected_reward) * beta"),
            edit("smoothing-reversed", "torch.lerp(keep, flip", "torch.lerp(flip, keep"),
            edit("smoothing-ignored", "torch.lerp(keep, flip, label_smoothing)", "keep"),
            edit("minus-missing", "return torch", "return -torch"),
            edit("sum-for-mean", ".mean()", ".sum()"),
            edit("policy-detached", "(logp_w -", "(logp_w.detach() -"),
            edit("reference-gradient", ".detach()", ""),
        ),
    ),
    Template(
        "fresh-dpo-python",
        "dpo",
        MATH
        + """def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def dpo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):
    ahead = policy_chosen - policy_rejected
    ahead_before = ref_chosen - ref_rejected
    return softplus(-beta * (ahead - ahead_before))
""",
        (
            edit("sign-flipped", "-beta *", "beta *"),
            edit("reference-missing", "(ahead - ahead_before)", "ahead"),
            edit("policy-missing", "(ahead - ahead_before)", "-ahead_before"),
            edit("log-probs-mixed-up", "ahead - ahead_before", "ahead + ahead_before"),
            edit("beta-inverted", "-beta * (ahead - ahead_before)", "-(ahead - ahead_before) / beta"),
            edit("beta-outside", "softplus(-beta * (ahead - ahead_before))", "beta * softplus(ahead_before - ahead)"),
            edit(
                "exp-overflow|naive-log-sigmoid",
                "max(x, 0.0) + math.log1p(math.exp(-abs(x)))",
                "math.log(1 + math.exp(x))",
            ),
            edit("minus-missing", "return softplus", "return -softplus"),
            edit("rejected-missing", "(ahead - ahead_before)", "(policy_chosen - ref_chosen)"),
        ),
    ),
    Template(
        "fresh-ipo-torch-mse",
        "ipo",
        TORCH
        + """def ipo_loss(chosen_logratios, rejected_logratios, tau=0.1):
    h = chosen_logratios - rejected_logratios
    return F.mse_loss(h, torch.full_like(h, 0.5 / tau))
""",
        (
            edit("sign-flipped", "chosen_logratios - rejected_logratios\n", "rejected_logratios - chosen_logratios\n"),
            edit("ipo-target", "0.5 / tau", "1 / tau"),
            edit("ipo-target", "0.5 / tau", "0.5 * tau"),
            edit("ipo-target", "0.5 / tau", "0.5"),
            edit(
                "ipo-beta-squared",
                "F.mse_loss(h, torch.full_like(h, 0.5 / tau))",
                "F.mse_loss(h * tau, torch.full_like(h, 0.5))",
            ),
            edit("ipo-sigmoid", "F.mse_loss(h, torch.full_like(h, 0.5 / tau))", "-F.logsigmoid(h - 0.5 / tau).mean()"),
            edit("square-missing", "F.mse_loss", "F.l1_loss"),
            edit("policy-detached", "chosen_logratios - rej", "chosen_logratios.detach() - rej"),
            edit("minus-missing", "return F", "return -F"),
        ),
    ),
    Template(
        "fresh-kto-jax",
        "kto",
        JAX
        + """def kto_loss(log_ratio, is_desirable, z_ref=0.0, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
    centred = log_ratio - jax.lax.stop_gradient(z_ref)
    direction = 2.0 * is_desirable - 1.0
    weight = undesirable_weight + (desirable_weight - undesirable_weight) * is_desirable
    return jnp.mean(weight * jax.nn.sigmoid(-beta * direction * centred))
""",
        (
            edit("undesirable-sign", "2.0 * is_desirable - 1.0", "jnp.ones_like(log_ratio)"),
            edit("labels-inverted|minus-missing|sign-flipped", "2.0 * is_desirable - 1.0", "1.0 - 2.0 * is_desirable"),
            edit("z_ref-missing", "log_ratio - jax.lax.stop_gradient(z_ref)", "log_ratio"),
            edit("z_ref-sign", "log_ratio - jax", "log_ratio + jax"),
            edit("beta-missing", "-beta * direction", "-direction"),
            edit("beta-doubled", "-beta * direction", "-beta * beta * direction"),
            edit("kto-log-form", "jax.nn.sigmoid(-beta", "jax.nn.softplus(-beta"),
            edit(
                "weights-swapped",
                "undesirable_weight + (desirable_weight - undesirable_weight)",
                "desirable_weight + (undesirable_weight - desirable_weight)",
            ),
            edit("weights-ignored", "weight * jax", "jax"),
            edit("sum-for-mean", "jnp.mean", "jnp.sum"),
            edit("z_ref-gradient", "jax.lax.stop_gradient(z_ref)", "z_ref"),
        ),
    ),
    Template(
        "fresh-simpo-numpy",
        "simpo",
        NUMPY
        + """def simpo_loss(logps_w, logps_l, len_w, len_l, beta=2.0, gamma=0.5):
    averages = np.array([logps_w, logps_l]) / np.array([len_w, len_l])
    margin = np.subtract(*averages) * beta - gamma
    return np.log1p(np.exp(-np.abs(margin))).mean() + np.maximum(-margin, 0).mean()
""",
        (
            edit("length-normalisation-missing", " / np.array([len_w, len_l])", ""),
            edit("lengths-swapped", "[len_w, len_l]", "[len_l, len_w]"),
            edit("lengths-multiplied", " / np.array([len", " * np.array([len"),
            edit("lengths-shared", "[len_w, len_l]", "[len_w, len_w]"),
            edit("gamma-missing", "* beta - gamma", "* beta"),
            edit("gamma-sign", "* beta - gamma", "* beta + gamma"),
            edit(
                "gamma-inside-beta", "np.subtract(*averages) * beta - gamma", "(np.subtract(*averages) - gamma) * beta"
            ),
            edit("beta-missing", "* beta - gamma", "- gamma"),
            edit("sign-flipped", "np.subtract(*averages)", "np.subtract(*averages[::-1])"),
            edit("sum-for-mean", ".mean()", ".sum()"),
        ),
    ),
    Template(
        "fresh-orpo-torch",
        "orpo",
        TORCH
        + """def orpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lambda_=0.1):
    w, l = chosen_logps / chosen_lengths, rejected_logps / rejected_lengths
    logit = torch.stack([w - torch.log(-torch.expm1(w)), l - torch.log(-torch.expm1(l))])
    odds_term = F.softplus(logit[1] - logit[0])
    return torch.mean(odds_term * lambda_ - w)
""",
        (
            edit("sign-flipped", "logit[1] - logit[0]", "logit[0] - logit[1]"),
            edit("sft-missing", "lambda_ - w", "lambda_"),
            edit("sft-sign", "lambda_ - w", "lambda_ + w"),
            edit("sft-rejected", "lambda_ - w", "lambda_ - l"),
            edit("lambda-missing", "odds_term * lambda_", "odds_term"),
            edit("odds-missing", "[w - torch.log(-torch.expm1(w)), l - torch.log(-torch.expm1(l))]", "[w, l]"),
            edit("log-odds-unstable", "-torch.expm1(w)", "1 - torch.exp(w)", "-torch.expm1(l)", "1 - torch.exp(l)"),
            edit(
                "length-normalisation-missing",
                "chosen_logps / chosen_lengths, rejected_logps / rejected_lengths",
                "chosen_logps, rejected_logps",
            ),
            edit("sum-for-mean", "torch.mean", "torch.sum"),
            edit("policy-detached", "w, l = chosen_logps /", "w, l = chosen_logps.detach() /"),
        ),
    ),
)
