"""``penchant plan``: what a run will take, before anything is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from penchant.cli.train import require_training
from penchant.errors import InputError


def plan(
    model: str,
    /,
    *,
    data: Path | None = None,
    method: str = "dpo",
    gpu: str | None = None,
    gpus: int = 1,
    rows: int = 10_000,
    prompt_tokens: int = 256,
    answer_tokens: int = 256,
    lora: bool = True,
    lora_r: int = 16,
    dtype: str = "bfloat16",
    batch_size: int = 16,
    micro_batch_tokens: int = 1024,
    num_train_epochs: float = 1.0,
    max_length: int = 1024,
    reference_store: bool = False,
    reference_bits: int | None = None,
    gradient_checkpointing: bool = False,
    trust_remote_code: bool = False,
) -> None:
    """Say what a run will take: parameters, steps, memory by part, operations, time, and what to do if it is too much.

    From the model's config alone: no weights are read.

    Parameters
    ----------
    model
        A folder with config.json, or a hub name.
    data
        A file of pairs, whose tokens are counted; without one, rows of the lengths below are assumed.
    method
        A name in the table of "penchant methods".
    gpu
        What it should run on: t4, l4, rtx3090, rtx4090, l40s, a100-40, a100, h100, h200 or b200.
    gpus
        How many of them.
    rows
        Rows of data, where no file is given.
    prompt_tokens
        Tokens of a prompt, where no file is given.
    answer_tokens
        Tokens of each answer, where no file is given.
    lora
        Train an adapter (--lora) or all weights (--no-lora).
    lora_r
        Rank of the adapter.
    dtype
        Type of the weights.
    batch_size
        Rows per optimiser step, over all GPUs.
    micro_batch_tokens
        Most tokens in one forward pass.
    num_train_epochs
        Passes over the data.
    max_length
        Most tokens of prompt and answer, with --data.
    reference_store
        Reference log-probs are computed before training.
    reference_bits
        The reference is a model of its own, in 4 or 8 bits.
    gradient_checkpointing
        Activations are made again in the backward pass.
    trust_remote_code
        Let code that comes with the model run.
    """
    require_training()
    from penchant.objectives import get_method
    from penchant.training.plan import GPUS, Rows, empty_model, make_plan

    if gpu is not None and gpu not in GPUS:
        raise InputError(f"no GPU {gpu!r} is known", fix=f"Known: {', '.join(GPUS)}")
    chosen = get_method(method)
    if data is None:
        answers = [answer_tokens] * {"pairs": 2, "answers": 1, "lists": 4}[chosen.data]
        aside = answer_tokens if "z_ref" in chosen.inputs else 0
        counted = replace(Rows.of([(prompt_tokens, answers, aside)]), count=rows)
        print(
            f"assumed    {rows:,} rows, {prompt_tokens} tokens of prompt, {answer_tokens} of each of "
            f"{len(answers)} answer{'s' * (len(answers) > 1)}"
        )
    else:
        from penchant.training.plan_rows import rows_of_file

        counted = rows_of_file(str(data), model, chosen, max_length, print, trust_remote_code=trust_remote_code)
        print(f"counted    {counted.count:,} rows, {counted.tokens:.0f} tokens on average, {counted.longest} at most")
    empty = empty_model(model, rank=lora_r if lora else None, trust_remote_code=trust_remote_code)
    made = make_plan(
        empty,
        counted,
        lora=lora,
        rank=lora_r,
        dtype=dtype,
        batch_size=batch_size,
        micro_batch_tokens=micro_batch_tokens,
        epochs=num_train_epochs,
        reference=chosen.needs_reference and not reference_store,
        second_model=chosen.needs_reference and not reference_store and (not lora or reference_bits is not None),
        reference_bits=reference_bits,
        checkpointing=gradient_checkpointing,
        coupled=chosen.couples_rows,
    )
    for line in made.report(gpu, gpus):
        print(f"plan       {line}")
