"""Writes docs/same-name.md: methods that go by one name in several code bases and are not the same function.

    python scripts/same_name.py

TRL's and Liger's numbers come from their own code (tests/peers/borrowed.py). Those of code bases that are not
installed come from the formula that the table states. A test fails when the page is not what this prints.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "same-name.md"
sys.path.insert(0, str(ROOT / "tests"))

from peers.borrowed import (
    LENGTHS,
    POLICY,
    REFERENCE,
    liger,
    liger_kto,
    trl_cpo,
    trl_dpo,
    trl_dpo_batch,
    trl_kto,
    trl_orpo,
)

import penchant
from penchant.diagnostics import pair_measures
from penchant.objectives import METHODS
from penchant.records import PairLogps

Line = tuple[str, str, Any]


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


ROWS = {
    "policy_chosen_logps": numbers(-50, -80),
    "policy_rejected_logps": numbers(-60, -75),
    "ref_chosen_logps": numbers(-52, -79),
    "ref_rejected_logps": numbers(-58, -77),
    "chosen_lengths": numbers(10, 40),
    "rejected_lengths": numbers(12, 25),
}
"""The two pairs of the page."""
CHOSEN, REJECTED = (ROWS[name] for name in POLICY)
A, B = (ROWS[policy] - ROWS[ref] for policy, ref in zip(POLICY, REFERENCE, strict=True))
MEANS = [ROWS[name] / ROWS[length] for name, length in zip(POLICY, LENGTHS, strict=True)]
FOUR = [ROWS[name] for name in (*POLICY, *REFERENCE)]

HEAD = """# Same name, different maths

Every number is printed by `scripts/same_name.py`: TRL's (1.16) and Liger's (0.8.5) by calling their own code, penchant's by
calling its own; lines marked *formula* are computed from the formula stated, because that code base is not installed here.
Where TRL and Liger agree with penchant, value and gradient, a test holds them to it
(`tests/peers/test_same_losses.py`): dpo, hinge, exo, nca, robust_dpo, bco without a running mean, sppo, apo_zero, apo_down,
discopop in its range, ln_dpo, js_dpo, fkl_dpo, aot, aot_unpaired, wpo below its clamp,
kto, cpo, simpo, alphapo, orpo.

The two pairs of this page, sums in nats:

| | log π(y_w) | log π(y_l) | log π_ref(y_w) | log π_ref(y_l) | tokens of y_w | of y_l |
| --- | --- | --- | --- | --- | --- | --- |
| pair 1 | -50 | -60 | -52 | -58 | 10 | 12 |
| pair 2 | -80 | -75 | -79 | -77 | 40 | 25 |

so the difference of the log-ratios is 4 and -3.
"""


def shown(value: Any) -> str:
    """One number per cell, or one per pair."""
    values = value.reshape(-1).tolist() if isinstance(value, torch.Tensor) else [value]
    cells = [v if isinstance(v, str) else f"{v:.6g}" for v in values]
    return " | ".join(cells)


def section(title: str, text: str, lines: Iterable[Line], heads: str = "pair 1 | pair 2") -> str:
    table = [f"| whose | what | {heads} |", "|" + " --- |" * (2 + len(heads.split("|")))]
    table += [f"| {whose} | {what} | {shown(value)} |" for whose, what, value in lines]
    return f"## {title}\n\n{text}\n\n" + "\n".join(table) + "\n"


def ipo() -> str:
    per_token = penchant.ipo_loss(A / ROWS["chosen_lengths"], B / ROWS["rejected_lengths"], beta=0.1, reduction="none")
    return section(
        "IPO: sums or means over tokens",
        "The paper's loss says nothing of length; its authors later advised means. penchant's function takes whatever it is "
        "given; `penchant train --method ipo` gives it sums, and `--length-normalize true` means. The one-line form "
        "(βΔ - ½)² is β² times the loss: the same minimum, and a gradient a hundred times smaller at β = 0.1.",
        [
            ("penchant `ipo`", "sums: (Δ - 1/(2β))²", penchant.ipo_loss(A, B, beta=0.1, reduction="none")),
            ("DPO's authors, OpenRLHF (*formula*)", "sums: (Δ - 1/(2β))²", (A - B - 5) ** 2),
            ("penchant `ipo --length-normalize true`", "means", per_token),
            ("TRL `ipo`", "means", trl_dpo(ROWS, "ipo")),
            ("HALOs (*formula*)", "means over the tokens whose log-ratio is not 0", (A / LEN_W - B / LEN_L - 5) ** 2),
            ("one-liner (*formula*)", "(βΔ - ½)²", (0.1 * (A - B) - 0.5) ** 2),
        ],
    )


LEN_W, LEN_L = (ROWS[name] for name in LENGTHS)


def smoothing() -> str:
    def smooth(method: str) -> torch.Tensor:
        found = METHODS[method]
        inputs = dict(zip((*POLICY, *REFERENCE), FOUR, strict=True)) | {"log_ratio_w": A, "log_ratio_l": B}
        constants = found.with_constants({"label_smoothing": 0.3})
        return found.loss(**{name: inputs[name] for name in found.inputs}, **constants, reduction="none")

    return section(
        "Label smoothing: conservative, robust, or ignored",
        "Two opposite corrections share one parameter: cDPO mixes in the flipped label, robust DPO takes it out. "
        "With ε = 0.3:",
        [
            ("penchant `cdpo`", "(1-ε)ℓ(z) + εℓ(-z)", smooth("cdpo")),
            (
                "TRL `sigmoid`, label_smoothing=0.3",
                "the option is not used",
                trl_dpo(ROWS, "sigmoid", label_smoothing=0.3),
            ),
            ("TRL `sigmoid`, label_smoothing=0", "", trl_dpo(ROWS, "sigmoid")),
            (
                "Liger `sigmoid`, label_smoothing=0.3",
                "the option is not used",
                liger("dpo", *FOUR, beta=0.1, loss_type="sigmoid", label_smoothing=0.3),
            ),
            ("penchant `robust_dpo`", "((1-ε)ℓ(z) - εℓ(-z))/(1-2ε)", smooth("robust_dpo")),
            ("TRL `robust`", "the same", trl_dpo(ROWS, "robust", label_smoothing=0.3)),
            (
                "Liger `robust`, called cDPO in its comment",
                "the same",
                liger("dpo", *FOUR, beta=0.1, loss_type="robust", label_smoothing=0.3),
            ),
        ],
    )


def simpo() -> str:
    ours = {beta: penchant.simpo_loss(CHOSEN, REJECTED, LEN_W, LEN_L, beta, 0.5, reduction="none") for beta in (2, 0.1)}
    plain = trl_cpo(*MEANS, "simpo", beta=2.0, simpo_gamma=0.5)
    ratio = -torch.nn.functional.logsigmoid(2.0 * (MEANS[0] - MEANS[1] - 0.5))
    return section(
        "SimPO: γ or γ/β, with or without fine-tuning",
        "penchant, TRL, Liger, LLaMA-Factory and ms-swift take the margin γ itself; the authors' code, HALOs and open-instruct "
        "take γ/β. TRL's trainer adds the fine-tuning term of CPO unless `cpo_alpha` is set to 0, and Liger's default β "
        "is DPO's.",
        [
            ("penchant `simpo`", "β = 2, γ = 0.5", ours[2]),
            ("TRL `simpo`, cpo_alpha=0", "β = 2, γ = 0.5", plain),
            ("TRL `simpo`, cpo_alpha=1 (its default)", "the same plus -p̄_w", plain - MEANS[0]),
            ("authors, gamma_beta_ratio=0.5 (*formula*)", "β = 2, so γ = 1", ratio),
            ("Liger, defaults", "β = 0.1, γ = 0.5", liger("simpo", *MEANS)),
            ("penchant `simpo --beta 0.1`", "β = 0.1, γ = 0.5", ours[0.1]),
        ],
    )


def kto() -> str:
    ratios, labels = numbers(2, -1, -2, 2), torch.tensor([True, True, False, False])
    rows = [
        ("penchant `--method kto`", "the paper's λ(1 - σ(±β(r - z_ref)))", "sigmoid"),
        ("penchant.kto_loss, its default", "-log σ(±β(r - z_ref)), which is BCO's form", "log_sigmoid"),
    ]
    lines: list[Line] = [
        (who, what, penchant.kto_loss(ratios, labels, 1.0, beta=0.1, value_function=form, reduction="none"))
        for who, what, form in rows
    ]
    single = [
        {"policy_logps": ratios[i, None], "ref_logps": numbers(0), "is_desirable": labels[i, None]} for i in range(4)
    ]
    lines += [
        ("TRL", "the paper's", torch.stack([trl_kto(row, numbers(1)) for row in single])),
        ("Liger", "the paper's", torch.stack([liger_kto(row, numbers(1)) for row in single])),
    ]
    return section(
        "KTO: two value functions, and many baselines",
        "The formula is one everywhere; what stands for z_ref is not. TRL takes the mean over one micro-batch, in which the "
        "answers are moved on by one, and clamps it at 0, which biases it upwards the more the smaller the micro-batch is; HALOs "
        "divides by the number of log-ratios that are not exactly 0; penchant takes the mean over the whole optimiser step and "
        "all processes, never of a prompt with its own answer. Log-ratios 2, -1 (good), -2, 2 (bad), z_ref = 1:",
        lines,
        "r = 2, good | r = -1, good | r = -2, bad | r = 2, bad",
    )


def alphas() -> str:
    single = {name: values.float() for name, values in ROWS.items()}
    settings = {"f_divergence_type": "alpha_divergence"}
    return section(
        "f-DPO: α or 1 - α",
        "TRL's coefficient is one minus the paper's α, which penchant keeps; at ½ nobody notices. Its code takes float32, "
        "float16 and bfloat16 alone.",
        [
            ("penchant `f_dpo`, alpha=0.25", "", penchant.f_dpo_loss(A, B, beta=0.1, alpha=0.25, reduction="none")),
            (
                "TRL, f_alpha_divergence_coef=0.25",
                "",
                trl_dpo(single, "sigmoid", f_alpha_divergence_coef=0.25, **settings),
            ),
            (
                "TRL, f_alpha_divergence_coef=0.75",
                "",
                trl_dpo(single, "sigmoid", f_alpha_divergence_coef=0.75, **settings),
            ),
        ],
    )


def squares() -> str:
    return section(
        "SPPO, BCO: factors and terms left out",
        "SPPO's authors average the two squares, TRL, Liger and penchant add them: half the learning rate, the same "
        "minimum. BCO shifts both rewards by a running mean, here 0.5 nats; TRL's and Liger's `bco_pair` have none.",
        [
            ("penchant `sppo`", "β = 0.1", penchant.sppo_loss(A, B, beta=0.1, reduction="none")),
            ("TRL `sppo_hard`", "β = 0.1", trl_dpo(ROWS, "sppo_hard")),
            ("authors (*formula*)", "β = 0.1", 0.5 * ((A - 5) ** 2 + (B + 5) ** 2)),
            (
                "penchant `bco`",
                "running mean 0.5",
                penchant.bco_loss(A, B, numbers(0.5, 0.5), beta=0.1, reduction="none"),
            ),
            ("TRL `bco_pair`", "none", trl_dpo(ROWS, "bco_pair")),
        ],
    )


def weights() -> str:
    collisions = numbers(-5.4, -1.5)
    rows = {**ROWS, "chosen_mean_log_collision": collisions, "rejected_mean_log_collision": collisions}
    found = METHODS["wpo"]
    ours = found.loss(**{name: rows[name] for name in found.inputs}, beta=0.1, reduction="none")
    return section(
        "WPO: a weight that is at most 1, or any weight",
        "The authors' code, and penchant, hold the product of the two answers' weights at 1; TRL does not. The mean "
        "log Σ_v π(v)² of both answers is -5.4 in pair 1, where the product is e^0.8, and -1.5 in pair 2, where it is e^-2.",
        [
            ("penchant `wpo`", "clamped", ours),
            ("TRL `sigmoid`, use_weighting", "not clamped", trl_dpo(rows, "sigmoid", use_weighting=True)),
        ],
    )


def fine_tuning() -> str:
    single = trl_dpo(ROWS, "sigmoid", "sft")
    ours = METHODS["dpo_nll"]
    found = ours.loss(*FOUR, LEN_W, **ours.constants)
    return section(
        "DPO with fine-tuning: whose tokens count how much",
        "penchant's NLL is a mean over each answer's tokens, then over pairs, so that a step may be cut anywhere; TRL's `sft` is "
        "a mean over all tokens of the micro-batch, so the loss depends on how the step is cut.",
        [
            ("penchant `dpo_nll`", "both pairs, any cut", found),
            ("TRL `sigmoid` + `sft`", "micro-batches of 1, accumulated", single.mean()),
            ("TRL `sigmoid` + `sft`", "one micro-batch of 2", trl_dpo_batch(ROWS, "sigmoid", "sft")[0]),
        ],
        "mean loss",
    )


def odds() -> str:
    def near_one(loss: Any, dtype: torch.dtype) -> list[str]:
        mean = torch.tensor([-1e-8], dtype=dtype, requires_grad=True)
        value = loss(mean, torch.tensor([-1.0], dtype=dtype)).sum()
        (slope,) = torch.autograd.grad(value, mean)
        return [f"{value.item():.6g}", f"{slope.item():.6g}"]

    one = torch.ones(1)
    rows = (
        ("penchant, float32", lambda w, lo: penchant.orpo_loss(w, lo, one, one, reduction="none") + w, torch.float32),
        ("penchant, float64", lambda w, lo: penchant.orpo_loss(w, lo, one, one, reduction="none") + w, torch.float64),
        ("TRL, float32", trl_orpo, torch.float32),
        ("Liger, float32", lambda w, lo: liger("orpo", w, lo), torch.float32),
    )
    table = ["| whose | λ·L_OR | its slope by p̄_w |", "| --- | --- | --- |"]
    table += [f"| {who} | {' | '.join(near_one(loss, dtype))} |" for who, loss, dtype in rows]
    return (
        "## ORPO near certainty, and what its NLL reads\n\n"
        "A chosen answer that is almost certain (p̄_w = -1e-8, p̄_l = -1): log(1 - e^p̄) needs more than a `where` over two "
        "formulas, because the branch not taken has a gradient too.\n\n" + "\n".join(table) + "\n\n"
        "The fine-tuning term is a mean over the chosen answer's tokens here; TRL's and the authors' default reads the prompt's "
        "tokens too. λ is `beta` in TRL and Liger, `alpha` in the authors' code.\n"
    )


def far() -> str:
    def pair(a: float, b: float) -> dict[str, torch.Tensor]:
        at_zero = {name: torch.zeros(1) for name in (*POLICY, *REFERENCE)} | {name: torch.ones(1) for name in LENGTHS}
        return at_zero | {POLICY[0]: torch.tensor([a]), POLICY[1]: torch.tensor([b])}

    low = [torch.tensor([-100.0]), torch.tensor([-101.0])]
    fkl = METHODS["fkl_dpo"]
    alphapo = {"alpha": 0.25, "beta": 2.5, "simpo_gamma": 0.25}
    means = [torch.tensor([-112.0]), torch.tensor([-110.0])]
    return section(
        "Far from the reference, in float32",
        "Products of an infinite and a vanishing factor: DiscoPOP on a pair that is on the wrong side by 1000 nats, AlphaPO "
        "(α = 0.25) on mean log-probs of -112 and -110. The forward KL grows as e^-a: below a log-ratio of about -88 nats "
        "both exponentials overflow; penchant takes one out of the difference, and goes on straight.",
        [
            ("penchant `discopop`", "βΔ = -100", penchant.discopop_loss(torch.tensor(-1000.0), torch.tensor(0.0), 0.1)),
            ("TRL `discopop`", "βΔ = -100", trl_dpo(pair(-1000.0, 0.0), "discopop")),
            ("penchant `alphapo`", "", _alphapo(*means)),
            ("TRL `simpo`, alpha=0.25", "", trl_cpo(*means, "simpo", **alphapo)),
            ("penchant `fkl_dpo`", "a = -100, b = -101", fkl.loss(*low, **fkl.constants)),
            (
                "TRL forward_kl",
                "a = -100, b = -101",
                trl_dpo(pair(-100, -101), "sigmoid", f_divergence_type="forward_kl"),
            ),
        ],
        "loss",
    )


def _alphapo(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    one = torch.ones(1)
    return penchant.alphapo_loss(chosen, rejected, one, one, beta=2.5, gamma=0.25, alpha=0.25)


def ties() -> str:
    tied = {name: numbers(-52, -79) for name in (*POLICY, *REFERENCE)} | {name: numbers(1, 1) for name in LENGTHS}
    logps = PairLogps(**tied)
    values, weights = pair_measures(METHODS["dpo"], METHODS["dpo"].constants, logps)["rewards/accuracies"]
    return section(
        "Accuracy before the first step",
        "When policy and reference are the same, no pair is ranked yet: a tie counts one half here and nothing in TRL.",
        [
            ("penchant `rewards/accuracies`", "policy = reference", (values * weights).sum() / weights.sum()),
            (
                "TRL `rewards/accuracies`",
                "policy = reference",
                trl_dpo_batch(tied, "sigmoid")[1]["rewards/accuracies"][0],
            ),
        ],
        "value",
    )


NAMES = """## Names for the same thing

| here | elsewhere |
| --- | --- |
| `dpo` | `sigmoid` (TRL, Liger) |
| `ln_dpo` | `sigmoid_norm` (TRL, whose documentation calls it SimPO's), `dpo_norm` (open-instruct) |
| `robust_dpo` | `robust` |
| `hinge` | `hinge`; RSO's loss. SLiC's hinge is on summed log-probs without a reference: `slic` |
| `exo`, `nca`, `bco`, `sppo` | `exo_pair`, `nca_pair`, `bco_pair`, `sppo_hard` |
| `dpo_nll` | RPO, `["sigmoid", "sft"]`, `rpo_alpha` |
| β of `ipo` | τ |
| ε of `exo` | `label_smoothing` |
"""

SECTIONS = (ipo, smoothing, simpo, kto, alphas, squares, weights, fine_tuning, odds, far, ties)


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *(write() for write in SECTIONS), NAMES])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
