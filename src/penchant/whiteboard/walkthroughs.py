"""The steps of further methods, for their pages alone: `penchant check` bends only those of ``anatomy``.

A test holds every one of them to the catalogue's loss on random rows.
"""

from __future__ import annotations

from penchant.whiteboard.anatomy import Anatomy, Step

_A = Step("a", "pw - rw", "a = log π(y_w) - log π_ref(y_w)", "log-ratio of the chosen answer")
_B = Step("b", "pl - rl", "b = log π(y_l) - log π_ref(y_l)", "log-ratio of the rejected answer")
_Z = Step("z", "beta * (a - b)", "z = β(a - b)", "the margin, scaled")
_LOSS = Step("loss", "-log_sigmoid(z)", "L = -log σ(z)", "the loss of the pair")

WALKTHROUGHS = {
    name: Anatomy(name, (_A, _B, *steps))
    for name, steps in {
        "apo_zero": (
            Step("up", "sigmoid(-beta * a)", "σ(-βa)", "what the chosen answer lacks; falls as a rises"),
            Step("down", "sigmoid(beta * b)", "σ(βb)", "what the rejected answer has too much; falls as b falls"),
            Step("loss", "up + down", "L = σ(-βa) + σ(βb)", "the loss of the pair"),
        ),
        "apo_down": (
            Step("down", "sigmoid(beta * a)", "σ(βa)", "falls as the chosen answer falls"),
            Step("apart", "sigmoid(-beta * (a - b))", "σ(-β(a - b))", "falls as the two answers part"),
            Step("loss", "down + apart", "L = σ(βa) + σ(-β(a - b))", "the loss of the pair"),
        ),
        "r_dpo": (
            Step("longer", "alpha * (m - n)", "α(|y_w| - |y_l|)", "what the difference in length is worth"),
            Step("z", "beta * (a - b) + longer", "z = β(a - b) + α(|y_w| - |y_l|)", "the margin with it"),
            _LOSS,
        ),
        "hinge": (
            _Z,
            Step("loss", "maximum(0, 1 - z)", "L = max(0, 1 - z)", "0 once the scaled margin is 1"),
        ),
        "exponential": (_Z, Step("loss", "exp(-z)", "L = e^-z", "the loss of the pair")),
        "robust_dpo": (
            _Z,
            Step("plain", "-log_sigmoid(z)", "ℓ(z) = -log σ(z)", "DPO's loss"),
            Step("share", "eps / (1 - 2 * eps)", "ε/(1 - 2ε)", "weight of the correction for flipped labels"),
            Step("loss", "plain - share * z", "L = ℓ(z) - ε/(1 - 2ε)·z", "the loss of the pair; not bounded below"),
        ),
        "dpop": (
            Step("fall", "maximum(0, -a)", "max(0, -a)", "how far the chosen answer fell below the reference"),
            Step("z", "beta * (a - b - lam * fall)", "z = β(a - b - λ·max(0, -a))", "the margin less the fine"),
            _LOSS,
        ),
        "sppo": (
            Step("target", "1 / (2 * beta)", "target = 1/(2β)", "where the chosen log-ratio is to go, in nats"),
            Step("up", "(a - target) ** 2", "(a - 1/(2β))²", "distance of the chosen answer, squared"),
            Step("down", "(b + target) ** 2", "(b + 1/(2β))²", "distance of the rejected answer, squared"),
            Step("loss", "up + down", "L = the sum of the two", "the loss of the pair"),
        ),
        "nca": (
            Step("win", "-log_sigmoid(beta * a)", "-log σ(βa)", "raises the chosen answer"),
            Step("hold", "-0.5 * log_sigmoid(-beta * a)", "-½ log σ(-βa)", "holds the chosen answer back"),
            Step("down", "-0.5 * log_sigmoid(-beta * b)", "-½ log σ(-βb)", "lowers the rejected answer"),
            Step("loss", "win + hold + down", "L = the sum of the three", "the loss of the pair"),
        ),
        "discopop": (
            _Z,
            Step("q", "sigmoid(z / tau)", "q = σ(z/τ)", "a switch between the two losses"),
            Step("plain", "-log_sigmoid(z)", "ℓ(z) = -log σ(z)", "DPO's loss"),
            Step("steep", "exp(-z)", "e^-z", "the exponential loss"),
            Step("loss", "(1 - q) * plain + q * steep", "L = (1 - q)·ℓ(z) + q·e^-z", "the loss of the pair"),
        ),
        "ln_dpo": (
            Step("cw", "a / m", "a/|y_w|", "log-ratio per token of the chosen answer"),
            Step("cl", "b / n", "b/|y_l|", "log-ratio per token of the rejected answer"),
            Step("z", "beta * (cw - cl)", "z = β(a/|y_w| - b/|y_l|)", "the margin per token, scaled"),
            _LOSS,
        ),
        "dpo_shift": (
            Step("less", "rejected_weight * b", "f·b", "the rejected log-ratio counts f times"),
            Step("z", "beta * (a - less)", "z = β(a - f·b)", "the margin, scaled"),
            _LOSS,
        ),
    }.items()
}
