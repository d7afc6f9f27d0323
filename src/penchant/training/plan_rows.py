"""The lengths of a file's rows, as a plan counts them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from penchant.logps import FrozenCopy, SeparateModel, Stored
from penchant.logps.layout import common_beginning
from penchant.models import load_tokenizer
from penchant.objectives import Method
from penchant.records import TokenAnswer, TokenRow
from penchant.tokens import EncodeSettings, PromptStyle
from penchant.training.inputs import terms_of_data
from penchant.training.plan import Rows, make_plan
from penchant.training.reading import encode_kind, read_kind

if TYPE_CHECKING:
    from penchant.training.trainer import PreferenceTrainer


def rows_of_file(
    data: str,
    model: str,
    method: Method,
    max_length: int,
    say: Callable[[str], None],
    *,
    trust_remote_code: bool = False,
) -> Rows:
    """Rows of a file as training on it would tokenise them, with a line on what was read and one on what is left out.

    Raises:
        InputError: if the file or the tokenizer cannot be read, or no row is left.
    """
    terms = terms_of_data(method, weighted=False, margins=False)
    read = read_kind(method, data, None, terms, "data", say)
    style = PromptStyle.of(load_tokenizer(model, trust_remote_code=trust_remote_code), "auto")
    settings = EncodeSettings(max_length)
    encoded = encode_kind(method, read.rows, style, settings, None, mismatched="z_ref" in method.inputs)
    say("tokens     " + "; ".join(encoded.report(settings)))
    return rows_of(encoded.rows)


def rows_of(rows: Sequence[TokenRow], *, packed: bool = True) -> Rows:
    """Token rows by their lengths; packed, what all prompts begin with is computed once for several."""
    lengths = [(len(row.prompt_ids), [len(one) for one in row.answers], _aside(row)) for row in rows]
    return Rows.of(lengths, common_beginning(row.prompt_ids for row in rows) if packed else 0)


def _aside(row: TokenRow) -> int:
    return len(row.mismatched_ids) if isinstance(row, TokenAnswer) else 0


def planned(trainer: PreferenceTrainer, rows: Sequence[Any]) -> str:
    """The plan of a run that is about to start, in one line; what is not planned for is said."""
    config, reference = trainer.args, trainer.reference
    try:
        plan = make_plan(
            trainer.model,
            rows_of(rows, packed=trainer.engine.packed),
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
            coupled=trainer.method.couples_rows,
            layers=config.lora_layers if config.lora else None,
            glibc=config.device.type == "cpu" and platform.libc_ver()[0] == "glibc",
        )
    except (AttributeError, TypeError, ZeroDivisionError) as error:
        return f"not made: the model's config has no such sizes ({' '.join(str(error).split())})"
    return "; ".join(plan.report())
