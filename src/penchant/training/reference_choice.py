"""The words that name a reference, and what goes together with what."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from penchant.errors import InputError, shorten

if TYPE_CHECKING:
    from penchant.training.config import PreferenceConfig

WORDS = ("initial", "adapter-off", "none", "adapter:NAME", "store:FOLDER", "a model's folder or name")


def check_choice(config: PreferenceConfig) -> None:
    """See that what is asked of the reference fits together, before anything is loaded.

    Raises:
        InputError: naming the option that does not.
    """
    word = config.reference
    if word.startswith("store:"):
        if config.reference_store not in (None, word.removeprefix("store:")):
            raise InputError("two stores are given, in reference and in reference_store", fix="Give one of them")
        config.reference_store = word.removeprefix("store:")
    if word in ("", "adapter:", "store:"):
        raise InputError("reference must be one of " + ", ".join(WORDS), got=shorten(word))
    if config.reference_store and (word in ("none", "adapter-off") or word.startswith("adapter:")):
        raise InputError(f"the reference {word!r} is not kept in a store", fix="Leave reference_store out")
    if not config.lora and (word == "adapter-off" or word.startswith("adapter:")):
        raise InputError(f"the reference {word!r} needs an adapter", fix="Train with --lora, or use initial")
    if config.reference_bits is not None:
        _check_bits(config)
    if config.reference_mix is not None and config.reference_every is None:
        raise InputError("reference_mix has no effect without reference_every", fix="Give --reference-every STEPS")
    if config.reference_mix is not None and not 0 < config.reference_mix <= 1:
        raise InputError("reference_mix must be in (0, 1]", got=shorten(config.reference_mix))
    if config.reference_every is not None and (config.reference_store or word != "initial"):
        raise InputError("a reference that moves begins as the policy", got=shorten(word), fix="Use reference initial")


def _check_bits(config: PreferenceConfig) -> None:
    if config.reference_bits not in (4, 8):
        raise InputError("reference_bits must be 4 or 8", got=shorten(config.reference_bits))
    if _is_word(config.reference):
        fix = "Give the model's folder or hub name as --reference: it is read a second time, quantised"
        raise InputError("only a reference that is a model of its own can be quantised", fix=fix)
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError("a quantised reference needs bitsandbytes", fix="Run pip install 'penchant[quantised]'")


def _is_word(text: str) -> bool:
    return text in ("initial", "adapter-off", "none") or text.startswith(("adapter:", "store:"))
