"""Losses on lists of answers."""

from __future__ import annotations

from penchant.objectives.catalogue.method import Method, Paper
from penchant.objectives.listwise import d2o_loss, plackett_luce_loss
from penchant.objectives.rated_lists import (
    exo_list_loss,
    info_nca_loss,
    lipo_loss,
    nca_list_loss,
    pro_loss,
    rrhf_loss,
)

_NCA = Paper("Chen et al.", "Noise Contrastive Alignment of Language Models with Explicit Rewards", 2024, "2402.05369")

METHODS = (
    Method(
        "plackett_luce",
        plackett_luce_loss,
        "DPO on whole rankings",
        "Σ_k log Σ_{j≥k} exp(s_j - s_k), s = β r, best answer first",
        Paper(
            "Rafailov et al.",
            "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
            2023,
            "2305.18290",
        ),
    ),
    Method(
        "info_nca",
        info_nca_loss,
        "implicit rewards are to be the ratings, as softmaxes",
        "-Σ_k softmax(rating/T)_k·log softmax(s)_k, s = β r",
        _NCA,
    ),
    Method(
        "nca_list",
        nca_list_loss,
        "answers whose share of the ratings' softmax is above 1/K rise, all others fall",
        "-Σ_k [softmax(rating/T)_k·log σ(s_k) + 1/K·log σ(-s_k)], s = β r",
        _NCA,
    ),
    Method(
        "exo_list",
        exo_list_loss,
        "the reverse divergence: seeks the best answers",
        "KL(softmax(s), softmax(rating/T)), s = β r",
        Paper("Ji et al.", "Towards Efficient Exact Optimization of Language Model Alignment", 2024, "2402.00856"),
    ),
    Method(
        "lipo",
        lipo_loss,
        "all pairs of a list, weighted by what a swap would change in the ranking's gain",
        "Σ_{i better than j} |ΔG·Δ(1/D)|·(-log σ(s_i - s_j)), G = 2^rating, D = log2(1 + rank), s = β r",
        Paper("Liu et al.", "LiPO: Listwise Preference Optimization through Learning-to-Rank", 2024, "2402.01878"),
    ),
    Method(
        "pro",
        pro_loss,
        "each answer against all worse ones, at temperatures that the ratings set; no reference",
        "Σ_k log(1 + Σ_{i worse} exp(p̄_i/T_ki - p̄_k/T_kk)) - α·p̄_best, T_ki = 1/(rating_k - rating_i)",
        Paper("Song et al.", "Preference Ranking Optimization for Human Alignment", 2023, "2306.17492"),
    ),
    Method(
        "rrhf",
        rrhf_loss,
        "better rated answers are to be likelier per token; no margin, no reference",
        "Σ_{i worse than j} max(0, p̄_i - p̄_j) - α·p̄_best",
        Paper(
            "Yuan et al.",
            "RRHF: Rank Responses to Align Language Models with Human Feedback without tears",
            2023,
            "2304.05302",
        ),
    ),
    Method(
        "d2o",
        d2o_loss,
        "the model's own answers against one that is known to be bad",
        "-log σ(β·mean_k r_k - α·r_bad), the bad answer last",
        Paper(
            "Duan et al.",
            "Negating Negatives: Alignment with Human Negative Samples via Distributional Dispreference Optimization",
            2024,
            "2403.03419",
        ),
    ),
)
