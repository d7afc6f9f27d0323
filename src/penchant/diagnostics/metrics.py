"""Training metrics under the names the field knows, as one value and one weight per row.

Sums of values and weights can be added over micro-batches, steps and processes before they are divided, so the mean
over an optimiser step is exact however the step was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import array_api_compat as compat

from penchant.objectives import Method
from penchant.records import AnswerLogps, Array, PairLogps

Measures = dict[str, tuple[Array, Array]]
"""Name -> (values, weights), both of shape ``(rows,)``; the metric is sum(values * weights) / sum(weights)."""


def implicit_rewards(
    method: Method, constants: Mapping[str, Any], logps: Array, ref_logps: Array | None, lengths: Array
) -> Array:
    """The score by which the method itself ranks answers.

    beta times the log-ratio, or times the log-prob where the method has no reference; per token where the method
    compares means over tokens. A method without beta, such as ORPO, ranks by the log-prob per token itself, and
    one that bends the log-ratio, such as f-DPO, by what it bends: the order is the same.
    """
    score = logps - ref_logps if method.needs_reference else logps
    beta = constants.get("beta", 1.0)
    return beta * (score / lengths if method.ranks_per_token else score)


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
