"""A folder's way to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.trainer_utils import HubStrategy

from penchant.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub import RepoUrl

    from penchant.training.config import PreferenceConfig

KEPT_HERE = ["checkpoint-*", "record/*", "report.html"]
"""What stays: checkpoints, and what shows rows of the data."""


def open_repository(name: str, *, private: bool | None = None) -> RepoUrl:
    """Make a repository, or find it.

    Raises:
        InputError: if the hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi

    try:
        return HfApi().create_repo(name, private=private, exist_ok=True)
    except Exception as error:
        fix = "Log in with hf auth login, or leave --push-to-hub out"
        raise InputError(f"the hub opens no repository: {_cause(error)}", where=name, fix=fix) from error


def check_hub(config: Any) -> None:
    """See that the settings ask for what is done: a run is pushed once, when it has ended, with the token that
    huggingface_hub finds.

    Raises:
        InputError: if checkpoints are to be pushed, a token is given, or nothing is pushed and the settings say how.
    """
    if config.hub_token is not None:
        what = "a token among the settings would be written into the run's folder, and pushed with it"
        raise InputError(what, where="hub_token", fix="Log in with hf auth login, or set HF_TOKEN")
    if not config.push_to_hub:
        _refuse_idle(config)
        return
    asked = HubStrategy(config.hub_strategy)
    if asked not in (HubStrategy.END, HubStrategy.EVERY_SAVE):  # the second is transformers' default
        what, got = "a run is pushed once, when it has ended", f"hub_strategy {asked.value}"
        raise InputError(what, got=got, fix="Leave it out")
    config.hub_strategy = HubStrategy.END


def _refuse_idle(config: Any) -> None:
    idle = [name for name in ("hub_model_id", "hub_revision") if getattr(config, name) is not None]
    idle += ["hub_private_repo"] if config.hub_private_repo is not None and "trackio" not in config.report_to else []
    idle += ["hub_strategy"] if config.hub_strategy is not HubStrategy.EVERY_SAVE else []
    if idle:
        raise InputError(f"{idle[0]} has no effect", fix="Give --push-to-hub true with it, or leave it out")


def repository(config: PreferenceConfig) -> str:
    """The name of a run's repository."""
    return config.hub_model_id or Path(config.output_dir).absolute().name


def push(folder: Path, name: str, *, private: bool | None = None, revision: str | None = None) -> str:
    """Upload a folder, without checkpoints and without what shows rows of the data; returns its address.

    Raises:
        InputError: if the hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi

    opened = open_repository(name, private=private)
    try:
        HfApi().upload_folder(
            folder_path=str(folder), repo_id=opened.repo_id, revision=revision, ignore_patterns=KEPT_HERE
        )
    except Exception as error:
        fix = f"Log in with hf auth login; the folder is complete: hf upload {name} {folder} sends it again"
        raise InputError(f"the hub took nothing: {_cause(error)}", where=name, fix=fix) from error
    return str(opened)


def _cause(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
