"""Variants written after the checker was finished, in styles that it was not tuned on; measured, never tuned for."""

from __future__ import annotations

from whiteboard.templates import JAX, NUMPY, TORCH, Template, edit

HELD_OUT = (
    Template(
        "held-dpo-torch-einsum",
        "dpo",
        TORCH
        + """def preference_loss(logp_win, logp_lose, ref_logp_win, ref_logp_lose, temperature=0.1):
    stacked = torch.stack([logp_win, logp_lose, ref_logp_win.detach(), ref_logp_lose.detach()])
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=stacked.dtype)
    gap = torch.einsum("k,kb->b", signs, stacked)
    per_pair = F.softplus(gap * -temperature)
    return per_pair.sum() / per_pair.numel()
""",
        (
            edit("log-probs-mixed-up", "[1.0, -1.0, -1.0, 1.0]", "[1.0, -1.0, 1.0, -1.0]"),
            edit("sign-flipped", "[1.0, -1.0, -1.0, 1.0]", "[-1.0, 1.0, 1.0, -1.0]"),
            edit("reference-missing", "[1.0, -1.0, -1.0, 1.0]", "[1.0, -1.0, 0.0, 0.0]"),
            edit("log-probs-mixed-up", "[1.0, -1.0, -1.0, 1.0]", "[1.0, 1.0, -1.0, 1.0]"),
            edit("beta-missing", "gap * -temperature", "-gap"),
            edit("beta-inverted", "gap * -temperature", "-gap / temperature"),
            edit("beta-doubled", "gap * -temperature", "gap * -temperature * temperature"),
            edit(
                "naive-log-sigmoid|exp-overflow",
                "F.softplus(gap * -temperature)",
                "(1 + (gap * -temperature).exp()).log()",
            ),
            edit("sum-for-mean", " / per_pair.numel()", ""),
            edit("policy-detached", "[logp_win,", "[logp_win.data,"),
            edit("reference-gradient", ".detach()", ""),
            edit("minus-missing", "per_pair.sum()", "-per_pair.sum()"),
        ),
    ),
    Template(
        "held-dpo-jax-value",
        "dpo",
        JAX
        + """def implicit_reward(policy, reference, beta):
    return beta * (policy - jax.lax.stop_gradient(reference))


def dpo_objective(policy_chosen, policy_rejected, reference_chosen, reference_rejected, *, beta=0.1):
    good = implicit_reward(policy_chosen, reference_chosen, beta)
    bad = implicit_reward(policy_rejected, reference_rejected, beta)
    stacked = jnp.stack([good, bad])
    return (jax.scipy.special.logsumexp(stacked, axis=0) - good).mean()
""",
        (
            edit("sign-flipped", "axis=0) - good", "axis=0) - bad"),
            edit("log-probs-mixed-up", "(policy_rejected, reference_rejected", "(reference_rejected, policy_rejected"),
            edit("beta-missing", "return beta * ", "return "),
            edit("beta-doubled", "return beta *", "return beta * 2 *"),
            edit(
                "minus-missing",
                "jax.scipy.special.logsumexp(stacked, axis=0) - good",
                "good - jax.scipy.special.logsumexp(stacked, axis=0)",
            ),
            edit("sum-for-mean", ".mean()", ".sum()"),
            edit(
                "exp-overflow|naive-log-sigmoid",
                "jax.scipy.special.logsumexp(stacked, axis=0)",
                "jnp.log(jnp.exp(good) + jnp.exp(bad))",
            ),
            edit("reference-gradient", "jax.lax.stop_gradient(reference)", "reference"),
        ),
    ),
    Template(
        "held-ipo-numpy-loop",
        "ipo",
        NUMPY
        + """def ipo(pw, pl, rw, rl, beta=0.1):
    losses = []
    for i in range(len(pw)):
        gap = (pw[i] - rw[i]) - (pl[i] - rl[i])
        losses.append(np.square(gap - np.reciprocal(2.0 * beta)))
    return np.array(losses)
""",
        (
            edit("sign-flipped", "gap = (", "gap = -("),
            edit("sign-flipped", "gap = (pw[i] - rw[i]) - (pl[i] - rl[i])", "gap = pl[i] - rl[i] - pw[i] + rw[i]"),
            edit("ipo-beta-squared", "gap - np.reciprocal(2.0 * beta)", "beta * gap - 1 / 2"),
            edit("ipo-target", "2.0 * beta", "beta"),
            edit("ipo-target", "gap - np", "gap + np"),
            edit(
                "ipo-sigmoid",
                "np.square(gap - np.reciprocal(2.0 * beta))",
                "np.square(1 / (1 + np.exp(-beta * gap)) - 0.5)",
            ),
            edit("square-missing", "np.square(", "np.abs("),
            edit("sum-for-mean", "np.array(losses)", "sum(losses)"),
            edit("log-probs-mixed-up", "pw[i] - rw[i]", "pw[i] - rl[i]", "pl[i] - rl[i]", "pl[i] - rw[i]"),
        ),
    ),
    Template(
        "held-kto-torch",
        "kto",
        TORCH
        + """def kahneman(chosen_or_not_logps_policy, reference_logps, thumbs, z0, beta=0.1):
    advantage = beta * ((chosen_or_not_logps_policy - reference_logps.detach()) - z0)
    thumbs = thumbs.to(advantage.dtype)
    return (thumbs * torch.sigmoid(-advantage) + (1 - thumbs) * torch.sigmoid(advantage)).mean()
""",
        (
            edit("undesirable-sign", "torch.sigmoid(advantage)", "torch.sigmoid(-advantage)"),
            edit(
                "labels-inverted|minus-missing|sign-flipped",
                "torch.sigmoid(-advantage) + (1 - thumbs) * torch.sigmoid(advantage)",
                "torch.sigmoid(advantage) + (1 - thumbs) * torch.sigmoid(-advantage)",
            ),
            edit(
                "kto-log-form",
                "torch.sigmoid(-advantage)",
                "F.softplus(-advantage)",
                "torch.sigmoid(advantage)",
                "F.softplus(advantage)",
            ),
            edit("z_ref-missing", " - z0)", ")"),
            edit("z_ref-sign", " - z0)", " + z0)"),
            edit(
                "z_ref-outside-beta",
                "beta * ((chosen_or_not_logps_policy - reference_logps.detach()) - z0)",
                "beta * (chosen_or_not_logps_policy - reference_logps.detach()) - z0",
            ),
            edit("beta-doubled", "beta * (", "beta ** 2 * ("),
            edit("sum-for-mean", ".mean()", ".sum()"),
            edit("policy-detached", "(chosen_or_not_logps_policy -", "(chosen_or_not_logps_policy.detach() -"),
            edit("broadcast", "thumbs = thumbs", "thumbs = thumbs[:, None]"),
        ),
    ),
    Template(
        "held-simpo-jax",
        "simpo",
        JAX
        + """def length_normalised(total, count):
    return jnp.divide(total, count)


def simpo_objective(logp_chosen, logp_rejected, chosen_token_count, rejected_token_count, beta=2.0, gamma=0.5):
    reward_gap = beta * length_normalised(logp_chosen, chosen_token_count)
    reward_gap -= beta * length_normalised(logp_rejected, rejected_token_count)
    return -jax.nn.log_sigmoid(reward_gap - gamma).mean()
""",
        (
            edit("length-normalisation-missing", "jnp.divide(total, count)", "total"),
            edit("lengths-multiplied", "jnp.divide(total, count)", "jnp.multiply(total, count)"),
            edit("lengths-shared", "rejected_token_count)\n    return", "chosen_token_count)\n    return"),
            edit("gamma-inside-beta", "reward_gap - gamma", "reward_gap - beta * gamma"),
            edit("gamma-missing", "reward_gap - gamma", "reward_gap"),
            edit("difference-wrong", "reward_gap -= ", "reward_gap += "),
            edit("minus-missing", "-jax.nn", "jax.nn"),
            edit("sum-for-mean", ".mean()", ".sum()"),
            edit(
                "naive-log-sigmoid",
                "jax.nn.log_sigmoid(reward_gap - gamma)",
                "jnp.log(1 / (1 + jnp.exp(gamma - reward_gap)))",
            ),
            edit("lengths-clamped", "jnp.divide(total, count)", "jnp.divide(total, jnp.clip(count, 1))"),
        ),
    ),
    Template(
        "held-orpo-numpy",
        "orpo",
        NUMPY
        + """def odds_ratio_po(sum_logp_chosen, sum_logp_rejected, len_chosen, len_rejected, weight=None, lam=0.1):
    mean_w = sum_logp_chosen / len_chosen
    mean_l = sum_logp_rejected / len_rejected
    not_w, not_l = -np.expm1(mean_w), -np.expm1(mean_l)
    log_or = mean_w - mean_l - np.log(not_w) + np.log(not_l)
    return np.average(lam * np.logaddexp(0.0, -log_or) - mean_w)
""",
        (
            edit(
                "log-odds-unstable",
                "-np.expm1(mean_w)",
                "1 - np.exp(mean_w)",
                "-np.expm1(mean_l)",
                "1 - np.exp(mean_l)",
            ),
            edit("sft-missing", " - mean_w)", ")"),
            edit("sft-sign", " - mean_w)", " + mean_w)"),
            edit("sft-rejected", " - mean_w)", " - mean_l)"),
            edit("lambda-missing", "lam * np", "np"),
            edit("odds-missing", " - np.log(not_w) + np.log(not_l)", ""),
            edit("odds-sign", "- np.log(not_w) + np.log(not_l)", "+ np.log(not_w) - np.log(not_l)"),
            edit("sign-flipped", "-log_or", "log_or"),
            edit("minus-missing|term-subtracted", "lam * np", "-lam * np"),
            edit("sum-for-mean", "np.average", "np.sum"),
        ),
    ),
)
