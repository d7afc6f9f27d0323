"""The function under test on the bench: called row by row or in a batch, with inputs named by role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from penchant.whiteboard.binding import Binding
from penchant.whiteboard.calling import Reply
from penchant.whiteboard.inputs import (
    BASELINE,
    CONSTANT_ROLES,
    ROLE_NAMES,
    Rows,
    sample_rows,
    take,
    view,
    with_baseline,
)
from penchant.whiteboard.subjects import Subject


class Runner(Protocol):
    """Whatever can call the function: :class:`calling.Target`, or a sandbox around it."""

    library: str

    def call(self, values: Any, kinds: Any, dtype: str, grad: Sequence[str], positional: Sequence[str]) -> Reply: ...


ENCODINGS = {"bool": (True, False), "int": (1, 0), "sign": (1.0, -1.0)}


@dataclass
class Bench:
    """How the function is called, found out by trying.

    Attributes:
        runner: Calls it.
        subject: What it should be.
        binding: Its parameters' roles.
        batched: Whether it takes arrays of rows, or one number at a time.
        labels: How labels are written, a key of ``ENCODINGS``.
    """

    runner: Runner
    subject: Subject
    binding: Binding
    batched: bool = True
    labels: str = "bool"

    @property
    def free(self) -> set[str]:
        """Constants that the function takes as parameters."""
        roles = set(self.binding.roles.values())
        constants = {role for role in (*CONSTANT_ROLES, *self.subject.constants) if role in roles}
        return constants | ({"gamma"} if "gamma_ratio" in roles else set())

    @property
    def has_baseline(self) -> bool:
        return self.binding.has(BASELINE) or self.binding.has("reward_baseline")

    @property
    def strays(self) -> list[str]:
        """Parameters with the name of a constant that the method does not have."""
        own = {*self.subject.constants, *(["gamma_ratio"] if "gamma" in self.subject.constants else [])}
        return [name for name, role in self.binding.roles.items() if role in CONSTANT_ROLES and role not in own]

    def rows(self, count: int, constant: bool = False, **values: Any) -> Rows:
        """Probe rows: what the function takes no parameter for has its default; ``constant`` fixes the constants."""
        rows = sample_rows(count, self.subject.extras)
        for role in (*CONSTANT_ROLES, *self.subject.constants):
            if role in rows and role not in self.free:
                rows[role] = np.full(count, float(self.subject.constants.get(role, 1.0)))
            elif role not in rows and role in self.subject.constants:
                turn = np.arange(count) % 3 if role in self.free else np.zeros(count, dtype=int)
                rows[role] = float(self.subject.constants[role]) * np.array([1.0, 0.7, 0.9])[turn]
        if not self.binding.has("z0") and not self.binding.has("kl"):
            rows["z0"] = np.zeros(count)
        if not self.has_baseline:
            rows[BASELINE] = np.zeros(count)
        if self.binding.has("kl"):
            signs = np.where(np.arange(count) % 3 == 1, -1.0, 1.0)
            rows["z0"] = rows["z0"] * signs
        rows |= {name: np.broadcast_to(np.asarray(value), (count,)) for name, value in values.items()}
        if constant:
            shared = (*CONSTANT_ROLES, *self.subject.constants, "z0")
            rows |= {role: np.full(count, rows[role][0]) for role in shared if role in rows}
        rows = with_baseline(rows)
        return rows | {"z0": np.maximum(rows["z0"], 0.0)}

    def call(
        self,
        rows: Rows,
        dtype: str = "float64",
        grad: Sequence[str] = (),
        batch: bool | None = None,
        labels: str | None = None,
    ) -> Reply:
        """One call on some rows (a batch), or on one row (whose symbols are numbers)."""
        values, kinds = {}, {}
        for parameter, role in self.binding.roles.items():
            values[parameter], kinds[parameter] = self._argument(role, rows, batch, labels or self.labels)
            if parameter in grad:
                kinds[parameter] = "float"
        return self.runner.call(values, kinds, dtype, list(grad), self.binding.positional)

    def _argument(self, role: str, rows: Rows, batch: bool | None, labels: str) -> tuple[Any, str]:
        value = np.asarray(view(role, rows))
        if role in CONSTANT_ROLES or role in self.subject.constants or role == "z0":
            return float(value.flat[0]), "constant"
        if role == "kl":
            return np.asarray(rows["z_rows"]).reshape(-1, 3)[0].tolist(), "float"
        kind = "float"
        if role in ("m", "n"):
            kind = "int" if np.all(value == np.round(value)) else "float"
        if role == "y":
            high, low = ENCODINGS[labels]
            value, kind = np.where(value, high, low), {"sign": "float"}.get(labels, labels)
        batched = self.batched if batch is None else batch
        return (np.atleast_1d(value) if batched else value.reshape(()) if value.size == 1 else value).tolist(), kind

    def losses(self, rows: Rows, dtype: str = "float64") -> tuple[np.ndarray, Reply | None]:
        """The loss of each row on its own, NaN where the call failed, and the first error."""
        found, error = [], None
        for index in range(len(rows["pw"])):
            reply = self.call(take(rows, index), dtype)
            value = np.asarray(reply.get("value", np.nan), dtype=np.float64)
            found.append(float(value.flat[0]) if value.size == 1 else np.nan)
            error = error or reply.get("error")
        return np.asarray(found), error

    def inputs(self, rows: Rows) -> dict[str, Any]:
        """What a call on one row is given, by parameter, to show."""
        shown = {name: self._argument(role, rows, False, self.labels)[0] for name, role in self.binding.roles.items()}
        return {
            name: bool(v) if self.binding.roles[name] == "y" and self.labels == "bool" else v
            for name, v in shown.items()
        }


def fit(bench: Bench) -> dict[str, Any] | None:
    """Find out how the function wants to be called; the error of the first attempt if nothing works."""
    first_error = None
    rows = bench.rows(3, constant=True)
    encodings = list(ENCODINGS) if bench.binding.has("y") else ["bool"]
    for batched in (True, False) if bench.runner.library != "python" else (False,):
        for labels in encodings:
            bench.batched, bench.labels = batched, labels
            reply = bench.call(rows if batched else take(rows, 0))
            if "error" not in reply:
                return None
            first_error = first_error or reply["error"]
    return first_error


def role_name(bench: Bench, parameter: str) -> str:
    """What a parameter is, as the vocabulary calls it."""
    role = bench.binding.roles[parameter]
    return ROLE_NAMES.get(role, role)
