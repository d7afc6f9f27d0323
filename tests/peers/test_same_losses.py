"""Where TRL and Liger are right, their losses and gradients are ours: their own code, on the same float64 numbers."""

from __future__ import annotations

import re

import pytest
import torch
from peers.borrowed import (
    COLLISIONS,
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

from penchant.objectives import METHODS

pytest.importorskip("trl")

PAIRS = 12
EXACT, SINGLE = 1e-11, 1e-6
"""Relative tolerances; their EXO makes its epsilon a float32."""


def drawn(seed: int) -> dict[str, torch.Tensor]:
    """Pairs of answers of 1 to 60 tokens, moved from the reference by up to some 20 nats."""
    draw = torch.Generator().manual_seed(seed)

    def number(scale: float) -> torch.Tensor:
        return scale * torch.randn(PAIRS, generator=draw, dtype=torch.float64)

    rows: dict[str, torch.Tensor] = {}
    for policy, reference, length in zip(POLICY, REFERENCE, LENGTHS, strict=True):
        rows[length] = torch.randint(1, 60, (PAIRS,), generator=draw).double()
        rows[policy] = (-rows[length] * (0.2 + number(0.3).abs())).requires_grad_()
        rows[reference] = rows[policy].detach() + number(8.0)
    return rows


def ours(method: str, rows: dict[str, torch.Tensor], **constants: object) -> torch.Tensor:
    """The catalogue's loss of each pair, from the four log-probs and the lengths."""
    found = METHODS[method]
    known = {
        **rows,
        "chosen_logps": rows[POLICY[0]],
        "rejected_logps": rows[POLICY[1]],
        "log_ratio_w": rows[POLICY[0]] - rows[REFERENCE[0]],
        "log_ratio_l": rows[POLICY[1]] - rows[REFERENCE[1]],
        "log_ratio_baseline": torch.tensor(0.0, dtype=torch.float64),
    }
    inputs = {name: known[name] for name in found.inputs}
    reduction = {} if found.couples_rows else {"reduction": "none"}
    return found.loss(**inputs, **found.with_constants(constants), **reduction)


def per_token(rows: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same rows with means over tokens in place of sums."""
    sides = zip((*POLICY, *REFERENCE), (*LENGTHS, *LENGTHS), strict=True)
    return {**rows, **{name: rows[name] / rows[length] for name, length in sides}}


def agree(mine: torch.Tensor, theirs: torch.Tensor, rows: dict[str, torch.Tensor], rtol: float = EXACT) -> None:
    """Value and derivative by both log-probs; a zero gradient on both sides would show nothing."""
    torch.testing.assert_close(mine, theirs, rtol=rtol, atol=rtol / 100)
    weights = torch.linspace(0.5, 1.5, mine.numel(), dtype=mine.dtype).reshape(mine.shape)
    inputs = [rows[name] for name in POLICY]
    slopes = [torch.autograd.grad((weights * loss).sum(), inputs, allow_unused=True) for loss in (mine, theirs)]
    assert any(slope is not None and slope.abs().max() > 0 for slope in slopes[0])
    for my_slope, their_slope in zip(*slopes, strict=True):
        torch.testing.assert_close(my_slope, their_slope, rtol=10 * rtol, atol=rtol / 100)


SAME_IN_TRL = {
    "dpo": ("sigmoid", {}, {}),
    "hinge": ("hinge", {"beta": 0.1}, {}),
    "exo": ("exo_pair", {"epsilon": 0.02}, {"label_smoothing": 0.02}),
    "nca": ("nca_pair", {"beta": 0.1}, {}),
    "robust_dpo": ("robust", {"label_smoothing": 0.2}, {"label_smoothing": 0.2}),
    "bco": ("bco_pair", {}, {}),
    "sppo": ("sppo_hard", {"beta": 0.1}, {}),
    "apo_zero": ("apo_zero", {}, {}),
    "apo_down": ("apo_down", {}, {}),
    "discopop": ("discopop", {"beta": 0.1}, {}),
    "ln_dpo": ("sigmoid_norm", {"beta": 5.0}, {"beta": 5.0}),
    "js_dpo": ("sigmoid", {}, {"f_divergence_type": "js_divergence"}),
    "fkl_dpo": ("sigmoid", {"beta": 0.1}, {"f_divergence_type": "forward_kl"}),
}
"""Ours -> TRL's loss_type, our constants, its settings."""


@pytest.mark.parametrize("method", SAME_IN_TRL)
@pytest.mark.parametrize("seed", (1, 2))
def test_dpo_trainer(method, seed):
    loss_type, constants, settings = SAME_IN_TRL[method]
    rows = drawn(seed)
    rtol = SINGLE if method == "exo" else EXACT
    agree(ours(method, rows, **constants), trl_dpo(rows, loss_type, **settings), rows, rtol)


def test_every_loss_type_of_the_dpo_trainer_is_accounted_for():
    """A loss type that TRL adds is a question to be answered here, or on the page of differences."""
    with pytest.raises(ValueError, match="Unknown loss type") as refusal:
        trl_dpo(drawn(0), "nonsense")
    named = set(re.findall(r"'(\w+)'", str(refusal.value)))
    compared = {loss_type for loss_type, _, _ in SAME_IN_TRL.values()}
    assert named == compared | {"ipo", "sft", "aot", "aot_unpaired"}  # each has a test of its own below


def test_ipo_per_token():
    rows = drawn(3)
    agree(ours("ipo", per_token(rows)), trl_dpo(rows, "ipo"), rows)


@pytest.mark.parametrize("method", ("aot", "aot_unpaired"))
def test_sorted_batches(method):
    rows = drawn(11)
    agree(ours(method, rows, beta=0.1), trl_dpo_batch(rows, method)[0], rows)


def test_wpo_below_its_clamp():
    """The weight is at most 1 here; where it is, TRL's, which has no clamp, is the same."""
    rows = drawn(12)
    means = {
        name: rows[policy].detach() / rows[size] for name, policy, size in zip(COLLISIONS, POLICY, LENGTHS, strict=True)
    }
    rows |= {name: mean + 0.4 for name, mean in means.items()}
    agree(ours("wpo", rows, beta=0.1), trl_dpo(rows, "sigmoid", use_weighting=True), rows)


def test_dpo_with_fine_tuning():
    rows = drawn(4)
    agree(ours("dpo_nll", rows), trl_dpo(rows, "sigmoid", "sft"), rows)


@pytest.mark.parametrize("alpha", (0.25, 0.5, 0.9))
def test_alpha_divergence_with_one_minus_alpha(alpha):
    """TRL's coefficient is one minus the paper's alpha, and its code takes float32 alone."""
    rows = drawn(5)
    single = {name: values.detach().float().requires_grad_(name in POLICY) for name, values in rows.items()}
    settings = {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 1 - alpha}
    torch.testing.assert_close(
        ours("f_dpo", single, alpha=alpha), trl_dpo(single, "sigmoid", **settings), rtol=2e-4, atol=2e-5
    )


@pytest.mark.parametrize("weights", ((1.0, 1.0), (1.3, 0.7)))
@pytest.mark.parametrize("mean", (2.5, -2.5))
def test_kto(weights, mean):
    """The paper's form, class weights and a baseline that is clamped at 0; TRL and Liger alike."""
    pytest.importorskip("liger_kernel")
    draw = torch.Generator().manual_seed(6)
    policy = (-30 + 6 * torch.randn(PAIRS, generator=draw, dtype=torch.float64)).requires_grad_()
    rows = {
        "policy_logps": policy,
        "ref_logps": torch.full((PAIRS,), -30.0, dtype=torch.float64),
        "is_desirable": torch.arange(PAIRS) % 3 > 0,
    }
    mismatched = mean + torch.randn(PAIRS, generator=draw, dtype=torch.float64)
    z_ref = mismatched.mean().clamp(min=0)
    kto = METHODS["kto"]
    constants = kto.with_constants({"desirable_weight": weights[0], "undesirable_weight": weights[1]})
    mine = kto.loss(policy - rows["ref_logps"], rows["is_desirable"], z_ref, **constants)
    theirs = trl_kto(rows, mismatched, desirable_weight=weights[0], undesirable_weight=weights[1])
    losses = [mine, theirs] + ([liger_kto(rows, z_ref)] if weights == (1.0, 1.0) else [])
    slopes = [torch.autograd.grad(loss, policy)[0] for loss in losses]
    assert slopes[0].abs().min() > 0
    for loss, slope in zip(losses[1:], slopes[1:], strict=True):
        torch.testing.assert_close(loss, mine, rtol=1e-12, atol=0)
        torch.testing.assert_close(slope, slopes[0], rtol=1e-11, atol=0)


def test_cpo_trainer():
    rows, means = drawn(7), per_token(drawn(7))
    chosen, rejected = (rows[name] for name in POLICY)
    agree(ours("cpo", rows, alpha=0.0), trl_cpo(chosen, rejected, "sigmoid"), rows)
    means = {name: values.detach().requires_grad_(name in POLICY) for name, values in means.items()}
    one = {**means, **{name: torch.ones_like(means[name]) for name in LENGTHS}}
    chosen, rejected = (one[name] for name in POLICY)
    agree(ours("simpo", one, gamma=1.2), trl_cpo(chosen, rejected, "simpo", beta=2.0, simpo_gamma=1.2), one)
    bent = {"alpha": 0.25, "beta": 2.5, "simpo_gamma": 0.25}
    agree(ours("alphapo", one), trl_cpo(chosen, rejected, "simpo", **bent), one)


def test_orpo_trainer():
    means = {
        name: values.detach().float().requires_grad_(name in POLICY) for name, values in per_token(drawn(8)).items()
    }
    one = {**means, **{name: torch.ones_like(means[name]) for name in LENGTHS}}
    chosen, rejected = (one[name] for name in POLICY)
    mine = ours("orpo", one) + chosen  # less the fine-tuning term, which its trainer adds elsewhere
    torch.testing.assert_close(mine, trl_orpo(chosen, rejected), rtol=1e-4, atol=1e-6)


SAME_IN_LIGER = {
    "dpo": {"loss_type": "sigmoid"},
    "hinge": {"loss_type": "hinge"},
    "exo": {"loss_type": "exo_pair", "label_smoothing": 0.001},
    "nca": {"loss_type": "nca_pair"},
    "robust_dpo": {"loss_type": "robust", "label_smoothing": 0.1},
    "bco": {"loss_type": "bco_pair"},
    "sppo": {"loss_type": "sppo_hard"},
    "apo_zero": {"loss_type": "apo_zero"},
    "apo_down": {"loss_type": "apo_down"},
    "discopop": {"loss_type": "discopop"},
}


@pytest.mark.parametrize("method", SAME_IN_LIGER)
def test_liger_dpo(method):
    pytest.importorskip("liger_kernel")
    rows = drawn(9)
    theirs = liger("dpo", *(rows[name] for name in (*POLICY, *REFERENCE)), beta=0.1, **SAME_IN_LIGER[method])
    agree(ours(method, rows, beta=0.1), theirs, rows, SINGLE if method == "exo" else EXACT)


def test_liger_without_a_reference():
    pytest.importorskip("liger_kernel")
    rows = drawn(10)
    agree(ours("cpo", rows, alpha=0.0), liger("cpo", *(rows[name] for name in POLICY)), rows)
    chosen, rejected = (per_token(rows)[name] for name in POLICY)
    agree(ours("simpo", rows, gamma=0.8), liger("simpo", chosen, rejected, beta=2.0, gamma=0.8), rows)
    chosen, rejected = (per_token(rows)[name] for name in POLICY)
    mine = ours("orpo", rows) + per_token(rows)[POLICY[0]]  # less the fine-tuning term, which Liger adds elsewhere
    agree(mine, liger("orpo", chosen, rejected, beta=0.1), rows)
