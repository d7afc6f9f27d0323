"""Steps of the losses on a whole batch and on lists of answers: the last axis is the batch, or the list."""

from __future__ import annotations

from penchant.whiteboard.anatomy import Step
from penchant.whiteboard.walkthroughs.blocks import LIST_MEANS, LOGISTIC, MEAN_LOSS, RATIOS, REWARDS, SHARES, line

BATCHES: dict[str, tuple[Step, ...]] = {
    "beta_dpo": (
        *RATIOS,
        line("gap", "a - b", "margin of each pair"),
        line("far", "mean(gap - gap_mean)", "how far the batch is above the running mean"),
        line("scale", "maximum(1e-3, beta * (1 + alpha * far))", "beta of this batch; a constant", held=True),
        line("ell", "-log_sigmoid(scale * gap)", "loss of each pair"),
        MEAN_LOSS,
    ),
    "aot": (
        line("up", "sort(pw - pl)", "differences under the policy, in order"),
        line("was", "sort(rw - rl)", "differences under the reference, in order"),
        line("ell", "-log_sigmoid(beta * (up - was))", "rank by rank"),
        MEAN_LOSS,
    ),
    "aot_unpaired": (
        *RATIOS,
        line("up", "sort(a)", "log-ratios of the chosen answers, in order"),
        line("down", "sort(b)", "log-ratios of the rejected answers, in order"),
        line("ell", "-log_sigmoid(beta * (up - down))", "rank by rank"),
        MEAN_LOSS,
    ),
}

LISTS: dict[str, tuple[Step, ...]] = {
    "plackett_luce": (
        *REWARDS,
        line(
            "rest",
            "log_sum_from(sk)",
            "log of the summed e^s of an answer and all after it",
            "rest_k = log Σ_{j≥k} e^s_j",
        ),
        line("loss", "total(rest - sk)", "each answer comes before the rest: the loss of the list"),
    ),
    "info_nca": (
        *REWARDS,
        SHARES,
        line("qk", "log_softmax(sk)", "log of the share that the policy gives it"),
        line("loss", "-total(tk * qk)", "the loss of the list"),
    ),
    "nca_list": (
        *REWARDS,
        SHARES,
        line("up", "-tk * log_sigmoid(sk)", "raises an answer, by its share"),
        line("hold", "-log_sigmoid(-sk)", "holds every answer back"),
        line("loss", "total(up) + mean(hold)", "the loss of the list"),
    ),
    "exo_list": (
        *REWARDS,
        line("qk", "log_softmax(sk)", "log of the share that the policy gives each answer"),
        line("wk", "log_softmax(list_scores / temperature)", "log of the share that the ratings give it"),
        line("loss", "total(exp(qk) * (qk - wk))", "KL(policy, ratings): the loss of the list"),
    ),
    "lipo": (
        *REWARDS,
        line("gain", "2 ** list_scores", "what an answer at the top is worth", "gain = 2^rating_k"),
        line(
            "disc",
            "log(2) / log(1 + ranks(sk))",
            "discount of its place by s; a constant",
            "disc = 1/log2(1 + rank of s_k)",
            held=True,
        ),
        line(
            "swap", "maximum(0, gaps(gain)) * abs(gaps(disc))", "what swapping two would lose, row better, column worse"
        ),
        line("pairs", "-log_sigmoid(gaps(sk))", "DPO's loss of each two"),
        line("loss", "total(total(swap * pairs))", "the loss of the list"),
    ),
    "pro": (
        LIST_MEANS,
        line("ahead", "gaps(list_scores)", "rating of the row's answer less the column's: one over a temperature"),
        line(
            "own",
            "each(pk * (list_scores - least(list_scores)))",
            "p̄_k at the temperature of its widest gap",
            "own = p̄_k·(rating_k - least rating)",
        ),
        line(
            "over",
            "where(ahead > 0, exp(ahead * across(pk) - own), 0)",
            "each worse answer against it",
            "over = e^(ahead·p̄_i - own) where ahead > 0",
        ),
        line("rank", "log(1 + total(over))", "loss of each answer against all worse ones"),
        line(
            "loss",
            "total(rank) - alpha * best(pk, list_scores)",
            "and fine-tuning on the best",
            "L = sum(rank) - α·p̄_best",
        ),
    ),
    "rrhf": (
        LIST_MEANS,
        line(
            "wrong",
            "where(gaps(list_scores) > 0, maximum(0, -gaps(pk)), 0)",
            "by how much a worse answer (column) leads a better one (row)",
            "wrong = max(0, p̄_i - p̄_k) where i is worse",
        ),
        line(
            "loss",
            "total(total(wrong)) - alpha * best(pk, list_scores)",
            "and fine-tuning on the best",
            "L = sum(wrong) - α·p̄_best",
        ),
    ),
    "d2o": (
        REWARDS[0],
        line(
            "good",
            "mean(but_last(rk))",
            "mean log-ratio of the model's own answers",
            "good = mean of all r_k but the last",
        ),
        line("bad", "last(rk)", "log-ratio of the answer known to be bad", "bad = the last r_k"),
        line("z", "beta * good - alpha * bad", "the margin, each side at its own scale"),
        LOGISTIC,
    ),
}
