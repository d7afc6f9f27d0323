"""Training in stages: each part of the data with the model of the part before as start and as reference.

sDPO: Don't Use Your Data All at Once, D. Kim, Y. Kim, W. Song, H. Kim, Y. Kim, S. Kim and C. Park, 2024,
arXiv:2403.19270.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penchant.errors import InputError, shorten
from penchant.training.run import TrainResult, train


def train_in_stages(
    *, model: Any, data: Sequence[str | Path], output_dir: str | Path, resume: bool = False, **options: Any
) -> TrainResult:
    """Train on one file after the other, easiest first, into ``output_dir/stage-1``, ``stage-2``, ...

    Args:
        model: Where the first stage starts.
        data: One file for each stage.
        output_dir: Holds the stages' run folders; the last is the result.
        resume: Leave finished stages as they are, and go on in the one that was stopped.
        **options: As for :func:`penchant.train`.

    Raises:
        InputError: if there are fewer than two files, all stages are finished, or a stage's settings are wrong.
    """
    if isinstance(data, str | Path) or len(data) < 2:
        raise InputError("stages need a data file for each, at least two", got=shorten(data))
    if options.get("reference", "initial") != "initial":
        raise InputError("each stage is compared with the model it starts from", got=shorten(options["reference"]))
    folders = [Path(output_dir, f"stage-{number}") for number in range(1, len(data) + 1)]
    if resume and all(map(_finished, folders)):
        raise InputError("all stages are finished", where=str(output_dir), fix=f"The result is in {folders[-1]}")
    result: TrainResult | None = None
    for part, folder in zip(data, folders, strict=True):
        if resume and result is None and _finished(folder):
            model = str(folder)
            continue
        going_on = resume and folder.exists()
        result = train(model=model, data=str(part), output_dir=folder, resume=going_on, **options)
        model = str(folder)
    assert result is not None, "one stage is not finished, or none is resumed"
    return result


def _finished(folder: Path) -> bool:
    """Whether a stage came to its end, where the card is written."""
    return (folder / "README.md").exists()
