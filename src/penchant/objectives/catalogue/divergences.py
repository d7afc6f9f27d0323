"""DPO under other divergences from the reference than the reverse KL."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.divergences import chi_po_loss, f_dpo_loss, js_dpo_loss

METHODS = (
    Method(
        "f_dpo",
        f_dpo_loss,
        "an alpha-divergence in place of the reverse KL",
        "-log σ(β(h(a) - h(b))), h(r) = (1 - e^(-αr))/α",
        Paper(
            "Wang et al.",
            "Beyond Reverse KL: Generalizing Direct Preference Optimization with Diverse Divergence Constraints",
            2023,
            "2309.16240",
        ),
    ),
    Method(
        "fkl_dpo",
        f_dpo_loss,
        "the forward KL in place of the reverse one",
        "-log σ(β(e^-b - e^-a))",
        Paper(
            "Wang et al.",
            "Beyond Reverse KL: Generalizing Direct Preference Optimization with Diverse Divergence Constraints",
            2023,
            "2309.16240",
        ),
        bound={"alpha": 1.0, "beta": 0.03},
    ),
    Method(
        "js_dpo",
        js_dpo_loss,
        "the Jensen-Shannon divergence in place of the reverse KL",
        "-log σ(β(log σ(a) - log σ(b)))",
        Paper(
            "Wang et al.",
            "Beyond Reverse KL: Generalizing Direct Preference Optimization with Diverse Divergence Constraints",
            2023,
            "2309.16240",
        ),
    ),
    Method(
        "chi_po",
        chi_po_loss,
        "chi-squared and KL together, against over-optimisation",
        "-log σ(clip(β(φ(a) - φ(b)))), φ(r) = e^r + r",
        Paper(
            "Huang et al.",
            "Correcting the Mythos of KL-Regularization: Direct Alignment without Overoptimization via Chi-Squared "
            "Preference Optimization",
            2024,
            "2407.13399",
        ),
    ),
)
