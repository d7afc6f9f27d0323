"""The facts of a run that its report is made from, written before the first step and again at the end."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import penchant
from penchant.doctor.report import Report
from penchant.report import record, write_report
from penchant.training.noise import Noise
from penchant.training.observe import Observer
from penchant.training.trainer import PreferenceTrainer


class RunRecord:
    """The record of one run: begun before the first step, ended when the model is saved.

    Facts and the doctor's findings are always kept; rows are measured, and the page is made, if the settings say so.
    """

    def __init__(self, trainer: PreferenceTrainer, folder: Path, rows: Sequence[Any], held_out: Sequence[Any]) -> None:
        self._trainer, self._folder = trainer, folder
        self._facts: record.RunFacts | None = None
        self._observer = Observer(trainer, folder, rows, held_out) if trainer.args.report else None

    def begin(self, facts: Mapping[str, str], command: str, noise: Noise | str | None, examined: Report | None) -> None:
        """Keep what is known before the first step, and measure what can be measured only then. On every process."""
        if self._trainer.is_world_process_zero():
            self._facts = _facts(self._trainer, self._folder, facts, command, noise)
            record.write_json(self._folder, record.RUN, self._facts)
            if examined is not None:
                record.write_json(self._folder, record.DOCTOR, {"version": record.VERSION} | examined.as_dict())
        if self._observer:
            self._observer.begin()
            self._trainer.add_callback(self._observer)

    def end(self) -> Path | None:
        """Measure the trained model, write what came of it, and make the page; its path, if one was made."""
        kl = self._observer.end() if self._observer else None
        if self._facts is None:
            return None
        self._facts.finished = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._facts.kl = kl
        self._facts.measuring_s = round(self._observer.seconds, 3) if self._observer else 0.0
        record.write_json(self._folder, record.RUN, self._facts)
        return write_report([self._folder]) if self._observer else None


def _facts(
    trainer: PreferenceTrainer, folder: Path, facts: Mapping[str, str], command: str, noise: Noise | str | None
) -> record.RunFacts:
    config, method = trainer.args, trainer.method
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    steps = config.max_steps
    if steps <= 0:
        steps = math.ceil(len(trainer.get_train_dataloader()) * config.num_train_epochs)
    return record.RunFacts(
        name=record.plain(folder.resolve().name),
        penchant=penchant.__version__,
        method=record.MethodFacts(
            method.name,
            method.formula,
            method.key_difference,
            None if method.paper is None else str(method.paper),
            None if method.paper is None else method.paper.link,
        ),
        constants={
            name: record.plain(str(value)) if isinstance(value, str) else value
            for name, value in config.full_constants.items()
        },
        reference=method.needs_reference,
        per_token=method.ranks_per_token or config.length_normalize,
        unit=method.data,
        rows=len(trainer.train_dataset),
        held_out=len(trainer.eval_dataset or ()),
        steps=steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        facts={name: record.plain(value) for name, value in facts.items()},
        command=record.plain(command),
        started=environment["started"],
        noise=record.NoiseFacts(noise.nats, noise.signal, noise.dtype) if isinstance(noise, Noise) else None,
    )
