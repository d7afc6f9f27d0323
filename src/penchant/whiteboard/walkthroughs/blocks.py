"""What the steps of many methods are made of: lines, and the shared beginnings and ends of a formula.

A line is written once, as Python; how it stands on the whiteboard is made from that. Inputs that are no symbol of
:mod:`anatomy` go by their names in the vocabulary.
"""

from __future__ import annotations

import ast
import re
import unicodedata

from penchant.whiteboard.anatomy import Step

SIGNS = {
    "pw": "log π(y_w)",
    "pl": "log π(y_l)",
    "rw": "log π_ref(y_w)",
    "rl": "log π_ref(y_l)",
    "m": "|y_w|",
    "n": "|y_l|",
    "p": "log π(y)",
    "r": "log π_ref(y)",
    "y": "desirable",
    "z0": "z_ref",
    "policy_list_logps": "log π(y_k)",
    "ref_list_logps": "log π_ref(y_k)",
    "list_lengths": "|y_k|",
    "list_scores": "rating_k",
    "chosen_scores": "s_w",
    "rejected_scores": "s_l",
    "preference_probs": "prob",
    "is_tie": "tie",
    "gold_logps": "log π(y_gold)",
    "gold_lengths": "|y_gold|",
    "score": "rating",
    "prompt_value": "V",
    "log_ratio_baseline": "r̄",
    "gap_mean": "M",
    "gap_std": "S",
    "chosen_sequence_kl": "D_w",
    "rejected_sequence_kl": "D_l",
    "sampled_log_ratio_w": "a'",
    "sampled_log_ratio_l": "b'",
    "weighted_log_ratio_w": "Σ w_t·a_t",
    "weighted_log_ratio_l": "Σ w_t·b_t",
    "chosen_weighted_kl": "K_w",
    "rejected_weighted_kl": "K_l",
    "chosen_mean_log_collision": "c_w",
    "rejected_mean_log_collision": "c_l",
    "ref_chosen_mean_entropy": "H_w",
    "ref_rejected_mean_entropy": "H_l",
    "policy_chosen_shared_logps": "log π(y_w, first)",
    "policy_rejected_shared_logps": "log π(y_l, first)",
    "ref_chosen_shared_logps": "log π_ref(y_w, first)",
    "ref_rejected_shared_logps": "log π_ref(y_l, first)",
    "beta": "β",
    "gamma": "γ",
    "alpha": "α",
    "lam": "λ",
    "eps": "ε",
    "wd": "λ_D",
    "wu": "λ_U",
    "eta": "η",
    "tau": "τ",
    "nu": "ν",
    "delta": "Δ",
    "epsilon": "ε",
    "beta_prime": "β'",
    "focus": "γ",
    "clip": "clip",
    "objective_weight": "w",
    "rejected_weight": "f",
    "tie_margin": "α",
    "dispersion": "φ*",
    "temperature": "T",
    "cw": "p̄_w",
    "cl": "p̄_l",
    "cg": "p̄_gold",
    "pk": "p̄_k",
    "rk": "r_k",
    "sk": "s_k",
    "tk": "t_k",
    "qk": "q_k",
    "wk": "w_k",
    "loss": "L",
    "ell": "ℓ",
}
"""How a symbol is written."""
WORDS = {
    "log_sigmoid": "log σ",
    "sigmoid": "σ",
    "maximum": "max",
    "minimum": "min",
    "total": "sum",
    "log_softmax": "log softmax",
}
"""How a function is written."""


class _Cases(ast.NodeTransformer):
    """``where(c, x, y)`` as ``x if c else y``."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "where":
            test, yes, no = node.args
            return ast.IfExp(test, yes, no)
        return node


def written(expression: str) -> str:
    """An expression as it stands on the whiteboard."""
    text = ast.unparse(_Cases().visit(ast.parse(expression, mode="eval").body))
    text = text.replace(" ** 2", "²").replace(" ** ", "^").replace(" * ", "·").replace(" / ", "/")
    text = re.sub(r"-\(([^()+\- ]+)\)", r"-\1", text)
    text = re.sub(r"\bshare\([^)]*\)", "1/N", text)
    text = re.sub(r"\blog1mexp\((\w+)\)", r"log(1 - e^\1)", text)
    text = re.sub(r"\bexp\((-?\w+)\)", r"e^\1", text)
    text = re.sub(r"\b(log_sigmoid|sigmoid)\((\w+)\)", r"\1 \2", text)
    return re.sub(r"[A-Za-z_]\w*", lambda found: WORDS.get(found[0]) or SIGNS.get(found[0], found[0]), text)


def width(text: str) -> int:
    """Columns that a text takes: a bar over a letter takes none."""
    return sum(not unicodedata.combining(character) for character in text)


def line(name: str, expression: str, meaning: str, text: str = "", *, held: bool = False) -> Step:
    """A step whose text is made from its expression, unless one is given."""
    return Step(name, expression, text or f"{SIGNS.get(name, name)} = {written(expression)}", meaning, held)


RATIO_W = line("a", "pw - rw", "log-ratio of the chosen answer")
RATIO_L = line("b", "pl - rl", "log-ratio of the rejected answer")
RATIOS = (RATIO_W, RATIO_L)
MARGIN = line("z", "beta * (a - b)", "the margin, scaled")
SCALED = (*RATIOS, MARGIN)
MEAN_W = line("cw", "pw / m", "log-prob per token of the chosen answer")
MEAN_L = line("cl", "pl / n", "log-prob per token of the rejected answer")
MEANS = (MEAN_W, MEAN_L)
GOLD = line("cg", "gold_logps / gold_lengths", "log-prob per token of the gold answer")
LIST_RATIOS = line("rk", "policy_list_logps - ref_list_logps", "log-ratio of each answer")
REWARDS = (LIST_RATIOS, line("sk", "beta * rk", "implicit reward of each answer"))
LIST_MEANS = line("pk", "policy_list_logps / list_lengths", "log-prob per token of each answer")
SHARES = line("tk", "softmax(list_scores / temperature)", "what share of the answers each one should be")
LOGISTIC = line("loss", "-log_sigmoid(z)", "the loss of the pair")
PLAIN = line("ell", "-log_sigmoid(z)", "DPO's loss of the pair")
FLIPPED = line("back", "-log_sigmoid(-z)", "the same for the flipped label")
MEAN_LOSS = line("loss", "mean(ell)", "the loss of the batch")
