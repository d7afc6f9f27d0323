"""What a run will take, before its first step: parameters, tokens, steps, memory by part, operations and time.

From a model's config alone: it is built on torch's meta device, which holds no weights. A product of an (a, b) and a
(b, c) matrix counts 2abc operations; norms, rotations and the softmax are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from penchant.errors import InputError, suggest
from penchant.models import DTYPES, quiet_peft

GPUS = {
    "t4": (65e12, 16),
    "l4": (121e12, 24),
    "rtx3090": (71e12, 24),
    "rtx4090": (165e12, 24),
    "l40s": (362e12, 48),
    "a100-40": (312e12, 40),
    "a100": (312e12, 80),
    "h100": (989e12, 80),
    "h200": (989e12, 141),
    "b200": (2250e12, 180),
}
"""Peak rate of dense 16-bit products, operations a second, and memory in GB, as their makers state them."""

EFFICIENCY = 0.4
"""The share of a GPU's peak that training is assumed to reach; not measured by us."""

_TILE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a decoder: width, layers, width of all query heads and of all key heads, width of the gated MLP (of a
    mixture, of the experts that a token goes through).
    """

    layers: int
    width: int
    queries: int
    keys: int
    inner: int
    vocabulary: int

    @classmethod
    def of(cls, config: Any) -> Shape:
        """From a transformers config."""
        text = config.get_text_config()
        heads = text.num_attention_heads
        head = getattr(text, "head_dim", None) or text.hidden_size // heads
        keys = getattr(text, "num_key_value_heads", None) or heads
        return cls(text.num_hidden_layers, text.hidden_size, heads * head, keys * head, _inner(text), text.vocab_size)

    @property
    def layer_products(self) -> int:
        """Weights of one layer that take part in products."""
        attention = self.width * (2 * self.queries + 2 * self.keys)
        return attention + 3 * self.width * self.inner

    def kept(self, rank: int, rows: Rows) -> float:
        """Numbers kept of one token in one layer for the backward pass: two inputs of norms and their outputs, queries,
        keys, values, the attention's output, the MLP's gate, input and product, and seven adapters' narrow products.
        """
        attention = self.queries * (1 + rows.query_copies) + 2 * self.keys * rows.key_copies
        return 4 * self.width + attention + 3 * self.inner + 7 * rank


def _inner(text: Any) -> int:
    """Width of the MLP that a token goes through."""
    whole: int = getattr(text, "intermediate_size", None) or getattr(text, "ffn_dim", None) or 4 * text.hidden_size
    taken = getattr(text, "num_experts_per_tok", None)
    if not taken:
        return whole
    expert: int = getattr(text, "moe_intermediate_size", None) or whole
    shared = getattr(text, "shared_expert_intermediate_size", None)
    return int(taken * expert + (shared or expert * (getattr(text, "n_shared_experts", None) or 0)))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of training data by their tokens: prompt and answers, of which each is computed once.

    Attributes:
        count: Rows.
        prompt: Mean tokens of a prompt.
        answers: Mean tokens of a row's answers together.
        longest: Tokens of the longest row.
        squares: Mean pairs of positions in which one attends to the other.
        query_copies: How often attention keeps a position's query: as it was computed, where there are several answers,
            and beside it prompt and first answer in one piece.
        key_copies: How often it keeps a position's key and value: the prompt's beside each answer.
        aside: Mean tokens of the answer set under the prompt for KTO's baseline.
        aside_squares: Mean pairs of positions in which one of that answer's attends to another.
        prompt_squares: The same of the prompt's alone.
        shared: Tokens that all prompts begin with, which are computed once for all rows that go through together.
    """

    count: int
    prompt: float
    answers: float
    longest: int
    squares: float
    query_copies: float
    key_copies: float
    aside: float = 0.0
    aside_squares: float = 0.0
    prompt_squares: float = 0.0
    shared: int = 0

    @classmethod
    def of(cls, lengths: Sequence[tuple[int, Sequence[int], int]], shared: int = 0) -> Rows:
        """From the tokens of each row's prompt, of its answers, and of an answer aside (0 where there is none)."""
        count = len(lengths)
        totals = [prompt + sum(answers) for prompt, answers, _ in lengths]
        both = list(zip(lengths, totals, strict=True))
        return cls(
            count,
            sum(prompt for prompt, *_ in lengths) / count,
            sum(sum(answers) for _, answers, _ in lengths) / count,
            max(prompt + max(sum(answers), aside) for prompt, answers, aside in lengths),
            sum(_attended(prompt, answers) for prompt, answers, _ in lengths) / count,
            sum(prompt + answers[0] + total * (len(answers) > 1) for (prompt, answers, _), total in both) / sum(totals),
            sum(prompt * len(answers) + sum(answers) for prompt, answers, _ in lengths) / sum(totals),
            sum(aside for *_, aside in lengths) / count,
            sum(_attended(prompt, [aside]) - _attended(prompt, []) for prompt, _, aside in lengths) / count,
            sum(_attended(prompt, []) for prompt, *_ in lengths) / count,
            shared,
        )

    @property
    def tokens(self) -> float:
        return self.prompt + self.answers

    def together(self, positions: int, most: int) -> Rows:
        """The means where rows go through in so many positions, at most so many, and what all prompts begin with once
        in them.
        """
        rows = min(float(most), max(1.0, (positions - self.shared) / (self.tokens - self.shared)))
        spared, squares = self.shared * (1 - 1 / rows), self.shared**2 / 2 * (1 - 1 / rows)
        return replace(
            self,
            prompt=self.prompt - spared,
            squares=self.squares - squares,
            prompt_squares=self.prompt_squares - squares,
        )


def _attended(prompt: int, answers: Sequence[int]) -> float:
    """Pairs of positions in which one attends to the other, the prompt once."""
    return prompt**2 / 2 + sum(prompt * answer + answer**2 / 2 for answer in answers)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will take on one device.

    Attributes:
        trained: Parameters that learn.
        frozen: Those that do not, a second model as the reference included.
        tokens: Tokens of an optimiser step, over all processes.
        steps: Optimiser steps.
        memory: Bytes at the peak, by part.
        operations: Of one optimiser step, over all processes.
    """

    trained: int
    frozen: int
    tokens: float
    steps: int
    memory: dict[str, float]
    operations: float

    @property
    def peak(self) -> float:
        """Bytes."""
        return sum(self.memory.values())

    def report(self, gpu: str | None = None, processes: int = 1) -> list[str]:
        """Line by line; with a GPU named, whether it fits and how long it takes."""
        parts = ", ".join(f"{name} {_bytes(size)}" for name, size in self.memory.items())
        lines = [
            f"{self.trained:,} parameters learn, {self.frozen:,} stand still; "
            f"{self.steps:,} step{'s' * (self.steps != 1)} of "
            f"{self.tokens:,.0f} tokens and {_count(self.operations)} operations",
            f"peak memory about {_bytes(self.peak)} a process: {parts}",
        ]
        return lines if gpu is None else [*lines, *self.verdict(gpu, processes)]

    def verdict(self, gpu: str, processes: int = 1) -> list[str]:
        """Whether it fits on a GPU, how long it takes there, and what to do if it does not fit.

        Raises:
            InputError: if no such GPU is known.
        """
        rate, room = room_of(gpu)
        seconds = self.steps * self.operations / (rate * EFFICIENCY * processes)
        many = f"{processes} of {gpu}" if processes > 1 else gpu
        lines = [f"{_duration(seconds)} on {many}, at {EFFICIENCY:.0%} of its stated {rate / 1e12:.0f} TFLOP/s"]
        if self.peak > 0.92 * room * 1e9:
            lines.append(f"does not fit {gpu} with its {room} GB. " + self.suggestions())
        else:
            lines.append(f"fits {gpu}: {self.peak / room / 1e7:.0f} % of {room} GB")
        return lines

    def suggestions(self) -> str:
        """What to change, the largest part first."""
        advice = {
            "optimiser": "--lora keeps optimiser states for an adapter alone; --optim adafactor is smaller",
            "gradients": "--lora has gradients for an adapter alone",
            "weights": "--dtype bfloat16 halves the weights",
            "reference": "--reference-store computes the reference before training and frees its memory",
            "activations": "--micro-batch-tokens down to the longest row, then --gradient-checkpointing true",
            "backward": "--micro-batch-tokens bounds what one layer's backward pass holds",
            "head": "--micro-batch-tokens bounds the answers in one pass",
        }
        ordered = sorted(self.memory, key=lambda name: -self.memory[name])
        return "; ".join(advice[name] for name in ordered[:3] if name in advice)


def room_of(gpu: str) -> tuple[float, int]:
    """A GPU's operations a second, as stated, and its memory in GB.

    Raises:
        InputError: if no such GPU is known.
    """
    if gpu not in GPUS:
        raise InputError(f"no GPU {gpu!r} is known", fix=suggest(gpu, GPUS, listed=f"Known: {', '.join(GPUS)}"))
    return GPUS[gpu]


def empty_model(name: str, *, rank: int | None, trust_remote_code: bool = False) -> Any:
    """A model without weights, from its config, with an adapter if a rank is given.

    Raises:
        InputError: if there is no config, or the model's kind is unknown.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    quiet_peft()
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
            if rank is not None:
                from peft import LoraConfig, get_peft_model

                model = get_peft_model(model, LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    except Exception as error:
        cause = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(
            f"cannot plan for {name!r}: {cause}", fix="Give a folder with config.json or a hub name"
        ) from error
    return model


def make_plan(
    model: Any,
    rows: Rows,
    *,
    lora: bool,
    rank: int,
    dtype: str,
    batch_size: int,
    micro_batch_tokens: int,
    epochs: float,
    max_steps: int = -1,
    reference: bool = True,
    second_model: bool = False,
    reference_bits: int | None = None,
    checkpointing: bool = False,
    coupled: bool = False,
    layers: int | None = None,
    glibc: bool = False,
) -> Plan:
    """The plan of a run.

    Args:
        model: With its adapter, with or without weights.
        rows: What it trains on.
        lora: Whether an adapter is trained.
        rank: The adapter's rank.
        dtype: Type of the weights.
        batch_size: Rows of an optimiser step, over all processes.
        micro_batch_tokens: Most positions of one forward pass.
        epochs: Passes over the rows.
        max_steps: Optimiser steps instead, if above 0.
        reference: Whether the reference is computed in every step.
        second_model: Whether it is a second model in memory.
        reference_bits: Bits of a weight of its layers, where that model is quantised.
        checkpointing: Whether activations are made again in the backward pass.
        coupled: Whether the loss is no sum over rows: all log-probs are then computed without a graph first.
        layers: The last so many layers are trained; left out, all of them.
        glibc: Whether it runs in a Linux process's own memory, where the allocator's room counts.
    """
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    whole = sum(p.numel() for p in model.parameters())
    shape, size = Shape.of(model.config), DTYPES[dtype].itemsize
    learned = 4 if lora else size  # peft keeps adapters in float32
    per_step = min(batch_size, rows.count)
    positions = min(max(micro_batch_tokens, rows.longest), per_step * rows.longest)
    rows = rows.together(positions, per_step)
    kept = positions * size * shape.kept(rank if lora else 0, rows)
    carried = (layers or shape.layers) * (positions * size * shape.width if checkpointing else kept)
    memory = {
        "weights": float((whole - trained) * size + trained * learned),
        "reference": _second(whole - (trained if lora else 0), shape, size, reference_bits) if second_model else 0.0,
        "gradients": float(trained * learned),
        "optimiser": float(2 * trained * learned),
        "activations": carried,
    }
    memory |= _moments(shape, rows, positions, size, kept if checkpointing else 0.0, trained_head=not lora)
    # blocks of unlike sizes leave room that the next do not fit, about as much as all layers' activations take
    memory["allocator"] = (layers or shape.layers) * kept if glibc else 0.0
    steps = max_steps if max_steps > 0 else math.ceil(epochs * math.ceil(rows.count / batch_size))
    return Plan(
        trained,
        whole - trained + (whole if second_model else 0),
        per_step * rows.tokens,
        steps,
        {name: value for name, value in memory.items() if value},
        per_step * _operations(shape, rows, trained, lora, reference, again=int(checkpointing) + int(coupled)),
    )


def _second(weights: int, shape: Shape, size: int, bits: int | None) -> float:
    """Bytes of a second model: its layers' products in so many bits, embeddings and head as the policy's."""
    low = shape.layers * shape.layer_products if bits else 0
    return float((weights - low) * size + low * (bits or 0) / 8)


def _moments(
    shape: Shape, rows: Rows, positions: int, size: int, again: float, *, trained_head: bool
) -> dict[str, float]:
    """What is held for a moment on top of that: by the head, a tile of the vocabulary with the answers' hidden states
    and slopes; later by one layer's backward pass, three slopes of the MLP's width and what is made ``again``. The two
    do not meet. A trained head's own gradient waits until the embeddings have theirs.
    """
    answers = positions * rows.answers / rows.tokens
    head = answers * shape.width * (size + 4) + _TILE_BYTES
    backward = again + 3.0 * positions * shape.inner * size
    waiting = float(shape.vocabulary * shape.width * size) if trained_head else 0.0
    return {"head": waiting + (head if head > backward else 0.0), "backward": backward if backward >= head else 0.0}


def _operations(shape: Shape, rows: Rows, trained: int, lora: bool, reference: bool, *, again: int) -> float:
    """Of one row: prompt once, head at answer tokens only; the policy's forward pass ``again`` so many times."""
    weights, head = shape.layers * shape.layer_products, shape.vocabulary * shape.width

    def forward(tokens: float, squares: float, answers: float) -> float:
        return 2.0 * weights * tokens + 4.0 * shape.layers * shape.queries * squares + 2.0 * head * answers

    one = forward(rows.tokens, rows.squares, rows.answers)
    attention = 4.0 * shape.layers * shape.queries * rows.squares  # by queries and keys: twice the forward pass's
    by_weight = 6.0 * trained * rows.tokens if lora else one - attention
    total = one * (1 + again) + one + attention + by_weight + (one if reference else 0.0)
    if not rows.aside:
        return total
    beside = forward(rows.aside, rows.aside_squares, rows.aside)  # the policy reads the prompt once more for it
    return total + forward(rows.prompt, rows.prompt_squares, 0) + beside + (beside if reference else 0.0)


def _bytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _count(value: float) -> str:
    for power, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= power:
            return f"{value / power:.3g} {unit}"
    return f"{value:.0f}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"about {seconds:.0f} seconds" if seconds >= 1.5 else "about a second or less"
    return f"about {seconds / 60:.0f} minutes" if seconds < 7200 else f"about {seconds / 3600:.1f} hours"
