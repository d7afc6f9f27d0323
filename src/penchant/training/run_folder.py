"""What a run leaves behind, so that anyone can see what was done and do it again."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import TrainerCallback

import penchant
from penchant.errors import InputError
from penchant.objectives import Method
from penchant.objectives.catalogue import MEANING, mark, shown
from penchant.training.checkpoints import checkpoints
from penchant.training.config import PreferenceConfig
from penchant.training.options import FIXED_ON_RESUME, LENGTH
from penchant.whole import write_whole

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "numpy")


def check_free(folder: Path, *, resume: bool) -> None:
    """See that a new run would not overwrite anything, and that there is one to go on with.

    A run that was stopped before its first whole checkpoint is one to go on with too: it begins again.

    Raises:
        InputError: if the folder is not empty and not resumed, is a file, or holds no run that could go on.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("the output folder is a file", where=str(folder), fix="Give another --output-dir")
    if resume and not checkpoints(folder) and not _only_begun(folder):
        fix = "Checkpoints are written every --save-steps steps; start again in a new --output-dir"
        raise InputError("there is no checkpoint to resume from", where=str(folder), fix=fix)
    if not resume and folder.exists() and any(folder.iterdir()):
        holds = "already holds a run" if (folder / "config.yaml").exists() else "is not empty"
        fix = "Give another --output-dir, or --resume to go on from a run's last checkpoint"
        raise InputError(f"the output folder {holds}", where=str(folder), fix=fix)


def _only_begun(folder: Path) -> bool:
    """Whether a run was started here and never came to its end, where the card is written."""
    return (folder / "config.yaml").is_file() and not (folder / "README.md").exists()


def check_same(folder: Path, options: Mapping[str, Any]) -> None:
    """See that a resumed run is the run that its folder describes.

    Raises:
        InputError: naming the first option that differs.
    """
    before = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    asked = _plain(options)
    # the config of an earlier version lacks options that came later; their defaults do what it did
    defaults = {field.name: field.default for field in dataclasses.fields(PreferenceConfig)}
    for name in FIXED_ON_RESUME:
        then, now = (known.get(name, defaults.get(name)) for known in (before, asked))
        if now != then:
            raise InputError(
                f"{name} differs from the run that is resumed",
                where=str(folder),
                got=f"{now!r}, the run has {then!r}",
                fix=f"Leave the run's own settings, as in --config {folder / 'config.yaml'}, or start a new run",
            )


@contextmanager
def created(folder: Path) -> Iterator[None]:
    """The folder, made for what the block does; taken away again if the block fails and leaves it empty.

    Raises:
        InputError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"the output folder cannot be made: {error.strerror}"
        raise InputError(what, where=str(folder), fix="Give another --output-dir") from error
    try:
        yield
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise


def write_start(folder: Path, config: PreferenceConfig, options: Mapping[str, Any], command: str) -> None:
    """The options that make this run again and the environment, before the first step."""
    text = yaml.safe_dump(_plain(options), sort_keys=False, allow_unicode=True)
    write_whole(folder / "config.yaml", text)
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
        "training_arguments": _plain(config.to_dict()),
    }
    write_whole(folder / "environment.json", json.dumps(environment, indent=2) + "\n")


def note_length(folder: Path, options: Mapping[str, Any]) -> None:
    """Write into the options how far a resumed run goes, where that is not what they say."""
    path, asked = folder / "config.yaml", _plain(options)
    before = yaml.safe_load(path.read_text(encoding="utf-8"))
    after = {name: value for name, value in before.items() if name not in LENGTH}
    after |= {name: asked[name] for name in LENGTH if name in asked}
    if after != before:
        write_whole(path, yaml.safe_dump(after, sort_keys=False, allow_unicode=True))


def write_card(folder: Path, method: Method, config: PreferenceConfig, facts: Mapping[str, str], command: str) -> None:
    """The model card: what was trained on what, how, and the exact command."""
    values = method.with_constants(config.constants)
    marks = {name: mark(method.name, name) if name not in config.constants else "" for name in values}
    constants = "".join(f", {shown(name)}={value}{marks[name]}" for name, value in values.items())
    constants += f" ({MEANING})" if any(marks.values()) else ""
    lines = [
        "---",
        "library_name: " + ("peft" if config.lora else "transformers"),
        f"tags: [penchant{f', {method.name}' if method.paper else ''}, preference-optimisation]",
        "---",
        f"# {folder.name}",
        "",
        f"Trained with {_cited(method)}{constants}, by penchant {penchant.__version__}.",
        "",
        *(f"- **{name}**: {value}" for name, value in facts.items()),
        "",
        "```",
        command,
        "```",
        "",
        "`config.yaml` makes this run again (`penchant train --config config.yaml`), `environment.json` holds the "
        "versions and every argument of the trainer, `log.jsonl` the metrics step by step.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _cited(method: Method) -> str:
    if method.paper is None:
        return f"`{method.name}`, {method.key_difference}"
    link = f"[{method.name.upper()}]({method.paper.link})"
    return f"{link} ({method.paper.authors}, {method.paper.year})"


KEPT_LINES = 2000
"""Log lines that stay in memory, and in each checkpoint's ``trainer_state.json``."""


class JsonLog(TrainerCallback):
    """Appends every log line to ``log.jsonl`` in the run folder; memory keeps the last of them alone."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.jsonl"

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A resumed run takes the steps after its checkpoint again: their old lines go."""
        if state.is_world_process_zero and self._path.exists():
            kept = [line for line in self._path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
            lines = [line for line in kept if json.loads(line)["step"] <= state.global_step]
            write_whole(self._path, "".join(f"{line}\n" for line in lines))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if state.is_world_process_zero and logs:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")
        del state.log_history[:-KEPT_LINES]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as YAML can hold them: enums and paths as strings, nested values likewise."""
    return {str(name): json.loads(json.dumps(value, default=str)) for name, value in values.items()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
