"""Builders of small data and small models that tests import; fixtures are in conftest.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

QUESTIONS = ("Why is the sky blue", "How do I boil an egg", "What is a comet", "Name a river", "Where do owls sleep")


def pair_rows(count: int) -> list[dict[str, str]]:
    """Pairs of unequal length, all different."""
    return [
        {
            "prompt": f"{QUESTIONS[i % len(QUESTIONS)]}, number {i}?",
            "chosen": "Yes. " * (1 + i % 3) + f"It is {i}.",
            "rejected": f"No, it is not {i} at all" + ", or so they say" * (i % 4) + ".",
        }
        for i in range(count)
    ]


def rated_rows(count: int) -> list[dict[str, object]]:
    """The pairs with every number that a row may state."""
    return [
        row
        | {"chosen_score": 3 + i % 3, "rejected_score": 1 + i % 2, "preference_prob": 0.6 + 0.05 * (i % 8)}
        | {"margin": 0.1 * i, "is_tie": i % 3 == 0, "weight": 0.5 + i % 2}
        for i, row in enumerate(pair_rows(count))
    ]


def token_weighted(rows: list[dict[str, object]], tokenizer) -> list[dict[str, object]]:
    """The pairs with a weight for each token of either answer."""
    from penchant.data import read_preferences
    from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs

    pairs = read_preferences(rows, unpaired=False, terms=["is_tie"]).rows  # else ties are left out
    tokens = encode_pairs(pairs, PromptStyle.of(tokenizer, "auto"), EncodeSettings()).rows
    return [
        row
        | {
            f"{side}_token_weights": [1.0 + place % 2 for place in range(len(ids))]
            for side, ids in zip(("chosen", "rejected"), one.answers, strict=False)
        }
        for row, one in zip(rows, tokens, strict=True)
    ]


def labelled_rows(count: int) -> list[dict[str, object]]:
    """The pairs' answers with labels, as unpaired data."""
    rows: list[dict[str, object]] = []
    for index, row in enumerate(pair_rows(count)):
        good = index % 2 == 0
        answer = {"prompt": row["prompt"], "completion": row["chosen" if good else "rejected"], "label": good}
        rows.append(answer | {"score": 1.0 + index % 3, "prompt_value": 1.5})
    return rows


def list_rows(count: int, most: int = 4) -> list[dict[str, object]]:
    """Rated lists of two to ``most`` answers, all different, in no order."""
    return [
        {
            "prompt": f"{QUESTIONS[i % len(QUESTIONS)]}, number {i}?",
            "completions": [f"Answer {k}" + ", you see" * ((i + 2 * k) % 4) + "." for k in range(2 + i % (most - 1))],
            "scores": [float((3 * k + i) % 7) for k in range(2 + i % (most - 1))],
        }
        for i in range(count)
    ]


def gold_rows(count: int) -> list[dict[str, object]]:
    """The rated pairs with a third answer."""
    return [row | {"gold": f"Indeed. {row['chosen']}"} for row in rated_rows(count)]


def write_jsonl(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def has_native_attention() -> str:
    """What float32 attention is compiled for; empty without a compiler or the instructions, an error where it fails."""
    import torch

    from penchant.logps import native

    try:
        native._build_for(torch.float32, native._instructions())
        compiler = native._compiler()
    except native.NoNativeAttention:
        return ""
    return native.native_library(torch.float32).build.name if shutil.which(compiler[0]) else ""


def tiny_llama(vocabulary: int, **changes):
    """A random Llama with two layers; the same weights every time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, initializer_range=0.2, **(sizes | changes)))


def trained_tokenizer():
    """A byte-level BPE tokenizer with ChatML, trained on the tests' own sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([text for row in pair_rows(40) for text in row.values()], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=["<|im_start|>"]
    )
    tokenizer.chat_template = CHATML
    return tokenizer
