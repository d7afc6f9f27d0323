"""Whose implicit reward is measured: what was asked for, or what the checkpoints' own run folders say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.errors import InputError
from penchant.objectives import Method, get_method


def whose_reward(
    models: Sequence[str],
    *,
    method: str | None,
    beta: float | None,
    length_normalize: bool | None,
    say: Callable[[str], None],
) -> tuple[Method, dict[str, Any]]:
    """A method and its constants, with rewards per token where log-probs were normalised by length.

    Args:
        models: Checkpoints; run folders of penchant hold ``config.yaml``, and their ``checkpoint-N`` lie in one.
        method: What the user asked for; left out, the method of the run folders with its constants, else DPO.
        beta: Its beta, if the user gave one.
        length_normalize: Whether rewards are per token, if the user said so.
        say: Takes a line on what the run folders said.

    Raises:
        InputError: if the run folders disagree, or the method counts tokens itself.
    """
    settings: dict[str, Any] = {}
    if method is None:
        settings = _of_runs(models)
        if settings:
            said = ", ".join(f"{name}={value}" for name, value in settings.items())
            say(f"settings   {said} (of the run's config.yaml)")
    chosen = get_method(method or settings.pop("method", "dpo"))
    normalised = settings.pop("length_normalize", False) if length_normalize is None else length_normalize
    constants = chosen.with_constants(settings | ({} if beta is None else {"beta": beta}))
    if normalised and chosen.uses_lengths:
        raise InputError(f"method {chosen.name!r} counts tokens itself, so length_normalize has no place in it")
    return (dataclasses.replace(chosen, per_token=True) if normalised else chosen), constants


def _of_runs(models: Sequence[str]) -> dict[str, Any]:
    """Method, constants and normalisation that the run folders agree on; nothing if none of them is one."""
    folders = {name: run_folder_of(Path(name)) for name in models}
    found = {name: _of_run(folder) for name, folder in folders.items() if folder is not None}
    if any(one != next(iter(found.values())) for one in found.values()):
        raise InputError(
            "the checkpoints were trained with different settings, and one reward is measured on all",
            where=", ".join(found),
            fix="Give --method, and --beta if it is not the method's own",
        )
    return next(iter(found.values()), {})


def run_folder_of(checkpoint: Path) -> Path | None:
    """The run folder that a checkpoint is or lies in, or ``None``."""
    inside = checkpoint.name.startswith("checkpoint-")
    folders = [checkpoint, checkpoint.parent] if inside else [checkpoint]
    return next((folder for folder in folders if (folder / "config.yaml").is_file()), None)


def _of_run(folder: Path) -> dict[str, Any]:
    import yaml

    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"the run's settings cannot be read: {error}", where=str(folder / "config.yaml")) from error
    if not isinstance(config, Mapping) or not isinstance(config.get("method"), str):
        return {}
    method = get_method(config["method"])
    names = [name.rstrip("_") for name in method.constants]
    own = {name: config[name] for name in names if name in config}
    normalised = {"length_normalize": True} if config.get("length_normalize") else {}
    return {"method": config["method"]} | own | normalised
