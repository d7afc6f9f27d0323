"""Which formula a function computes: the reference, a known other method, or the reference with known faults.

Every hypothesis predicts the loss of each probe row; the first that agrees with what was observed is the diagnosis.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from penchant.errors import InputError
from penchant.whiteboard.anatomy import Anatomy
from penchant.whiteboard.fault import MINUS_HINT, Fault
from penchant.whiteboard.inputs import Rows
from penchant.whiteboard.subjects import Subject, others

TOLERANCES = (1e-7, 3e-4)
"""Agreement of code that computes in float64, and in float32."""
COARSE = 0.05
"""Agreement of code that computes in half precision."""
FIXED = {
    "beta": (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0),
    "gamma": (0.0, 0.1, 0.3, 0.5, 1.0, 1.2, 1.4, 1.5, 1.6, 3.0, 5.0),
    "lam": (0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0),
}
"""Values that people write into a function instead of giving it a parameter."""


@dataclass(frozen=True)
class Match:
    """What explains the observations.

    Attributes:
        subject: The formula that was recognised.
        faults: Mistakes in it, at most two.
        also: Other single mistakes that no caller could tell from these.
        factor: The constant that the loss is multiplied by.
        offset: The constant that is added to it.
        power: The power of beta that it is multiplied by.
        fixed: Constants that are written into the function, where they differ from the defaults.
        tolerance: How closely it agrees.
    """

    subject: Subject
    faults: tuple[Fault, ...] = ()
    also: tuple[Fault, ...] = ()
    factor: float = 1.0
    offset: float = 0.0
    power: int = 0
    fixed: Mapping[str, float] | None = None
    tolerance: float = TOLERANCES[0]

    def predict(self, rows: Rows) -> np.ndarray:
        """The loss of each row under this match."""
        rows = _with(rows, self.fixed or {})
        losses = _predict(self.subject, rows, changes_of(self.faults))
        return np.asarray(losses * self.factor * rows["beta"] ** self.power + self.offset)


def match(observed: np.ndarray, rows: Rows, subject: Subject, free: set[str], coarse: bool = False) -> Match | None:
    """The simplest formula that predicts the observations.

    Args:
        observed: Losses of the rows; rows that came out infinite or NaN are left out.
        rows: Their symbols.
        subject: What the function should be.
        free: Constants that the function takes as parameters; the others may be written into it.
        coarse: Whether the function was seen to compute in half precision.
    """
    usable = np.isfinite(observed)
    if usable.sum() < min(4, len(observed)):
        return None
    rows = {name: np.asarray(values)[usable] for name, values in rows.items()}
    observed = observed[usable]
    for tolerance in TOLERANCES:
        found = _search(observed, rows, subject, free, tolerance)
        if found is not None:
            return found
    return _nearest(observed, rows, subject) if coarse else None


def _nearest(observed: np.ndarray, rows: Rows, subject: Subject) -> Match | None:
    """The formula with at most one fault that comes nearest to coarse results."""
    candidates = [(), *((fault,) for fault in subject.faults)]
    errors = [float(np.nanmean(np.abs(observed - _predict(subject, rows, changes_of(c))))) for c in candidates]
    best = int(np.nanargmin(errors))
    near = errors[best] <= COARSE * max(0.5, float(np.mean(np.abs(observed))))
    return Match(subject, candidates[best], tolerance=COARSE) if near else None


def _search(observed: np.ndarray, rows: Rows, subject: Subject, free: set[str], tolerance: float) -> Match | None:
    reference = _predict(subject, rows)
    if _agree(observed, reference, tolerance):
        return Match(subject, tolerance=tolerance)
    singles = [(fault, _predict(subject, rows, fault.changes)) for fault in subject.faults]
    same = [fault for fault, losses in singles if _agree(observed, losses, tolerance)]
    fixed = next(
        (f for f in _fixed(subject, free) if _agree(observed, _predict(subject, _with(rows, f)), tolerance)), None
    )
    if same and (fixed is None or same[0].code != "beta-doubled"):  # 0.2 in the text is a beta, not twice the usual one
        return Match(subject, (same[0],), tuple(same[1:]), tolerance=tolerance)
    if fixed is not None:
        return Match(subject, fixed=fixed, tolerance=tolerance)
    known = [(other, _predict(other, rows | _defaults(other, free))) for other in others(subject)]
    for other, losses in known:
        if _agree(observed, losses, tolerance):
            return Match(other, fixed=_fixed_of(other, free), tolerance=tolerance)
    scaled = _scaled(observed, reference, rows, tolerance)
    if scaled is not None:
        return Match(subject, factor=scaled[0], offset=scaled[1], power=scaled[2], tolerance=tolerance)
    return _search_further(observed, rows, subject, free, tolerance, singles, known)


def _search_further(
    observed: np.ndarray,
    rows: Rows,
    subject: Subject,
    free: set[str],
    tolerance: float,
    singles: list[tuple[Fault, np.ndarray]],
    known: list[tuple[Subject, np.ndarray]],
) -> Match | None:
    pairs = [
        pair
        for pair in _pairs(subject.faults)
        if _agree(observed, _predict(subject, rows, changes_of(pair)), tolerance)
    ]
    if pairs:
        also = tuple(fault for pair in pairs[1:] for fault in pair if fault not in pairs[0])
        return Match(subject, pairs[0], also, tolerance=tolerance)
    for fault, losses in singles:
        turned = _turned(subject, fault)
        if turned is not None and _agree(observed, -losses, tolerance):
            return Match(subject, (fault, turned), tolerance=tolerance)
    for candidates in (
        ((subject, (fault,), losses) for fault, losses in singles),
        ((other, (), losses) for other, losses in known),
    ):
        for found, faults, losses in candidates:
            scaled = _scaled(observed, losses, rows, tolerance)
            if scaled is not None:
                fixed = None if found is subject else _fixed_of(found, free)
                return Match(found, faults, (), *scaled, fixed=fixed, tolerance=tolerance)
    for fixed in _fixed(subject, free):
        other_rows = _with(rows, fixed)
        for fault in subject.faults:
            if _agree(observed, _predict(subject, other_rows, fault.changes), tolerance):
                return Match(subject, (fault,), fixed=fixed, tolerance=tolerance)
        scaled = _scaled(observed, _predict(subject, other_rows), other_rows, tolerance)
        if scaled is not None:
            return Match(subject, (), (), *scaled, fixed=fixed, tolerance=tolerance)
    return None


def _turned(subject: Subject, fault: Fault) -> Fault | None:
    """The wrong sign of the loss on top of a fault that may bend the last step itself."""
    if not isinstance(subject.formula, Anatomy) or fault.code == "minus-missing":
        return None
    last = subject.formula.steps[-1]
    bent = {last.name: f"-({fault.changes.get(last.name, last.expression)})"}
    answer = "Turn the sign of the loss round."
    return Fault("minus-missing", "besides, the loss has the wrong sign", MINUS_HINT, answer, bent)


def changes_of(faults: tuple[Fault, ...]) -> dict[str, str]:
    """The steps that some faults bend, together."""
    return {step: expression for fault in faults for step, expression in fault.changes.items()}


def _predict(subject: Subject, rows: Rows, changes: Mapping[str, str] | None = None) -> np.ndarray:
    count = len(rows["pw"])
    try:
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(subject.formula.loss(rows, changes or {}), dtype=np.float64), (count,))
    except InputError:  # the bent constants are out of the method's domain: no prediction
        return np.full(count, np.nan)


def _agree(observed: np.ndarray, predicted: np.ndarray, tolerance: float) -> bool:
    scale = np.maximum(np.abs(predicted), 0.05 if tolerance < 1e-3 else 0.5)
    return bool(np.all(np.abs(observed - predicted) <= tolerance * scale))


def _scaled(
    observed: np.ndarray, predicted: np.ndarray, rows: Rows, tolerance: float
) -> tuple[float, float, int] | None:
    """A positive factor (times a power of beta), or an added constant, that makes the prediction agree."""
    varying = np.ptp(rows["beta"]) > 0
    usable = np.abs(predicted) > 1e-6
    if not np.isfinite(predicted).all() or not usable.any() or np.ptp(predicted) < 1e-6:
        return None
    for power in (0, 1, 2, -1, -2) if varying else (0,):
        base = predicted * rows["beta"] ** power
        factor = float(np.median(observed[usable] / base[usable]))
        if 1e-4 < factor < 1e4 and _agree(observed / factor, base, tolerance):
            return _tidy(factor), 0.0, power
    offset = float(np.median(observed - predicted))
    if abs(offset) > 1e-3 and _agree(observed, predicted + offset, tolerance):
        return 1.0, _tidy(offset), 0
    return None


def _tidy(value: float) -> float:
    return float(f"{value:.6g}")


def _pairs(faults: tuple[Fault, ...]) -> Iterator[tuple[Fault, Fault]]:
    for one, other in itertools.combinations(faults, 2):
        if not set(one.changes) & set(other.changes):
            yield one, other


def _fixed(subject: Subject, free: set[str]) -> Iterator[dict[str, float]]:
    """Constants that may be written into the function: other common values of one or two of them."""
    names = [name for name in FIXED if name in subject.constants and name not in free]
    for name in names:
        for value in FIXED[name]:
            yield {name: value}
    for one, other in itertools.combinations(names, 2):
        for values in itertools.product(FIXED[one], FIXED[other]):
            yield dict(zip((one, other), values, strict=True))


def _with(rows: Rows, fixed: Mapping[str, float]) -> Rows:
    return {**rows, **{name: np.full(np.shape(rows["beta"]), value) for name, value in fixed.items()}}


def _fixed_of(other: Subject, free: set[str]) -> dict[str, float]:
    return {name: float(value) for name, value in other.constants.items() if name not in free}


def _defaults(other: Subject, free: set[str]) -> Rows:
    return {name: np.asarray(value) for name, value in _fixed_of(other, free).items()}
