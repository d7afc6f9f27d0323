"""``penchant plan``: what a run will take, before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators

from penchant.cli.idle import refuse_idle
from penchant.cli.train import require_training

if TYPE_CHECKING:
    from penchant.objectives import Method
    from penchant.training.plan import Rows

_ASSUMED = {"rows": 10_000, "prompt_tokens": 256, "answer_tokens": 256}
_MAX_LENGTH = 1024
_SOME = Parameter(validator=validators.Number(gte=1))


def _finite(_: Any, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError("Must be a number above 0.")


def plan(
    model: str,
    /,
    *,
    data: Path | None = None,
    method: str = "dpo",
    gpu: str | None = None,
    gpus: Annotated[int, _SOME] = 1,
    rows: Annotated[int | None, _SOME] = None,
    prompt_tokens: Annotated[int | None, _SOME] = None,
    answer_tokens: Annotated[int | None, _SOME] = None,
    lora: bool = True,
    lora_r: Annotated[int, _SOME] = 16,
    dtype: Literal["bfloat16", "float16", "float32", "float64"] = "bfloat16",
    batch_size: Annotated[int, _SOME] = 16,
    micro_batch_tokens: Annotated[int, _SOME] = 1024,
    num_train_epochs: Annotated[float, Parameter(validator=_finite)] = 1.0,
    max_length: Annotated[int | None, _SOME] = None,
    reference_store: bool = False,
    reference_bits: Literal[4, 8] | None = None,
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
        Rows of data, where no file is given. [default: 10,000]
    prompt_tokens
        Tokens of a prompt, where no file is given. [default: 256]
    answer_tokens
        Tokens of each answer, where no file is given. [default: 256]
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
        Most tokens of prompt and answer, with --data. [default: 1024]
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
    from penchant.training.plan import empty_model, make_plan, room_of

    if gpu is None:
        refuse_idle({"--gpus": gpus if gpus > 1 else None}, "is given without --gpu")
    else:
        room_of(gpu)
    chosen = get_method(method)
    assumed = {"rows": rows, "prompt_tokens": prompt_tokens, "answer_tokens": answer_tokens}
    if data is None:
        refuse_idle({"--max-length": max_length}, "is given without --data")
        counted = _assumed(chosen, assumed, print)
    else:
        from penchant.training.plan_rows import rows_of_file

        words = {f"--{name.replace('_', '-')}": value for name, value in assumed.items()}
        refuse_idle(words, "and --data are both given", "The file's rows are counted: leave it out")
        longest = max_length or _MAX_LENGTH
        counted = rows_of_file(str(data), model, chosen, longest, print, trust_remote_code=trust_remote_code)
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


def _assumed(method: Method, given: dict[str, int | None], say: Callable[[str], None]) -> Rows:
    """Rows of one length."""
    from penchant.training.plan import Rows

    rows, prompt, answer = (_ASSUMED[name] if value is None else value for name, value in given.items())
    answers = [answer] * {"pairs": 2, "answers": 1, "lists": 4}[method.data]
    say(
        f"assumed    {rows:,} rows, {prompt} tokens of prompt, {answer} of each of "
        f"{len(answers)} answer{'s' * (len(answers) > 1)}"
    )
    return replace(Rows.of([(prompt, answers, answer if "z_ref" in method.inputs else 0)]), count=rows)
