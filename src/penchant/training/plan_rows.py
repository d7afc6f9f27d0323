"""The lengths of a file's rows, as a plan counts them."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from penchant.data import read_preferences
from penchant.logps import FrozenCopy, SeparateModel, Stored
from penchant.models import load_tokenizer
from penchant.objectives import Method
from penchant.tokens import EncodeSettings, PromptStyle, encode_answers, encode_pairs
from penchant.training.plan import Rows, make_plan

if TYPE_CHECKING:
    from penchant.training.trainer import PreferenceTrainer


def rows_of_file(data: str, model: str, method: Method, max_length: int, *, trust_remote_code: bool = False) -> Rows:
    """Rows of a file as training on it would tokenise them.

    Raises:
        InputError: if the file or the tokenizer cannot be read, or no row is left.
    """
    read = read_preferences(data, unpaired=not method.needs_pairs)
    style = PromptStyle.of(load_tokenizer(model, trust_remote_code=trust_remote_code), "auto")
    encode: Any = encode_pairs if method.needs_pairs else encode_answers
    return rows_of(encode(read.rows, style, EncodeSettings(max_length)).rows)


def rows_of(rows: Iterable[Any]) -> Rows:
    """Token rows by their lengths."""
    return Rows.of([(len(row.prompt_ids), [len(one) for one in row.answers]) for row in rows])


def planned(trainer: PreferenceTrainer, rows: Sequence[Any]) -> str:
    """The plan of a run that is about to start, in one line; what is not planned for is said."""
    config, reference = trainer.args, trainer.reference
    try:
        plan = make_plan(
            trainer.model,
            rows_of(rows),
            lora=config.lora,
            rank=config.lora_r,
            dtype=str(trainer.model.get_input_embeddings().weight.dtype).removeprefix("torch."),
            batch_size=config.batch_size,
            micro_batch_tokens=config.micro_batch_tokens,
            epochs=config.num_train_epochs,
            max_steps=config.max_steps,
            reference=reference is not None and not isinstance(reference, Stored),
            second_model=isinstance(reference, FrozenCopy | SeparateModel),
            reference_bits=config.reference_bits,
            checkpointing=trainer.recomputes,
            layers=config.lora_layers if config.lora else None,
            glibc=config.device.type == "cpu" and platform.libc_ver()[0] == "glibc",
        )
    except (AttributeError, TypeError, ZeroDivisionError) as error:
        return f"not made: the model's config has no such sizes ({' '.join(str(error).split())})"
    return "; ".join(plan.report())
