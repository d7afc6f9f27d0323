"""Alarms while a run goes on: each log line is shown to the rules; what they say is written down and shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from penchant.diagnostics.alarms import BY_ID, MOST, RULES, History, Rule
from penchant.whole import write_whole

FILE = "alarms.jsonl"
STATE = "alarms.json"


class Alarms(TrainerCallback):
    """Feeds the rules, and keeps ``alarms.jsonl`` in the run folder.

    Args:
        folder: The run folder; None keeps nothing on disk.
        say: Prints a line.
    """

    def __init__(self, folder: Path | None, say: Callable[[str], None]) -> None:
        self._path = None if folder is None else folder / FILE
        self._say = say
        self.history = History()
        self.counts: Counter[str] = Counter()
        self.told: list[dict[str, Any]] = []

    def raise_alarm(self, id: str, step: int, values: Mapping[str, Any]) -> None:
        """Say an alarm, the first time or each time as its rule has it, and write it down."""
        rule = BY_ID[id]
        self.counts[id] += 1
        if self.counts[id] > (MOST if rule.often else 1):
            return
        sentence = rule.say(values)
        line = {"id": id, "step": step, "sentence": sentence, "remedy": rule.remedy, "values": dict(values)}
        self.told.append(line)
        self._say(f"alarm      {id} at step {step}: {sentence}. {rule.remedy}")
        if self._path is not None and self._path.parent.is_dir():
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A resumed run takes the steps after its checkpoint again: their old lines go."""
        if state.is_world_process_zero and self._path is not None:
            kept = [line for line in self.told if line["step"] <= state.global_step]
            text = "".join(json.dumps(line) + "\n" for line in kept)
            if text or self._path.exists():
                write_whole(self._path, text)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not (state.is_world_process_zero and logs and "loss" in logs):
            return
        self.history.add(logs)
        for rule in RULES:
            if rule.check is None or (self.counts[rule.id] and not rule.often):
                continue
            values = rule.check(self.history)
            if values is not None:
                self.raise_alarm(rule.id, state.global_step, values)

    def summary(self) -> list[str]:
        """One line for each alarm of the run, with how often it was raised."""
        lines = []
        for rule in RULES:
            first = next((line for line in self.told if line["id"] == rule.id), None)
            if first is not None:
                lines.append(self._line(rule, first))
        return lines

    def _line(self, rule: Rule, first: Mapping[str, Any]) -> str:
        times = f", {self.counts[rule.id]} times" if self.counts[rule.id] > 1 else ""
        return f"{rule.id} (first at step {first['step']}{times}): {first['sentence']}"

    def save(self, folder: str | Path) -> None:
        state = {"history": asdict(self.history), "counts": self.counts, "told": self.told}
        Path(folder, STATE).write_text(json.dumps(state), encoding="utf-8")

    def load(self, folder: str | Path) -> None:
        state = json.loads(Path(folder, STATE).read_text(encoding="utf-8"))
        self.history = History(**state["history"])
        self.counts, self.told = Counter(state["counts"]), state["told"]
