"""Hand-written losses as text, and edits that break them: what `penchant check` is measured on.

A template is right as it stands. An edit replaces text by text, and names the finding it must lead to; where no caller
can tell two mistakes apart, either name is right. Nothing here uses the expressions that the checker's own faults are
written in.
"""

from __future__ import annotations

from dataclasses import dataclass

NUMPY = "import numpy as np\n\n\n"
TORCH = "import torch\nimport torch.nn.functional as F\n\n\n"
JAX = "import jax\nimport jax.numpy as jnp\n\n\n"
MATH = "import math\n\n\n"

Edit = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Template:
    name: str
    method: str
    source: str
    edits: tuple[Edit, ...]


def edit(codes: str, *replacements: str) -> Edit:
    """An edit: codes separated by ``|``, then old and new text in turn."""
    return codes, tuple(zip(replacements[::2], replacements[1::2], strict=True))


FLIP = "sign-flipped"
MIXED = "log-probs-mixed-up"

TEMPLATES = (
    Template(
        "dpo-numpy-steps",
        "dpo",
        NUMPY
        + """def dpo_loss(logp_chosen, logp_rejected, logp_ref_chosen, logp_ref_rejected, beta=0.1):
    ratio_w = logp_chosen - logp_ref_chosen
    ratio_l = logp_rejected - logp_ref_rejected
    z = beta * (ratio_w - ratio_l)
    losses = np.logaddexp(0.0, -z)
    return losses.mean()
""",
        (
            edit(FLIP, "(ratio_w - ratio_l)", "(ratio_l - ratio_w)"),
            edit(FLIP, "np.logaddexp(0.0, -z)", "np.logaddexp(0.0, z)"),
            edit(
                MIXED,
                "logp_chosen - logp_ref_chosen",
                "logp_chosen - logp_ref_rejected",
                "logp_rejected - logp_ref_rejected",
                "logp_ref_chosen - logp_rejected",
            ),
            edit(MIXED, "(ratio_w - ratio_l)", "(ratio_w + ratio_l)"),
            edit(MIXED, "logp_rejected - logp_ref_rejected", "logp_rejected + logp_ref_rejected"),
            edit(
                "reference-missing",
                "logp_chosen - logp_ref_chosen",
                "logp_chosen",
                "logp_rejected - logp_ref_rejected",
                "logp_rejected",
            ),
            edit("rejected-missing", "(ratio_w - ratio_l)", "ratio_w"),
            edit("beta-missing", "beta * (ratio_w", "(ratio_w"),
            edit("beta-doubled", "beta * (ratio_w", "2 * beta * (ratio_w"),
            edit("beta-doubled", "z = beta", "z = beta * beta"),
            edit("beta-inverted", "beta * (ratio_w - ratio_l)", "(ratio_w - ratio_l) / beta"),
            edit("beta-outside", "beta * (ratio_w", "(ratio_w", "np.logaddexp", "beta * np.logaddexp"),
            edit("sigmoid-for-log-sigmoid", "np.logaddexp(0.0, -z)", "-1 / (1 + np.exp(-z))"),
            edit("naive-log-sigmoid", "np.logaddexp(0.0, -z)", "-np.log(1 / (1 + np.exp(-z)))"),
            edit("naive-log-sigmoid|exp-overflow", "np.logaddexp(0.0, -z)", "np.log1p(np.exp(-z))"),
            edit("clipped", "np.logaddexp(0.0, -z)", "-np.log(1 / (1 + np.exp(-np.clip(z, -500, 500))))"),
            edit("clipped", "np.logaddexp(0.0, -z)", "-np.log(1 / (1 + np.exp(-np.clip(z, -30, 30))) + 1e-12)"),
            edit("minus-missing", "losses = np", "losses = -np"),
            edit("sum-for-mean", ".mean()", ".sum()"),
            edit("broadcast", "z = beta * (ratio_w - ratio_l)", "z = beta * (ratio_w - ratio_l[:, None])"),
            edit(
                "inputs-modified",
                "ratio_w = logp_chosen - logp_ref_chosen",
                "logp_chosen -= logp_ref_chosen\n    ratio_w = logp_chosen",
            ),
            edit(
                "low-precision",
                "    ratio_w = ",
                "    logp_chosen = np.float16(logp_chosen)\n    logp_ref_chosen = "
                "np.float16(logp_ref_chosen)\n    logp_rejected = np.float16(logp_rejected)\n    ratio_w = ",
            ),
        ),
    ),
    Template(
        "dpo-numpy-sheet",
        "dpo",
        NUMPY
        + """def log_sigmoid(x):
    return -np.logaddexp(0, -x)


def dpo(pw, pl, rw, rl, beta):
    return np.mean(-log_sigmoid(beta * ((pw - pl) - (rw - rl))))
""",
        (
            edit(FLIP, "(pw - pl) - (rw - rl)", "(rw - rl) - (pw - pl)"),
            edit(MIXED, "(pw - pl) - (rw - rl)", "(pw - rl) - (rw - pl)"),
            edit(MIXED, "(pw - pl) - (rw - rl)", "(pw - rw) + (pl - rl)"),
            edit(MIXED, "(pw - pl) - (rw - rl)", "(pw - pl) + (rw + rl)"),
            edit("reference-missing", "((pw - pl) - (rw - rl))", "(pw - pl)"),
            edit("policy-missing", "((pw - pl) - (rw - rl))", "(rl - rw)"),
            edit("beta-missing", "beta * (", "("),
            edit("beta-doubled", "beta * (", "beta ** 2 * ("),
            edit("sigmoid-for-log-sigmoid", "return -np.logaddexp(0, -x)", "return 1 / (1 + np.exp(-x))"),
            edit("naive-log-sigmoid", "return -np.logaddexp(0, -x)", "return np.log(1 / (1 + np.exp(-x)))"),
            edit(
                "exp-overflow|naive-log-sigmoid",
                "return -np.logaddexp(0, -x)",
                "return np.log(np.exp(x) / (1 + np.exp(x)))",
            ),
            edit("minus-missing", "np.mean(-log", "np.mean(log"),
            edit("sum-for-mean", "np.mean(", "np.sum("),
        ),
    ),
    Template(
        "dpo-torch-detached",
        "dpo",
        TORCH
        + """def dpo_loss(policy_chosen_logps, policy_rejected_logps, reference_chosen_logps, reference_rejected_logps,
             beta: float = 0.1, label_smoothing: float = 0.0):
    pi_logratios = policy_chosen_logps - policy_rejected_logps
    ref_logratios = (reference_chosen_logps - reference_rejected_logps).detach()
    logits = pi_logratios - ref_logratios
    losses = (
        -F.logsigmoid(beta * logits) * (1 - label_smoothing)
        - F.logsigmoid(-beta * logits) * label_smoothing
    )
    return losses.mean()
""",
        (
            edit(FLIP, "logits = pi_logratios - ref_logratios", "logits = ref_logratios - pi_logratios"),
            edit(MIXED, "logits = pi_logratios - ref_logratios", "logits = pi_logratios + ref_logratios"),
            edit(
                "smoothing-reversed",
                "logits) * (1 - label_smoothing)",
                "logits) * XX",
                "logits) * label_smoothing",
                "logits) * (1 - label_smoothing)",
                "XX",
                "label_smoothing",
            ),
            edit(
                "smoothing-ignored",
                " * (1 - label_smoothing)",
                "",
                "        - F.logsigmoid(-beta * logits) * label_smoothing\n",
                "",
            ),
            edit("smoothing-one-sided", "        - F.logsigmoid(-beta * logits) * label_smoothing\n", ""),
            edit("smoothing-adds", " * (1 - label_smoothing)", ""),
            edit("beta-missing", "beta * logits", "logits"),
            edit("beta-doubled", "beta * logits", "beta * 2 * logits"),
            edit(
                "naive-log-sigmoid",
                "F.logsigmoid(beta * logits)",
                "torch.log(torch.sigmoid(beta * logits))",
                "F.logsigmoid(-beta * logits)",
                "torch.log(torch.sigmoid(-beta * logits))",
            ),
            edit("sigmoid-for-log-sigmoid", "F.logsigmoid", "torch.sigmoid"),
            edit("sum-for-mean", "losses.mean()", "losses.sum()"),
            edit("policy-detached", "logits = pi_logratios", "logits = pi_logratios.detach()"),
            edit(
                "policy-detached",
                "policy_chosen_logps - policy_rejected_logps",
                "policy_chosen_logps - policy_rejected_logps.detach()",
            ),
            edit("reference-gradient", ".detach()", ""),
            edit(
                "low-precision",
                "    pi_logratios = ",
                "    policy_chosen_logps = policy_chosen_logps.bfloat16()\n    pi_logratios = ",
            ),
            edit(
                "broadcast",
                "logits = pi_logratios - ref_logratios",
                "logits = pi_logratios - ref_logratios.unsqueeze(1)",
            ),
            edit(
                "in-place",
                "logits = pi_logratios - ref_logratios",
                "policy_chosen_logps -= policy_rejected_logps\n    logits = policy_chosen_logps - ref_logratios",
            ),
            edit(
                "not-differentiable|policy-detached",
                "return losses.mean()",
                "return torch.tensor(losses.mean().item())",
            ),
        ),
    ),
    Template(
        "dpo-torch-rewards",
        "dpo",
        TORCH
        + """def compute(chosen, rejected, ref_chosen, ref_rejected, beta):
    with torch.no_grad():
        ref_chosen, ref_rejected = ref_chosen.clone(), ref_rejected.clone()
    chosen_reward = beta * (chosen - ref_chosen)
    rejected_reward = beta * (rejected - ref_rejected)
    loss = F.softplus(rejected_reward - chosen_reward)
    return loss, chosen_reward.detach(), rejected_reward.detach()
""",
        (
            edit(FLIP, "rejected_reward - chosen_reward)", "chosen_reward - rejected_reward)"),
            edit(MIXED, "softplus(rejected_reward - chosen_reward)", "softplus(rejected_reward + chosen_reward)"),
            edit(
                MIXED,
                "(chosen - ref_chosen)",
                "(chosen - rejected)",
                "(rejected - ref_rejected)",
                "(ref_rejected - ref_chosen)",
            ),
            edit("beta-missing", "beta * (chosen", "(chosen", "beta * (rejected", "(rejected"),
            edit("minus-missing", "loss = F", "loss = -F"),
            edit(
                "naive-log-sigmoid",
                "F.softplus(rejected_reward - chosen_reward)",
                "-torch.log(torch.sigmoid(chosen_reward - rejected_reward))",
            ),
            edit(
                "naive-log-sigmoid|exp-overflow",
                "F.softplus(rejected_reward - chosen_reward)",
                "torch.log(1 + torch.exp(rejected_reward - chosen_reward))",
            ),
            edit(
                "clipped",
                "F.softplus(rejected_reward - chosen_reward)",
                "-torch.log(torch.sigmoid(chosen_reward - rejected_reward) + 1e-8)",
            ),
            edit(
                "clipped",
                "F.softplus(rejected_reward - chosen_reward)",
                "-torch.log(torch.sigmoid(chosen_reward - rejected_reward).clamp(min=1e-6))",
            ),
            edit(
                "sigmoid-for-log-sigmoid",
                "F.softplus(rejected_reward - chosen_reward)",
                "-torch.sigmoid(chosen_reward - rejected_reward)",
            ),
            edit("policy-detached", "loss = F", "chosen_reward = chosen_reward.detach()\n    loss = F"),
            edit(
                "probability-space",
                "beta * (chosen - ref_chosen)",
                "beta * torch.log(torch.exp(chosen) / torch.exp(ref_chosen))",
            ),
            edit("in-place", "    chosen_reward = ", "    chosen.sub_(0.0)\n    chosen_reward = "),
            edit(
                "mean-rows|rows-mix",
                "    return loss,",
                "    loss = loss - loss.mean() + loss.flip(0)\n    return loss,",
            ),
        ),
    ),
    Template(
        "dpo-jax",
        "dpo",
        JAX
        + """def dpo(pi_w, pi_l, ref_w, ref_l, beta=0.1):
    ref_w, ref_l = jax.lax.stop_gradient(ref_w), jax.lax.stop_gradient(ref_l)
    h = (pi_w - ref_w) - (pi_l - ref_l)
    return jnp.mean(-jax.nn.log_sigmoid(beta * h))
""",
        (
            edit(FLIP, "(pi_w - ref_w) - (pi_l - ref_l)", "(pi_l - ref_l) - (pi_w - ref_w)"),
            edit(MIXED, "(pi_w - ref_w) - (pi_l - ref_l)", "(pi_w - ref_l) - (ref_w - pi_l)"),
            edit("chosen-missing", "(pi_w - ref_w) - (pi_l - ref_l)", "-(pi_l - ref_l)"),
            edit("beta-missing", "beta * h", "h"),
            edit("beta-inverted", "beta * h", "h / beta"),
            edit("beta-outside", "-jax.nn.log_sigmoid(beta * h)", "-beta * jax.nn.log_sigmoid(h)"),
            edit("sigmoid-for-log-sigmoid", "jax.nn.log_sigmoid", "jax.nn.sigmoid"),
            edit("minus-missing", "-jax.nn", "jax.nn"),
            edit("sum-for-mean", "jnp.mean", "jnp.sum"),
            edit("naive-log-sigmoid", "jax.nn.log_sigmoid(beta * h)", "jnp.log(jax.nn.sigmoid(beta * h))"),
            edit("naive-log-sigmoid|exp-overflow", "-jax.nn.log_sigmoid(beta * h)", "jnp.log1p(jnp.exp(-beta * h))"),
            edit("policy-detached", "(pi_w - ref_w)", "(jax.lax.stop_gradient(pi_w) - ref_w)"),
            edit(
                "reference-gradient",
                "    ref_w, ref_l = jax.lax.stop_gradient(ref_w), jax.lax.stop_gradient(ref_l)\n",
                "",
            ),
            edit(
                "gradient-nan",
                "-jax.nn.log_sigmoid(beta * h)",
                "jnp.where(beta * h > 0, jnp.log1p(jnp.exp(-beta * h)), -beta * h + jnp.log1p(jnp.exp(beta * h)))",
            ),
            edit("broadcast", "(pi_l - ref_l)\n", "(pi_l - ref_l).reshape(-1, 1)\n"),
        ),
    ),
    Template(
        "dpo-python",
        "dpo",
        MATH
        + """def dpo_loss(policy_w, policy_l, reference_w, reference_l, beta=0.1):
    z = beta * ((policy_w - reference_w) - (policy_l - reference_l))
    if z < 0:
        return -z + math.log1p(math.exp(z))
    return math.log1p(math.exp(-z))
""",
        (
            edit(FLIP, "z = beta", "z = -beta"),
            edit("beta-missing", "beta * (", "("),
            edit("beta-doubled", "beta * (", "beta * beta * ("),
            edit(MIXED, "policy_l - reference_l", "policy_l + reference_l"),
            edit("naive-log-sigmoid|exp-overflow", "    if z < 0:\n        return -z + math.log1p(math.exp(z))\n", ""),
        ),
    ),
    Template(
        "ipo-ratios",
        "ipo",
        NUMPY
        + """def ipo_loss(log_ratio_w, log_ratio_l, beta=0.1):
    h = log_ratio_w - log_ratio_l
    return np.mean((h - 1 / (2 * beta)) ** 2)
""",
        (
            edit(FLIP, "log_ratio_w - log_ratio_l", "log_ratio_l - log_ratio_w"),
            edit("ipo-beta-squared", "(h - 1 / (2 * beta))", "(beta * h - 0.5)"),
            edit("ipo-target", "1 / (2 * beta)", "1 / beta"),
            edit("ipo-target", "1 / (2 * beta)", "1 / 2 * beta"),
            edit("ipo-target", "1 / (2 * beta)", "0.5"),
            edit("ipo-target", "h - 1", "h + 1"),
            edit("ipo-target", "(h - 1 / (2 * beta))", "(beta * h - 1 / (2 * beta))"),
            edit("ipo-target", "h - 1 / (2 * beta)", "h"),
            edit("square-missing", " ** 2", ""),
            edit("square-missing", "(h - 1 / (2 * beta)) ** 2", "np.abs(h - 1 / (2 * beta))"),
            edit("ipo-sigmoid", "(h - 1 / (2 * beta)) ** 2", "np.logaddexp(0, -(h - 1 / (2 * beta)))"),
            edit("ipo-sigmoid", "(h - 1 / (2 * beta)) ** 2", "(1 / (1 + np.exp(-h)) - 0.5) ** 2"),
            edit("minus-missing", "np.mean((h", "-np.mean((h"),
            edit("sum-for-mean", "np.mean(", "np.sum("),
            edit(MIXED, "log_ratio_w - log_ratio_l", "log_ratio_w + log_ratio_l"),
            edit("broadcast", "h = log_ratio_w - log_ratio_l", "h = np.subtract.outer(log_ratio_w, log_ratio_l)"),
            edit(
                "inputs-modified",
                "h = log_ratio_w - log_ratio_l",
                "h = np.subtract(log_ratio_w, log_ratio_l, out=log_ratio_w)",
            ),
        ),
    ),
    Template(
        "ipo-torch-four",
        "ipo",
        TORCH
        + """def ipo(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, tau=0.1):
    pi = chosen_logps - rejected_logps
    ref = ref_chosen_logps.detach() - ref_rejected_logps.detach()
    margin = pi - ref
    return torch.square(margin - 0.5 / tau).mean()
""",
        (
            edit(FLIP, "pi - ref", "ref - pi"),
            edit("reference-missing", "margin = pi - ref", "margin = pi"),
            edit(MIXED, "pi - ref", "pi + ref"),
            edit("ipo-beta-squared", "margin - 0.5 / tau", "tau * margin - 0.5"),
            edit("ipo-target", "0.5 / tau", "1 / tau"),
            edit("ipo-target", "0.5 / tau", "2 * tau"),
            edit("ipo-sigmoid", "torch.square(margin - 0.5 / tau)", "-F.logsigmoid(margin - 0.5 / tau)"),
            edit("ipo-sigmoid", "torch.square(margin - 0.5 / tau)", "torch.square(torch.sigmoid(tau * margin) - 0.5)"),
            edit("square-missing", "torch.square", ""),
            edit("sum-for-mean", ".mean()", ".sum()"),
            edit("policy-detached", "margin = pi", "margin = pi.detach()"),
            edit("reference-gradient", ".detach()", ""),
            edit("low-precision", "margin = pi - ref", "margin = pi.half() - ref.half()"),
            edit("in-place", "margin = pi - ref", "margin = chosen_logps.sub_(rejected_logps) - ref"),
        ),
    ),
    Template(
        "kto-numpy-where",
        "kto",
        NUMPY
        + """def kto_loss(log_ratio, is_desirable, z_ref=0.0, beta=0.1):
    sign = np.where(is_desirable, 1.0, -1.0)
    u = sign * beta * (log_ratio - z_ref)
    value = np.exp(-np.logaddexp(0, -u))
    return np.mean(1 - value)
""",
        (
            edit("kto-log-form", "np.exp(-np.logaddexp(0, -u))", "1 - np.logaddexp(0, -u)"),
            edit("labels-inverted|sign-flipped|minus-missing", "1.0, -1.0", "-1.0, 1.0"),
            edit("undesirable-sign", "1.0, -1.0", "1.0, 1.0"),
            edit("desirable-sign", "1.0, -1.0", "-1.0, -1.0"),
            edit("z_ref-missing", "(log_ratio - z_ref)", "log_ratio"),
            edit("z_ref-sign", "log_ratio - z_ref", "log_ratio + z_ref"),
            edit("z_ref-outside-beta", "beta * (log_ratio - z_ref)", "(beta * log_ratio - z_ref)"),
            edit("beta-missing", "sign * beta *", "sign *"),
            edit("beta-doubled", "beta * (", "beta ** 2 * ("),
            edit("minus-missing|labels-inverted", "1 - value", "value"),
            edit("exp-overflow", "np.exp(-np.logaddexp(0, -u))", "np.exp(u) / (1 + np.exp(u))"),
            edit("sum-for-mean", "np.mean", "np.sum"),
            edit("broadcast", "(log_ratio - z_ref)", "(log_ratio - z_ref)[:, None]"),
        ),
    ),
    Template(
        "kto-numpy-mask",
        "kto",
        NUMPY
        + """def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def kto(policy_logps, ref_logps, is_desirable, z_ref, beta):
    mask = np.asarray(is_desirable) == 1
    r = policy_logps - ref_logps
    loss = np.zeros_like(r)
    loss[mask] = sigmoid(-beta * (r[mask] - z_ref))
    loss[~mask] = sigmoid(beta * (r[~mask] - z_ref))
    return loss.mean()
""",
        (
            edit("integer-labels", "np.asarray(is_desirable) == 1", "is_desirable"),
            edit("undesirable-sign", "sigmoid(beta *", "sigmoid(-beta *"),
            edit("desirable-sign", "sigmoid(-beta *", "sigmoid(beta *"),
            edit("sign-flipped|labels-inverted", "policy_logps - ref_logps", "ref_logps - policy_logps"),
            edit("reference-missing", "policy_logps - ref_logps", "policy_logps + 0"),
            edit("difference-wrong", "policy_logps - ref_logps", "policy_logps + ref_logps"),
            edit("z_ref-one-sided", "(r[~mask] - z_ref)", "(r[~mask] + z_ref)"),
            edit("two-means", "loss.mean()", "loss[mask].mean() + loss[~mask].mean()"),
            edit("sum-for-mean", "loss.mean()", "loss.sum()"),
            edit("beta-missing", "-beta", "-1.0", "beta * (r[~", "1.0 * (r[~"),
            edit("inputs-modified", "r = policy_logps - ref_logps", "policy_logps -= ref_logps\n    r = policy_logps"),
        ),
    ),
    Template(
        "kto-torch-kl",
        "kto",
        TORCH
        + """def kto_loss(policy_logps, ref_logps, labels, kl_log_ratios, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0):
    z = kl_log_ratios.mean().clamp(min=0).detach()
    r = policy_logps - ref_logps.detach()
    good = labels.bool()
    up = 1 - torch.sigmoid(beta * (r - z))
    down = 1 - torch.sigmoid(beta * (z - r))
    return torch.where(good, desirable_weight * up, undesirable_weight * down).mean()
""",
        (
            edit("z_ref-gradient", ".clamp(min=0).detach()", ".clamp(min=0)"),
            edit("z_ref-clamp-missing", ".clamp(min=0)", ""),
            edit("z_ref-missing", "(r - z)", "r", "(z - r)", "(-r)"),
            edit("undesirable-sign", "(z - r)", "(r - z)"),
            edit("z_ref-sign", "(r - z)", "(r + z)", "(z - r)", "(-z - r)"),
            edit(
                "weights-swapped",
                "desirable_weight * up, undesirable_weight",
                "undesirable_weight * up, desirable_weight",
            ),
            edit("weights-ignored", "desirable_weight * up, undesirable_weight * down", "up, down"),
            edit("kto-log-form", "1 - torch.sigmoid", "-F.logsigmoid"),
            edit("policy-detached", "policy_logps - ref", "policy_logps.detach() - ref"),
            edit("sum-for-mean", "down).mean()", "down).sum()"),
            edit("beta-missing", "beta * (r", "(r", "beta * (z", "(z"),
            edit("reference-gradient", "ref_logps.detach()", "ref_logps"),
        ),
    ),
    Template(
        "simpo-torch",
        "simpo",
        TORCH
        + """def simpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):
    avg_w = chosen_logps / chosen_lengths
    avg_l = rejected_logps / rejected_lengths
    logits = beta * (avg_w - avg_l) - gamma
    return -F.logsigmoid(logits).mean()
""",
        (
            edit("length-normalisation-missing", " / chosen_lengths", "", " / rejected_lengths", ""),
            edit(
                "lengths-swapped",
                "/ chosen_lengths",
                "/ XX",
                "/ rejected_lengths",
                "/ chosen_lengths",
                "XX",
                "rejected_lengths",
            ),
            edit("lengths-shared", "/ rejected_lengths", "/ chosen_lengths"),
            edit(
                "lengths-clamped",
                "/ chosen_lengths",
                "/ chosen_lengths.clamp(max=8)",
                "/ rejected_lengths",
                "/ rejected_lengths.clamp(max=8)",
            ),
            edit(
                "lengths-clamped",
                "/ chosen_lengths",
                "/ chosen_lengths.clamp(min=1)",
                "/ rejected_lengths",
                "/ rejected_lengths.clamp(min=1)",
            ),
            edit(FLIP, "avg_w - avg_l", "avg_l - avg_w"),
            edit("beta-missing", "beta * (", "("),
            edit("beta-doubled", "beta * (", "2 * beta * ("),
            edit("gamma-inside-beta", "(avg_w - avg_l) - gamma", "(avg_w - avg_l - gamma)"),
            edit("gamma-missing", " - gamma\n", "\n"),
            edit("gamma-sign", " - gamma\n", " + gamma\n"),
            edit("naive-log-sigmoid", "F.logsigmoid(logits)", "torch.sigmoid(logits).log()"),
            edit("sigmoid-for-log-sigmoid", "F.logsigmoid", "torch.sigmoid"),
            edit("minus-missing", "return -F", "return F"),
            edit("sum-for-mean", ".mean()", ".sum()"),
            edit("broadcast", "chosen_logps / chosen_lengths", "(chosen_logps / chosen_lengths).unsqueeze(-1)"),
            edit("policy-detached", "rejected_logps / ", "rejected_logps.detach() / "),
            edit("in-place", "chosen_logps / chosen_lengths", "chosen_logps.div_(chosen_lengths)"),
        ),
    ),
    Template(
        "simpo-numpy-means",
        "simpo",
        NUMPY
        + """def simpo(avg_logp_chosen, avg_logp_rejected, beta=2.0, gamma=0.5):
    margin = beta * avg_logp_chosen - beta * avg_logp_rejected - gamma
    return np.logaddexp(0, -margin)
""",
        (
            edit(
                FLIP,
                "beta * avg_logp_chosen - beta * avg_logp_rejected",
                "beta * avg_logp_rejected - beta * avg_logp_chosen",
            ),
            edit("difference-wrong", "- beta *", "+ beta *"),
            edit("gamma-sign", "- gamma", "+ gamma"),
            edit("gamma-inside-beta", "- gamma", "- beta * gamma"),
            edit("minus-missing", "return np", "return -np"),
            edit("naive-log-sigmoid|exp-overflow", "np.logaddexp(0, -margin)", "np.log(1 + np.exp(-margin))"),
            edit("sum-for-mean", "np.logaddexp(0, -margin)", "np.logaddexp(0, -margin).sum()"),
        ),
    ),
    Template(
        "orpo-torch",
        "orpo",
        TORCH
        + """def log_odds(x):
    return x - torch.log(-torch.expm1(x))


def orpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, lambda_=0.1):
    w = chosen_logps / chosen_lengths
    l = rejected_logps / rejected_lengths
    ratio = -F.logsigmoid(log_odds(w) - log_odds(l))
    return (-w + lambda_ * ratio).mean()
""",
        (
            edit("log-odds-unstable", "-torch.expm1(x)", "1 - torch.exp(x)"),
            edit("log-odds-unstable", "torch.log(-torch.expm1(x))", "torch.log1p(-torch.exp(x))"),
            edit("length-normalisation-missing", " / chosen_lengths", "", " / rejected_lengths", ""),
            edit(
                "lengths-swapped",
                "/ chosen_lengths",
                "/ XX",
                "/ rejected_lengths",
                "/ chosen_lengths",
                "XX",
                "rejected_lengths",
            ),
            edit("odds-missing", "x - torch.log(-torch.expm1(x))", "x"),
            edit("odds-sign", "x - torch", "x + torch"),
            edit(FLIP, "log_odds(w) - log_odds(l)", "log_odds(l) - log_odds(w)"),
            edit("sft-missing", "(-w + lambda_", "(lambda_"),
            edit("sft-sign", "(-w + lambda_", "(w + lambda_"),
            edit("sft-rejected", "(-w + lambda_", "(-l + lambda_"),
            edit("sft-sum", "(-w + lambda_", "(-chosen_logps + lambda_"),
            edit("lambda-missing", "lambda_ * ratio", "ratio"),
            edit("lambda-misplaced", "-w + lambda_ * ratio", "-lambda_ * w + ratio"),
            edit("minus-missing|term-subtracted", "-F.logsigmoid", "F.logsigmoid"),
            edit("term-subtracted|minus-missing", "+ lambda_", "- lambda_"),
            edit("sigmoid-for-log-sigmoid", "F.logsigmoid", "torch.sigmoid"),
            edit(
                "naive-log-sigmoid",
                "F.logsigmoid(log_odds(w) - log_odds(l))",
                "torch.log(torch.sigmoid(log_odds(w) - log_odds(l)))",
            ),
            edit("sum-for-mean", ".mean()", ".sum()"),
            edit("policy-detached", "log_odds(l))", "log_odds(l.detach()))"),
        ),
    ),
    Template(
        "orpo-numpy",
        "orpo",
        NUMPY
        + """def orpo(w, l, m, n, lam=0.1):
    pw, pl = w / m, l / n
    odds_w = pw - np.log(-np.expm1(pw))
    odds_l = pl - np.log(-np.expm1(pl))
    return np.mean(-pw + lam * np.logaddexp(0, odds_l - odds_w))
""",
        (
            edit(
                "log-odds-unstable",
                "np.log(-np.expm1(pw))",
                "np.log(1 - np.exp(pw))",
                "np.log(-np.expm1(pl))",
                "np.log(1 - np.exp(pl))",
            ),
            edit("odds-missing", "pw - np.log(-np.expm1(pw))", "pw", "pl - np.log(-np.expm1(pl))", "pl"),
            edit("sft-both", "-pw + lam", "-pw - pl + lam"),
            edit("sft-sum", "-pw + lam", "-w + lam"),
            edit(
                "lambda-misplaced",
                "-pw + lam * np.logaddexp(0, odds_l - odds_w)",
                "lam * (-pw + np.logaddexp(0, odds_l - odds_w))",
            ),
            edit("difference-wrong", "odds_l - odds_w", "-odds_l - odds_w"),
            edit("sum-for-mean", "np.mean", "np.sum"),
            edit(
                "naive-log-sigmoid|exp-overflow",
                "np.logaddexp(0, odds_l - odds_w)",
                "np.log1p(np.exp(odds_l - odds_w))",
            ),
        ),
    ),
    Template(
        "log-sigmoid",
        "log_sigmoid",
        NUMPY
        + """def log_sigmoid(x):
    return -np.logaddexp(0, -x)
""",
        (
            edit("naive-log-sigmoid|exp-overflow", "-np.logaddexp(0, -x)", "np.log(1 / (1 + np.exp(-x)))"),
            edit("naive-log-sigmoid|exp-overflow", "-np.logaddexp(0, -x)", "-np.log1p(np.exp(-x))"),
            edit("sigmoid-for-log-sigmoid", "-np.logaddexp(0, -x)", "1 / (1 + np.exp(-x))"),
            edit("minus-missing", "-np.logaddexp(0, -x)", "np.logaddexp(0, -x)"),
            edit("argument-sign", "-np.logaddexp(0, -x)", "-np.logaddexp(0, x)"),
            edit("clipped", "-np.logaddexp(0, -x)", "np.log(1 / (1 + np.exp(-np.clip(x, -50, 50))))"),
        ),
    ),
)
