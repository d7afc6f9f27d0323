"""Sample answers from a model, many prompts at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Answer:
    """A sampled answer: its text, its length in tokens (end-of-turn included), and whether it ended by itself."""

    text: str
    tokens: int
    ended: bool


@torch.no_grad()
def sample_answers(
    model: Any,
    tokenizer: Any,
    questions: Sequence[str],
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    batch_size: int = 32,
    on_batch: Callable[[int], None] = lambda done: None,
) -> list[Answer]:
    """One answer to each question, asked as a single user turn under the model's chat template.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer, with a chat template.
        questions: The user turns.
        max_new_tokens: Where an answer that does not end is cut.
        temperature: Of the sampling; 0 takes the most probable token.
        seed: Fixes the sampling.
        batch_size: Questions per forward pass.
        on_batch: Called after each batch with the number of questions done.
    """
    torch.manual_seed(seed)
    was_training, side = model.training, tokenizer.padding_side
    model.eval()
    tokenizer.padding_side = "left"
    answers: list[Answer] = []
    for start in range(0, len(questions), batch_size):
        chats = [[{"role": "user", "content": question}] for question in questions[start : start + batch_size]]
        inputs = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        ).to(model.device)
        choice = (
            {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature > 0 else {"do_sample": False}
        )
        output = model.generate(
            **inputs,
            **choice,
            max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            use_cache=True,
        )
        answers += [_answer(tokenizer, row.tolist()) for row in output[:, inputs["input_ids"].shape[1] :]]
        on_batch(len(answers))
    model.train(was_training)
    tokenizer.padding_side = side
    return answers


def _answer(tokenizer: Any, ids: list[int]) -> Answer:
    ended = tokenizer.eos_token_id in ids
    kept = ids[: ids.index(tokenizer.eos_token_id) + 1] if ended else ids
    return Answer(tokenizer.decode(kept, skip_special_tokens=True).strip(), len(kept), ended)
