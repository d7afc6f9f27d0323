"""An adapter and its base as one model, checked against the two, in files that transformers and vLLM load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from penchant.errors import InputError
from penchant.logps import Engine
from penchant.models import load_model

_TOLERANCE = {"float32": 1e-5, "float64": 1e-5}
_LOW_PRECISION = 2e-2
_CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Merged:
    """What was written, and the largest difference to adapter plus base, of a log-prob's size, before it was."""

    folder: Path
    gap: float
    parameters: int


def merge(adapter: str | Path, folder: str | Path, *, dtype: str = "float32") -> Merged:
    """Write one model made of an adapter and its base, with the tokenizer and the run's card.

    Args:
        adapter: A run folder, or another folder with a PEFT adapter.
        folder: Where the model goes; it must not hold anything.
        dtype: Type of the merged weights; the sum is made in it.

    Raises:
        InputError: if the folder has no adapter, the target is not empty, or the merged model gives other log-probs.
    """
    source, target = Path(adapter), Path(folder)
    if not (source / "adapter_config.json").is_file():
        fix = "Give the run folder of a LoRA run; a model trained in full needs no merging"
        raise InputError("there is no adapter in this folder", where=str(source), fix=fix)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError("the output folder is not empty", where=str(target), fix="Give another")
    loaded = load_model(str(source), dtype=dtype, merge=False)
    groups = _probe(loaded.model)
    before = _logps(loaded.model, groups)
    model = loaded.model.merge_and_unload()
    gap = float(((_logps(model, groups) - before).abs() / (1 + before.abs())).max())
    if not gap <= _TOLERANCE.get(dtype, _LOW_PRECISION):
        raise InputError(
            "the merged model gives other log-probs than adapter and base",
            where=str(source),
            got=f"{gap:.2g} of their size",
            fix="Merge in float32 (--dtype float32)",
        )
    model.save_pretrained(str(target))
    loaded.tokenizer.save_pretrained(str(target))
    _card(source, target)
    return Merged(target, gap, model.num_parameters())


def _probe(model: Any) -> list[tuple[list[int], list[list[int]]]]:
    generator = torch.Generator().manual_seed(0)
    most = model.config.get_text_config().vocab_size

    def draw(count: int) -> list[int]:
        ids: list[int] = torch.randint(0, most, (count,), generator=generator).tolist()
        return ids

    return [(draw(length), [draw(5), draw(9)]) for length in (1, 7, 30)]


@torch.no_grad()
def _logps(model: Any, groups: list[Any]) -> torch.Tensor:
    model.eval()
    engine = Engine()
    return engine.logps(model, engine.lay_out(groups, next(model.parameters()).device))


def _card(source: Path, target: Path) -> None:
    """The run's card, as the card of a whole model."""
    path = source / _CARD
    if path.is_file():
        text = path.read_text(encoding="utf-8").replace("library_name: peft", "library_name: transformers", 1)
        note = f"\nThe adapter of the run `{source.name}`, merged into its base model.\n"
        (target / _CARD).write_text(text.rstrip("\n") + "\n" + note, encoding="utf-8")
