"""Sample answers from a model, many prompts at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from penchant.evaluation.answer import Answer


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
    chats = [[{"role": "user", "content": question}] for question in questions]
    prompts: list[list[int]] = tokenizer.apply_chat_template(chats, add_generation_prompt=True)["input_ids"]
    answers: list[Answer] = []
    for start in range(0, len(prompts), batch_size):
        answers += generate(
            model,
            tokenizer,
            prompts[start : start + batch_size],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            end_of_turn=tokenizer.eos_token_id,
        )
        on_batch(len(answers))
    return answers


@torch.no_grad()
def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int,
    temperature: float,
    end_of_turn: int,
    top_p: float = 1.0,
) -> list[Answer]:
    """One answer to each prompt, given as token ids, in one batch padded on the left."""
    width = max(map(len, prompts))
    pad, device = tokenizer.pad_token_id, next(model.parameters()).device
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    choice = (
        {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": top_p}
        if temperature > 0
        else {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
    )
    stops = sorted({end_of_turn, tokenizer.eos_token_id})
    with _evaluating(model):
        output = model.generate(
            input_ids=ids,
            attention_mask=mask,
            **choice,
            max_new_tokens=max_new_tokens,
            pad_token_id=pad,
            eos_token_id=stops,
            use_cache=True,
        )
    return [_answer(tokenizer, row.tolist(), stops) for row in output[:, width:]]


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _answer(tokenizer: Any, ids: list[int], stops: Sequence[int]) -> Answer:
    end = next((index for index, token in enumerate(ids) if token in stops), None)
    kept = ids if end is None else ids[: end + 1]
    return Answer(tokenizer.decode(kept, skip_special_tokens=True).strip(), len(kept), end is not None)
