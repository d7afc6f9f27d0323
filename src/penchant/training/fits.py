"""Whether a model can take the rows at all: every token has an embedding, and every position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from penchant.errors import InputError
from penchant.records import TokenAnswer, TokenRow


def check_fits(model: Any, tokenizer: Any, rows: Iterable[TokenRow]) -> None:
    """Hold the rows against the model's embeddings; they are read only where one could be outside.

    Raises:
        InputError: if a token has no embedding, or a row is longer than a model that learned its positions.
    """
    known = model.get_input_embeddings().weight.shape[0]
    most = _learned_positions(model)
    if len(tokenizer) <= known and most is None:
        return
    for row in rows:
        answers = [*row.answers, *([row.mismatched_ids] if isinstance(row, TokenAnswer) and row.mismatched_ids else [])]
        length = len(row.prompt_ids) + max(map(len, answers))
        if most is not None and length > most:
            fix = f"Give --max-length {most}"
            raise InputError(f"the row has {length} tokens and the model {most} positions", where=row.source, fix=fix)
        highest = max(row.prompt_ids + [max(answer) for answer in answers])
        if highest >= known:
            token = tokenizer.convert_ids_to_tokens(highest)
            fix = "Take the tokenizer that belongs to the weights, or resize the model's embeddings to it"
            what = f"the tokenizer has a token that the model has no embedding for ({known} there are)"
            raise InputError(what, where=row.source, got=f"{token!r}, number {highest}", fix=fix)


def _learned_positions(model: Any) -> int | None:
    """How many positions a model has that keeps a table of them; None where they are computed."""
    tables = any(
        isinstance(module, torch.nn.Embedding) and ("position" in name or name.endswith("wpe"))
        for name, module in model.named_modules()
    )
    config = model.config.get_text_config()
    return int(config.max_position_embeddings) if tables else None
