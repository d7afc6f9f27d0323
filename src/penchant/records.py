"""What passes between the rooms: text pairs, token pairs, log-probs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Array: TypeAlias = Any
"""A NumPy, PyTorch or JAX array, or a Python number or list where a function says so."""


class Message(TypedDict):
    """One turn of a conversation, in the shape that chat templates take.

    A turn that calls tools has ``tool_calls`` in the shape of OpenAI's interface, arguments as an object; a tool's turn
    may name the tool and the call that it answers.
    """

    role: Role
    content: str
    tool_calls: NotRequired[Sequence[Mapping[str, Any]]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]


Numbers: TypeAlias = Mapping[str, float]
"""What else a row states, by the vocabulary's name of the term: ratings, a margin, a weight."""

TemplateArgs: TypeAlias = Mapping[str, Any]
"""What a chat template takes besides the turns: ``tools``, and switches such as ``enable_thinking``."""

Prompt: TypeAlias = str | tuple[Message, ...]
"""A prompt as plain text, or as the turns of a conversation that come before the answer."""


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two answers to one prompt, the first preferred; ``source`` is ``file:line``.

    ``gold`` is a third answer to imitate, ``token_weights`` one number for each token of the chosen and of the rejected
    answer.
    """

    prompt: Prompt
    chosen: str
    rejected: str
    source: str
    numbers: Numbers = field(default_factory=dict)
    template_args: TemplateArgs = field(default_factory=dict)
    gold: str | None = None
    token_weights: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """One answer to one prompt with a thumbs-up or thumbs-down; ``source`` is ``file:line``."""

    prompt: Prompt
    completion: str
    label: bool
    source: str
    numbers: Numbers = field(default_factory=dict)
    template_args: TemplateArgs = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RankedAnswers:
    """Answers to one prompt in the order of the row, each with a score, higher is better; ``source`` is ``file:line``.

    Scores are ratings where the row states them. Where it states ranks, first is best, they are the ranks' negatives.
    """

    prompt: Prompt
    answers: tuple[str, ...]
    scores: tuple[float, ...]
    source: str
    numbers: Numbers = field(default_factory=dict)
    template_args: TemplateArgs = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A preference pair as token ids; the boundary between prompt and answer is the one between the lists.

    A ``filler``, here and below, is a copy that fills up a process's share of a step and weighs nothing in it.
    """

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    source: str
    numbers: Numbers = field(default_factory=dict)
    gold_ids: list[int] | None = None
    token_weights: tuple[tuple[float, ...], ...] | None = None
    filler: bool = False

    @property
    def answers(self) -> list[list[int]]:
        """What goes through the model after one prompt."""
        return [self.chosen_ids, self.rejected_ids, *([self.gold_ids] if self.gold_ids else [])]


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A labelled answer as token ids, with another prompt's answer (``mismatched_ids``) for KTO's KL estimate."""

    prompt_ids: list[int]
    completion_ids: list[int]
    label: bool
    source: str
    mismatched_ids: list[int]
    numbers: Numbers = field(default_factory=dict)
    filler: bool = False

    @property
    def answers(self) -> list[list[int]]:
        """What goes through the model after the prompt; the mismatched answer goes in a pass of its own."""
        return [self.completion_ids]


@dataclass(frozen=True, slots=True)
class TokenList:
    """A list of answers as token ids, best first; those of one score stand in the row's order."""

    prompt_ids: list[int]
    answers: list[list[int]]
    scores: tuple[float, ...]
    source: str
    numbers: Numbers = field(default_factory=dict)
    filler: bool = False


TokenRow: TypeAlias = TokenPair | TokenAnswer | TokenList


@dataclass(frozen=True, slots=True)
class PairLogps:
    """What is known of a batch of pairs: each attribute is a parameter name that a loss may ask for.

    Log-probs are in nats, summed over the answer's tokens, shape ``(pairs,)``; lengths count exactly those tokens.
    The reference's are ``None`` when no reference was computed, those of a third answer where rows have none.
    ``numbers`` are what the rows state, ``statistics`` what a loss asked for of single tokens or of the vocabulary, by
    parameter name; same shape.
    """

    policy_chosen_logps: Array
    policy_rejected_logps: Array
    ref_chosen_logps: Array
    ref_rejected_logps: Array
    chosen_lengths: Array
    rejected_lengths: Array
    numbers: Mapping[str, Array] = field(default_factory=dict)
    gold_logps: Array = None
    gold_lengths: Array = None
    statistics: Mapping[str, Array] = field(default_factory=dict)

    def per_token(self) -> PairLogps:
        """The same with every log-prob divided by its answer's length: nats per token."""
        lengths = (self.chosen_lengths, self.rejected_lengths)
        policy_w, policy_l = _divided((self.policy_chosen_logps, self.policy_rejected_logps), lengths)
        ref_w, ref_l = _divided((self.ref_chosen_logps, self.ref_rejected_logps), lengths)
        (gold,) = _divided((self.gold_logps,), (self.gold_lengths,))
        return PairLogps(
            policy_w, policy_l, ref_w, ref_l, *lengths, self.numbers, gold, self.gold_lengths, self.statistics
        )

    @property
    def chosen_logps(self) -> Array:
        return self.policy_chosen_logps

    @property
    def rejected_logps(self) -> Array:
        return self.policy_rejected_logps

    @property
    def log_ratio_w(self) -> Array:
        return self.policy_chosen_logps - self.ref_chosen_logps

    @property
    def log_ratio_l(self) -> Array:
        return self.policy_rejected_logps - self.ref_rejected_logps


@dataclass(frozen=True, slots=True)
class AnswerLogps:
    """What is known of a batch of labelled answers: each attribute is a parameter name that a loss may ask for.

    Log-probs are in nats, summed over the answer's tokens, shape ``(answers,)``; ``z_ref`` is the scalar baseline.
    """

    policy_logps: Array
    ref_logps: Array
    lengths: Array
    is_desirable: Array
    z_ref: Array
    numbers: Mapping[str, Array] = field(default_factory=dict)

    def per_token(self) -> AnswerLogps:
        """The same with every log-prob divided by its answer's length: nats per token."""
        policy, reference = _divided((self.policy_logps, self.ref_logps), (self.lengths, self.lengths))
        return AnswerLogps(policy, reference, self.lengths, self.is_desirable, self.z_ref, self.numbers)

    @property
    def log_ratio(self) -> Array:
        return self.policy_logps - self.ref_logps


@dataclass(frozen=True, slots=True)
class ListLogps:
    """What is known of a batch of lists, best answers first; each attribute is a parameter name of losses.

    Log-probs are in nats, summed over the answer's tokens, shape ``(lists, answers)``, as lengths and ratings have;
    ``numbers`` have shape ``(lists,)``.
    """

    policy_list_logps: Array
    ref_list_logps: Array
    list_lengths: Array
    list_scores: Array
    numbers: Mapping[str, Array] = field(default_factory=dict)

    def per_token(self) -> ListLogps:
        """The same with every log-prob divided by its answer's length: nats per token."""
        lengths = self.list_lengths
        policy, reference = _divided((self.policy_list_logps, self.ref_list_logps), (lengths, lengths))
        return ListLogps(policy, reference, lengths, self.list_scores, self.numbers)


Logps: TypeAlias = PairLogps | AnswerLogps | ListLogps


def _divided(logps: tuple[Array, ...], lengths: tuple[Array, ...]) -> list[Array]:
    return [None if value is None else value / length for value, length in zip(logps, lengths, strict=True)]
