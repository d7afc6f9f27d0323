"""What a run leaves behind, so that anyone can see what was done and do it again."""

from __future__ import annotations

import json
import platform
import shlex
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import TrainerCallback

import penchant
from penchant.errors import InputError
from penchant.objectives import get_method
from penchant.training.config import PreferenceConfig

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "numpy")
_MARKS = ("config.yaml", "log.jsonl")


def check_free(folder: Path, *, resume: bool) -> None:
    """See that a new run would not overwrite an old one, and that there is one to go on with.

    Raises:
        InputError: if the folder holds a run and is not resumed, is a file, or has no checkpoint to resume from.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("the output folder is a file", where=str(folder), fix="Give another --output-dir")
    if resume and not any(folder.glob("checkpoint-*")):
        fix = "Checkpoints are written every --save-steps steps; start again in a new --output-dir"
        raise InputError("there is no checkpoint to resume from", where=str(folder), fix=fix)
    if not resume and any((folder / mark).exists() for mark in _MARKS):
        fix = "Give another --output-dir, or --resume to go on from its last checkpoint"
        raise InputError("the output folder already holds a run", where=str(folder), fix=fix)


def write_start(folder: Path, config: PreferenceConfig, options: Mapping[str, Any], command: str) -> None:
    """The resolved settings and the environment, before the first step."""
    folder.mkdir(parents=True, exist_ok=True)
    resolved = dict(options) | {"constants": config.full_constants, "training_arguments": _plain(config.to_dict())}
    (folder / "config.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True), encoding="utf-8")
    environment = {
        "command": command,
        "penchant": penchant.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "device": str(config.device),
        "processes": config.world_size,
        "threads": torch.get_num_threads(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    (folder / "environment.json").write_text(json.dumps(environment, indent=2) + "\n", encoding="utf-8")


def write_card(folder: Path, config: PreferenceConfig, facts: Mapping[str, str], command: str) -> None:
    """The model card: what was trained on what, how, and the exact command."""
    method = get_method(config.method)
    constants = ", ".join(f"{name}={value}" for name, value in config.full_constants.items())
    lines = [
        "---",
        "library_name: " + ("peft" if config.lora else "transformers"),
        f"tags: [penchant, {method.name}, preference-optimisation]",
        "---",
        f"# {folder.name}",
        "",
        f"Trained with [{method.name.upper()}](https://arxiv.org/abs/{method.paper.arxiv}) "
        f"({method.paper.authors}, {method.paper.year}), {constants}, by penchant {penchant.__version__}.",
        "",
        *(f"- **{name}**: {value}" for name, value in facts.items()),
        "",
        "```",
        command,
        "```",
        "",
        "`config.yaml` holds every setting, `environment.json` the versions, `log.jsonl` the metrics step by step.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


class JsonLog(TrainerCallback):
    """Appends every log line to ``log.jsonl`` in the run folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.jsonl"

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if state.is_world_process_zero and logs:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as YAML can hold them: enums and paths as strings, nested values likewise."""
    return {str(name): json.loads(json.dumps(value, default=str)) for name, value in values.items()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def command_line() -> str:
    """The command that is running, as it was typed."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
