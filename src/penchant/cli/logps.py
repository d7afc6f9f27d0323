"""``penchant logps``: fill a reference store ahead of training, and say what it holds."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def logps(
    data: Annotated[list[str], Parameter(consume_multiple=True, negative="")],
    *,
    model: str,
    store: str = "reference-store",
    unpaired: bool = False,
    format: str | None = None,
    dtype: str = "auto",
    max_length: int = 1024,
    truncation: str = "drop",
    chat_template: str = "auto",
    engine: str = "auto",
    max_tokens: int = 4096,
    trust_remote_code: bool = False,
) -> None:
    """Compute the reference log-probs of preference data and keep them in a store.

    "penchant train --reference-store STORE" then finds them, whatever its method, learning rate or output folder, if
    model, type and tokens are the same. Stopped at any moment, the same command goes on where it was.

    Parameters
    ----------
    data
        One or more files of preference pairs, or of labelled answers with --unpaired.
    model
        A folder, a .gguf file, or a hub name.
    store
        The store's folder.
    unpaired
        Read labelled answers, as kto does.
    format
        The data's layout, if it should not be recognised from its fields.
    dtype
        Type of the weights, as in training.
    max_length
        Most tokens of prompt and answer.
    truncation
        What happens to longer rows: drop, keep_start or keep_end.
    chat_template
        auto (the tokenizer's, if it has one) or none.
    engine
        How log-probs are computed, as in training: auto, packed, packed-tiled, cached, plain-streamed or plain.
    max_tokens
        Most tokens in one forward pass.
    trust_remote_code
        Let code that comes with the model run.
    """
    from penchant.cli.train import require_models

    require_models()
    from penchant.training.stored import fill_from_files

    for line in fill_from_files(
        data,
        model=model,
        store=store,
        unpaired=unpaired,
        format=format,
        dtype=dtype,
        max_length=max_length,
        truncation=truncation,
        chat_template=chat_template,
        asked=engine,
        max_tokens=max_tokens,
        trust_remote_code=trust_remote_code,
    ):
        print(line)
