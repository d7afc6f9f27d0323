"""Right losses in many styles: `penchant check` must call none of them wrong."""

from __future__ import annotations

from whiteboard.templates import JAX, MATH, NUMPY, TEMPLATES, TORCH

_MORE = [
    ("dpo", NUMPY + "def dpo_loss(a, b, beta=0.1):\n    return -np.mean(-np.logaddexp(0, -beta * (a - b)))\n"),
    (
        "dpo",
        NUMPY
        + "def f(p_w, p_l, ref_w, ref_l, b=0.1):\n    x = b * (p_w - p_l - ref_w + ref_l)\n    return np.where(x > 0, np.log1p(np.exp(-np.abs(x))), np.log1p(np.exp(-np.abs(x))) - x)\n",
    ),
    (
        "dpo",
        NUMPY
        + "def f(x1, x2, x3, x4, beta):\n    d = np.array([x1, -x2, -x3, x4]).sum(axis=0)\n    return np.average(np.logaddexp(0, -beta * d))\n",
    ),
    (
        "dpo",
        TORCH
        + "def loss(yw_logp, yl_logp, yw_ref, yl_ref, beta=0.3):\n    return F.binary_cross_entropy_with_logits(beta * (yw_logp - yw_ref - yl_logp + yl_ref), torch.ones_like(yw_logp))\n",
    ),
    (
        "dpo",
        TORCH
        + "def loss(policyChosenLogps, policyRejectedLogps, refChosenLogps, refRejectedLogps, beta=0.1):\n    s = torch.stack([policyChosenLogps - refChosenLogps, policyRejectedLogps - refRejectedLogps], -1) * beta\n    return -s.log_softmax(-1)[..., 0].mean()\n",
    ),
    (
        "dpo",
        TORCH
        + "def loss(pc, pr, rc, rr, beta=0.1, reduction='mean'):\n    out = F.softplus(-beta * ((pc - rc) - (pr - rr)))\n    return {'none': out, 'mean': out.mean(), 'sum': out.sum()}[reduction]\n",
    ),
    (
        "dpo",
        TORCH
        + "class Cfg:\n    beta = 0.25\n\n\ndef dpo_loss(policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps):\n    h = policy_chosen_logps - ref_chosen_logps - (policy_rejected_logps - ref_rejected_logps)\n    return {'loss': -F.logsigmoid(Cfg.beta * h).mean(), 'margin': h.mean()}\n",
    ),
    (
        "dpo",
        TORCH
        + "def dpo_loss(policy_chosen_logps, ref_chosen_logps, policy_rejected_logps, ref_rejected_logps, *, beta=0.1):\n    h = (policy_chosen_logps - ref_chosen_logps) - (policy_rejected_logps - ref_rejected_logps)\n    return -torch.nn.LogSigmoid()(h * beta)\n",
    ),
    (
        "dpo",
        TORCH
        + "def dpo_loss(win, lose, ref_win, ref_lose, beta=0.1, eps=0.0):\n    z = beta * (win - lose - ref_win + ref_lose)\n    return (F.softplus(-z) + eps * z).mean(dim=0, keepdim=True)\n",
    ),
    (
        "dpo",
        JAX
        + "@jax.jit\ndef dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):\n    return jnp.mean(jax.nn.softplus(-beta * ((chosen - ref_chosen) - (rejected - ref_rejected))))\n",
    ),
    (
        "dpo",
        JAX
        + "def one(pw, pl, rw, rl, beta):\n    return jnp.logaddexp(0.0, -beta * (pw - rw - pl + rl))\n\n\ndef dpo_loss(pw, pl, rw, rl, beta=0.1):\n    return jax.vmap(one, in_axes=(0, 0, 0, 0, None))(pw, pl, rw, rl, beta)\n",
    ),
    (
        "dpo",
        MATH
        + "def dpo_loss(logp_w, logp_l, ref_logp_w, ref_logp_l, beta=0.1):\n    z = beta * (logp_w - ref_logp_w - logp_l + ref_logp_l)\n    return max(-z, 0) + math.log1p(math.exp(-abs(z)))\n",
    ),
    (
        "dpo",
        NUMPY
        + "def dpo_loss(logp_chosen, logp_rejected, logp_ref_chosen, logp_ref_rejected, beta=0.1):\n    total = 0.0\n    for w, l, rw, rl in zip(logp_chosen, logp_rejected, logp_ref_chosen, logp_ref_rejected):\n        total += np.logaddexp(0, -beta * ((w - rw) - (l - rl)))\n    return total / len(logp_chosen)\n",
    ),
    (
        "dpo",
        TORCH
        + "def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):\n    chosen, rejected = chosen.float(), rejected.float()\n    with torch.no_grad():\n        ref = ref_chosen.float() - ref_rejected.float()\n    return -F.logsigmoid(beta * (chosen - rejected - ref)).mean()\n",
    ),
    (
        "dpo",
        NUMPY
        + "def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):\n    r = beta * np.stack([chosen - ref_chosen, rejected - ref_rejected])\n    m = r.max(0)\n    return np.mean(m + np.log(np.exp(r - m).sum(0)) - r[0])\n",
    ),
    (
        "dpo",
        NUMPY
        + "def dpo_loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, chosen_lengths, rejected_lengths, beta=0.1):\n    return np.logaddexp(0, -beta * (chosen_logps - rejected_logps - ref_chosen_logps + ref_rejected_logps)).mean()\n",
    ),
    (
        "ipo",
        NUMPY
        + "def ipo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):\n    return ((chosen - ref_chosen) - (rejected - ref_rejected) - 0.5 / beta) ** 2\n",
    ),
    (
        "ipo",
        TORCH
        + "def ipo(log_ratio_w, log_ratio_l, tau=0.1):\n    return F.mse_loss(log_ratio_w - log_ratio_l, torch.full_like(log_ratio_w, 1 / (2 * tau)))\n",
    ),
    (
        "ipo",
        JAX
        + "def ipo_loss(pi_w, pi_l, ref_w, ref_l, beta=0.5):\n    g = pi_w - pi_l - (ref_w - ref_l) - 1 / (2 * beta)\n    return jnp.mean(g * g)\n",
    ),
    ("ipo", "def ipo_loss(a, b, beta=0.1):\n    return (a - b - 1 / (2 * beta)) ** 2\n"),
    (
        "ipo",
        TORCH
        + "def ipo_loss(a, b, beta=0.1):\n    return ((beta * (a - b) - 0.5) / beta).pow(2).mean(), a.detach(), b.detach()\n",
    ),
    (
        "kto",
        TORCH
        + "def kto_loss(log_ratio, is_desirable, z_ref, beta=0.1):\n    s = is_desirable.to(log_ratio.dtype) * 2 - 1\n    return torch.sigmoid(-s * beta * (log_ratio - z_ref)).mean()\n",
    ),
    (
        "kto",
        TORCH
        + "def kto_loss(policy_logps, reference_logps, labels, kl, beta=0.1):\n    r = policy_logps - reference_logps\n    d = labels == 1\n    return torch.where(d, 1 - torch.sigmoid(beta * (r - kl)), 1 - torch.sigmoid(beta * (kl - r)))\n",
    ),
    (
        "kto",
        NUMPY
        + "def kto_loss(log_ratio, label, z_ref=0.0, beta=0.1):\n    '''label is +1 or -1'''\n    return np.mean(1 / (1 + np.exp(label * beta * (log_ratio - z_ref))))\n",
    ),
    (
        "kto",
        JAX
        + "def kto(log_ratio, is_desirable, z0, beta=0.1, lambda_d=1.0, lambda_u=1.0):\n    z0 = jax.lax.stop_gradient(z0)\n    v = jnp.where(is_desirable, lambda_d * jax.nn.sigmoid(beta * (log_ratio - z0)), lambda_u * jax.nn.sigmoid(beta * (z0 - log_ratio)))\n    lam = jnp.where(is_desirable, lambda_d, lambda_u)\n    return jnp.mean(lam - v)\n",
    ),
    (
        "kto",
        NUMPY
        + "def kto_loss(log_ratio, is_desirable, z_ref=0.0, beta=0.1):\n    d = np.asarray(is_desirable, dtype=bool)\n    u = beta * (log_ratio - z_ref)\n    return np.concatenate([1 - 1 / (1 + np.exp(-u[d])), 1 - 1 / (1 + np.exp(u[~d]))]).mean()\n",
    ),
    (
        "kto",
        MATH
        + "def kto_loss(log_ratio, is_desirable, z_ref=0.0, beta=0.1):\n    u = beta * (log_ratio - z_ref)\n    if not is_desirable:\n        u = -u\n    return 0.5 * (1 - math.tanh(u / 2))\n",
    ),
    (
        "simpo",
        NUMPY
        + "def simpo_loss(w, l, nw, nl, beta=2.0, gamma=0.5):\n    return np.mean(np.logaddexp(0, gamma - beta * (w / nw - l / nl)))\n",
    ),
    (
        "simpo",
        TORCH
        + "def simpo(pi_chosen, pi_rejected, len_chosen, len_rejected, beta=2.5, gamma_beta_ratio=0.3):\n    d = pi_chosen / len_chosen - pi_rejected / len_rejected - gamma_beta_ratio\n    return -F.logsigmoid(beta * d)\n",
    ),
    (
        "simpo",
        JAX
        + "def simpo(chosen_logps, rejected_logps, num_chosen, num_rejected, beta=2.0, margin=0.5):\n    z = beta * chosen_logps / num_chosen - beta * rejected_logps / num_rejected - margin\n    return jax.nn.softplus(-z).mean()\n",
    ),
    (
        "simpo",
        TORCH
        + "def loss(avg_chosen, avg_rejected):\n    return -F.logsigmoid(2.0 * (avg_chosen - avg_rejected) - 0.5).mean()\n",
    ),
    (
        "simpo",
        "from math import exp, log1p\n\n\ndef simpo(w, l, m, n, beta=2, gamma=0.5):\n    z = beta * (w / m - l / n) - gamma\n    return log1p(exp(-z)) if z > 0 else log1p(exp(z)) - z\n",
    ),
    (
        "orpo",
        NUMPY
        + "def log1mexp(x):\n    return np.where(x > -0.6931, np.log(-np.expm1(x)), np.log1p(-np.exp(np.minimum(x, -0.6931))))\n\n\ndef orpo(w, l, m, n, lam=0.1):\n    a, b = w / m, l / n\n    z = a - b - (log1mexp(a) - log1mexp(b))\n    return -a.mean() + lam * np.logaddexp(0, -z).mean()\n",
    ),
    (
        "orpo",
        TORCH
        + "def orpo_loss(policy_chosen_logps, policy_rejected_logps, chosen_lengths, rejected_lengths, beta=None, lambda_=0.1):\n    w, l = policy_chosen_logps / chosen_lengths, policy_rejected_logps / rejected_lengths\n    odds = (w - l) - (torch.log(-torch.expm1(w)) - torch.log(-torch.expm1(l)))\n    return -w + lambda_ * F.softplus(-odds)\n",
    ),
    (
        "orpo",
        JAX
        + "def orpo(avg_chosen, avg_rejected, lam=0.1):\n    lo = lambda x: x - jnp.log(-jnp.expm1(x))\n    return jnp.mean(-avg_chosen - lam * jax.nn.log_sigmoid(lo(avg_chosen) - lo(avg_rejected)))\n",
    ),
    ("log_sigmoid", NUMPY + "def log_sigmoid(x):\n    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))\n"),
    ("log_sigmoid", TORCH + "def log_sigmoid(z):\n    return -F.softplus(-z)\n"),
    (
        "log_sigmoid",
        MATH + "def log_sigmoid(z):\n    return z - math.log1p(math.exp(z)) if z < 0 else -math.log1p(math.exp(-z))\n",
    ),
]

CORRECT: list[tuple[str, str]] = [(t.method, t.source) for t in TEMPLATES] + _MORE

CORRECT_HELD_OUT: list[tuple[str, str]] = [
    (
        "dpo",
        TORCH
        + "def pref(win_logp, lose_logp, win_ref, lose_ref, beta=0.1):\n    odds = torch.exp(-beta * (win_logp - win_ref - lose_logp + lose_ref).abs())\n    z = beta * (win_logp - win_ref - lose_logp + lose_ref)\n    return (torch.log1p(odds) + torch.clamp(-z, min=0)).mean()\n",
    ),
    (
        "dpo",
        NUMPY
        + "def dpo_loss(chosen_policy_logps, rejected_policy_logps, chosen_ref_logps, rejected_ref_logps, beta=0.1):\n    margin = chosen_policy_logps - chosen_ref_logps\n    margin = margin - rejected_policy_logps + rejected_ref_logps\n    return float(np.mean(np.logaddexp(0.0, -beta * margin)))\n",
    ),
    (
        "dpo",
        JAX
        + "from functools import partial\n\n\n@partial(jax.jit, static_argnames='average')\ndef dpo_loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta=0.1, average=True):\n    z = beta * (chosen_logps - rejected_logps - ref_chosen_logps + ref_rejected_logps)\n    out = -jax.nn.log_sigmoid(z)\n    return out.mean() if average else out\n",
    ),
    (
        "dpo",
        TORCH
        + "class Loss(torch.nn.Module):\n    def __init__(self, beta):\n        super().__init__()\n        self.beta = beta\n\n    def forward(self, a, b):\n        return F.softplus(self.beta * (b - a)).mean()\n\n\ndef dpo_loss(pi_w, pi_l, ref_w, ref_l, beta=0.1):\n    return Loss(beta)(pi_w - ref_w, pi_l - ref_l)\n",
    ),
    (
        "ipo",
        TORCH
        + "def ipo_loss(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=0.1):\n    x = policy_chosen - policy_rejected\n    y = ref_chosen - ref_rejected\n    t = 1.0 / (2.0 * beta)\n    return torch.mean(x * x + y * y + t * t - 2 * x * y - 2 * x * t + 2 * y * t)\n",
    ),
    (
        "ipo",
        NUMPY
        + "def ipo(h_w, h_l, tau):\n    return np.dot(h_w - h_l - 1 / tau / 2, h_w - h_l - 1 / tau / 2) / np.size(h_w)\n",
    ),
    (
        "kto",
        NUMPY
        + "def kto_loss(pi_logps, ref_logps, desirable, z_ref, beta=0.1):\n    u = beta * (pi_logps - ref_logps - z_ref) * (2 * np.asarray(desirable, float) - 1)\n    return np.mean(0.5 - 0.5 * np.tanh(u / 2))\n",
    ),
    (
        "kto",
        TORCH
        + "def kto(policy_logps, ref_logps, is_desirable, kl_log_ratios, beta=0.1):\n    with torch.no_grad():\n        z = torch.relu(kl_log_ratios.mean())\n    r = policy_logps - ref_logps\n    return torch.sigmoid(torch.where(is_desirable.bool(), z - r, r - z) * beta).mean()\n",
    ),
    (
        "simpo",
        NUMPY
        + "def simpo_loss(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):\n    return -np.log(1 / (1 + np.exp(-np.clip(0, 0, 0)))) * 0 + np.mean(np.logaddexp(0, beta * (rejected_logps / rejected_lengths - chosen_logps / chosen_lengths) + gamma))\n",
    ),
    (
        "simpo",
        TORCH
        + "def simpo_loss(policy_chosen_avg_logps, policy_rejected_avg_logps, beta=2.0, gamma=1.0):\n    logits = policy_chosen_avg_logps - policy_rejected_avg_logps - gamma / beta\n    return -F.logsigmoid(beta * logits)\n",
    ),
    (
        "orpo",
        NUMPY
        + "def orpo_loss(chosen_avg, rejected_avg, alpha=0.1):\n    a, b = chosen_avg, rejected_avg\n    return np.mean(-a + alpha * np.logaddexp(0, b - a + np.log(np.expm1(a) / np.expm1(b))))\n",
    ),
    ("log_sigmoid", JAX + "def log_sigmoid(x):\n    return -jnp.logaddexp(0.0, -x)\n"),
]
