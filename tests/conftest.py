"""Fixtures that every room's tests share: a tiny model with a real tokenizer and a chat template, and small data."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

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


def labelled_rows(count: int) -> list[dict[str, object]]:
    """The pairs' answers with labels, as unpaired data."""
    rows: list[dict[str, object]] = []
    for index, row in enumerate(pair_rows(count)):
        good = index % 2 == 0
        rows.append({"prompt": row["prompt"], "completion": row["chosen" if good else "rejected"], "label": good})
    return rows


def write_jsonl(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_tokenizer():
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


@pytest.fixture
def tiny_model(tiny_tokenizer):
    return tiny_llama(len(tiny_tokenizer))


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory, tiny_tokenizer) -> Path:
    """The tiny model saved as people save models."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_llama(len(tiny_tokenizer)).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def pairs_file(tmp_path) -> Path:
    return write_jsonl(tmp_path / "pairs.jsonl", pair_rows(24))


@pytest.fixture
def labelled_file(tmp_path) -> Path:
    return write_jsonl(tmp_path / "labelled.jsonl", labelled_rows(24))
