"""Training metrics under the names the field knows, as one value and one weight per row.

Sums of values and weights can be added over micro-batches, steps and processes before they are divided, so the mean
over an optimiser step is exact however the step was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import array_api_compat as compat

from penchant.objectives import Method
from penchant.records import AnswerLogps, Array, ListLogps, Logps, PairLogps

Measures = dict[str, tuple[Array, Array]]
"""Name -> (values, weights), both of shape ``(rows,)``; the metric is sum(values * weights) / sum(weights)."""


def implicit_rewards(
    method: Method, constants: Mapping[str, Any], logps: Array, ref_logps: Array | None, lengths: Array
) -> Array:
    """The score by which the method itself ranks answers.

    beta times the log-ratio, or times the log-prob where the method has no reference; per token where the method
    compares means over tokens. A method without beta, such as ORPO, ranks by the log-prob per token itself, and
    one that bends the log-ratio, such as f-DPO, by what it bends: the order is the same. A sum of methods ranks by the
    mean of its parts' scores, weighted as the parts are; fine-tuning beside them ranks nothing.
    """
    ranking = [part for part in method.parts if part.method.constants]
    if ranking:
        own = [
            part.weight * implicit_rewards(part.method, part.constants, logps, ref_logps, lengths) for part in ranking
        ]
        return sum(own) / sum(part.weight for part in ranking)
    score = logps - ref_logps if method.needs_reference else logps
    beta = constants.get("beta", 1.0)
    return beta * (score / lengths if method.ranks_per_token else score)


def by_answer(record: Logps) -> tuple[Array, Array | None, Array]:
    """Log-probs under policy and reference, and lengths, of the answers of each row: shape ``(rows, answers)``."""
    if isinstance(record, ListLogps):
        return record.policy_list_logps, record.ref_list_logps, record.list_lengths
    if isinstance(record, AnswerLogps):
        columns = [[record.policy_logps], [record.ref_logps], [record.lengths]]
    else:
        columns = [
            [record.policy_chosen_logps, record.policy_rejected_logps],
            [record.ref_chosen_logps, record.ref_rejected_logps],
            [record.chosen_lengths, record.rejected_lengths],
        ]
    stack = compat.array_namespace(columns[0][0]).stack
    policy, ref, lengths = (None if one[0] is None else stack(one, axis=1) for one in columns)
    return policy, ref, lengths


def answer_rewards(method: Method, constants: Mapping[str, Any], record: Logps) -> Array:
    """The implicit reward of every answer of each row, shape ``(rows, answers)``: see :func:`implicit_rewards`."""
    return implicit_rewards(method, constants, *by_answer(record))


def pair_measures(method: Method, constants: Mapping[str, Any], logps: PairLogps) -> Measures:
    """Rewards, their margin and its sign, log-probs, and the chosen answer's loss per token, for each pair.

    A tie counts as half in the accuracy.
    """
    chosen = implicit_rewards(
        method, constants, logps.policy_chosen_logps, logps.ref_chosen_logps, logps.chosen_lengths
    )
    rejected = implicit_rewards(
        method, constants, logps.policy_rejected_logps, logps.ref_rejected_logps, logps.rejected_lengths
    )
    margins = chosen - rejected
    xp = compat.array_namespace(margins)
    one = xp.ones_like(margins)
    return {
        "rewards/chosen": (chosen, one),
        "rewards/rejected": (rejected, one),
        "rewards/margins": (margins, one),
        "rewards/accuracies": (0.5 * (1 + xp.sign(margins)), one),
        "logps/chosen": (logps.policy_chosen_logps, one),
        "logps/rejected": (logps.policy_rejected_logps, one),
        "nll_loss": (-logps.policy_chosen_logps / logps.chosen_lengths, one),
    }


def answer_measures(method: Method, constants: Mapping[str, Any], logps: AnswerLogps) -> Measures:
    """Rewards and log-probs of the desirable (chosen) and undesirable (rejected) answers, and the KL estimate.

    Each class's mean is over that class's rows alone; ``rewards/margins`` is the difference of the two means and is
    made by whoever divides the sums.
    """
    rewards = implicit_rewards(method, constants, logps.policy_logps, logps.ref_logps, logps.lengths)
    xp = compat.array_namespace(rewards)
    desirable = xp.astype(logps.is_desirable, rewards.dtype)
    return {
        "rewards/chosen": (rewards, desirable),
        "rewards/rejected": (rewards, 1 - desirable),
        "logps/chosen": (logps.policy_logps, desirable),
        "logps/rejected": (logps.policy_logps, 1 - desirable),
        "kl": (xp.zeros_like(rewards) + logps.z_ref, xp.ones_like(rewards)),
    }


def list_measures(method: Method, constants: Mapping[str, Any], logps: ListLogps) -> Measures:
    """Rewards of the best answer (chosen) and of the others on average (rejected), for each list.

    The accuracy is over all pairs of answers whose ratings differ: the share that the rewards order rightly, a tie of
    rewards counting as half. ``rewards/best`` is the share of lists whose best answer has the highest reward.
    """
    rewards = implicit_rewards(method, constants, logps.policy_list_logps, logps.ref_list_logps, logps.list_lengths)
    xp = compat.array_namespace(rewards)
    best, others = rewards[:, 0], xp.mean(rewards[:, 1:], axis=1)
    scores = logps.list_scores
    better = xp.astype(scores[:, :, None] > scores[:, None, :], rewards.dtype)
    right = 0.5 * (1 + xp.sign(rewards[:, :, None] - rewards[:, None, :]))
    pairs = xp.sum(better, axis=(1, 2))
    share = xp.sum(better * right, axis=(1, 2)) / xp.where(pairs > 0, pairs, xp.ones_like(pairs))
    one = xp.ones_like(best)
    return {
        "rewards/chosen": (best, one),
        "rewards/rejected": (others, one),
        "rewards/margins": (best - others, one),
        "rewards/accuracies": (share, pairs),
        "rewards/best": (xp.astype(best >= xp.max(rewards, axis=1), rewards.dtype), one),
        "logps/chosen": (logps.policy_list_logps[:, 0], one),
        "logps/rejected": (xp.mean(logps.policy_list_logps[:, 1:], axis=1), one),
        "nll_loss": (-logps.policy_list_logps[:, 0] / logps.list_lengths[:, 0], one),
    }


def measures_of(record: Logps) -> Callable[[Method, Mapping[str, Any], Any], Measures]:
    """The function that measures a record's kind of rows."""
    if isinstance(record, ListLogps):
        return list_measures
    return pair_measures if isinstance(record, PairLogps) else answer_measures
