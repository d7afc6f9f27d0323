"""``penchant score``: losses, rewards, margins and accuracy of a table of log-probs. No model, no torch."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from penchant.diagnostics import implicit_rewards
from penchant.errors import InputError, suggest
from penchant.evaluation.columns import SumCheck, lengths_of, reward_needs_lengths, reward_needs_logps
from penchant.evaluation.statistics import Estimate, RunningMean, Share, wilson_of_sum
from penchant.evaluation.tables import LogpTable, open_table
from penchant.objectives import METHODS, Method, get_method
from penchant.objectives.catalogue.own import settled
from penchant.records import Array

_PAIR = {
    "chosen_logps": ("policy_chosen_logps",),
    "rejected_logps": ("policy_rejected_logps",),
    "log_ratio_w": ("policy_chosen_logps", "ref_chosen_logps"),
    "log_ratio_l": ("policy_rejected_logps", "ref_rejected_logps"),
}
"""What follows from columns of pairs: a copy of one, or the difference of two."""

_ANSWER = {"logps": ("policy_logps",), "log_ratio": ("policy_logps", "ref_logps")}
AT_ONCE = 65_536
"""Rows, at most, of which a loss that couples its rows is computed: they are held in memory."""

_SIDES = {
    "policy_logps": ("policy_chosen_logps", "policy_rejected_logps"),
    "ref_logps": ("ref_chosen_logps", "ref_rejected_logps"),
    "lengths": ("chosen_lengths", "rejected_lengths"),
    "log_ratio": ("log_ratio_w", "log_ratio_l"),
}
"""What a pair's two answers are, one by one, for a method that takes single answers."""


@dataclass(frozen=True, slots=True)
class MethodScore:
    """One method's numbers over a table; what the table does not allow is ``None``.

    Rewards are the method's implicit rewards: beta times the log-ratio, or times the log-prob per token where it has no
    reference. ``accuracy`` counts a tie as half; for labelled answers there is none.
    """

    method: str
    constants: dict[str, Any]
    unit: str
    rows: int
    loss: Estimate
    rewards_chosen: Estimate | None
    rewards_rejected: Estimate | None
    margins: Estimate | None
    accuracy: Share | None
    ties: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableScore:
    """What could be computed of a table, and what each other method lacks."""

    path: str
    rows: int
    skipped: int
    columns: dict[str, str]
    unused: tuple[str, ...]
    scores: list[MethodScore]
    lacking: dict[str, str]
    remarks: tuple[str, ...] = ()


def score_table(
    path: str | Path,
    *,
    method: str = "dpo",
    constants: Mapping[str, Any] | None = None,
    skip_missing: bool = False,
    length_normalize: bool = False,
) -> TableScore:
    """Compute one method, or all, over a table of log-probs in one pass.

    Intervals take the rows as independent; where several pairs share a prompt, ``penchant evaluate --table`` goes by
    prompts.

    Args:
        path: CSV, TSV, JSON Lines or Parquet; see :func:`penchant.evaluation.tables.open_table`.
        method: A method's name, or ``"all"``.
        constants: The method's constants; with ``"all"``, each goes to the methods that have it.
        skip_missing: Leave out and count rows with an empty or infinite field.
        length_normalize: Give losses and rewards log-probs per token, as training with ``length_normalize`` does.

    Raises:
        InputError: if the file or a value in it is wrong, or the table lacks what the one method needs.
    """
    table = open_table(path)
    given: dict[str, Any] = dict(constants or {})
    lacking: dict[str, str] = {}
    if method == "all":
        _check_known(given)
    scorers = []
    for one in _methods(method):
        lacks = _lacks(one, table) or (_lacks_lengths(one, table) if length_normalize else "")
        if lacks and method != "all":
            where, got = str(path), ", ".join(sorted(table.columns))
            raise InputError(f"method {one.name!r} needs {lacks}, which the table lacks", where=where, got=got)
        if lacks:
            lacking[one.name] = lacks
        else:
            in_pairs = one.data == "answers" and table.paired
            scorers.append(_Scorer(one, _constants(one, given, method == "all"), in_pairs))
    options = {"skip_missing": skip_missing, "strict": method != "all", "length_normalize": length_normalize}
    check = SumCheck()
    rows, skipped = _run(scorers, table, lacking, check, **options)
    done = [scorer.result() for scorer in scorers if scorer.method.name not in lacking]
    return TableScore(
        str(path), rows, skipped, dict(table.columns), table.others, done, lacking, tuple(check.remarks())
    )


def _run(
    scorers: list[_Scorer],
    table: LogpTable,
    lacking: dict[str, str],
    check: SumCheck,
    *,
    skip_missing: bool,
    strict: bool,
    length_normalize: bool,
) -> tuple[int, int]:
    rows = skipped = 0
    for batch in table.batches(skip_missing=skip_missing):
        rows, skipped = rows + len(batch.rows), skipped + batch.skipped
        if not len(batch.rows):
            continue
        check.add(batch.arrays)
        columns = _per_token(batch.arrays) if length_normalize else batch.arrays
        pairs, answers = _terms(columns, table.paired)
        for scorer in scorers:
            if scorer.method.name in lacking:
                continue
            bad = scorer.add(pairs if scorer.method.needs_pairs else answers)
            if bad is not None:
                _leave_out(scorer.method, lacking, table, strict, int(batch.rows[bad % len(batch.rows)]))
            elif scorer.method.couples_rows and rows > AT_ONCE:
                scorer.kept.clear()
                _leave_out(scorer.method, lacking, table, strict)
    if not rows:
        raise InputError("no row is whole", where=str(table.path), got=f"{skipped} rows skipped")
    for scorer in scorers:
        if scorer.method.couples_rows and scorer.method.name not in lacking and not scorer.settle():
            _leave_out(scorer.method, lacking, table, strict, 1)
    return rows, skipped


def _leave_out(method: Method, lacking: dict[str, str], table: LogpTable, strict: bool, row: int = 0) -> None:
    """A method whose loss is not finite at a row, or, without a row, that would need too many rows at once."""
    where = f"{table.path}:row {row}" if row else str(table.path)
    if strict and row:
        raise InputError(f"the loss of method {method.name!r} is not finite", where=where)
    if strict:
        what = f"method {method.name!r} has one loss for all rows, which are held in memory, at most {AT_ONCE:,}"
        raise InputError(what, where=where, fix="Score a part of the table")
    lacking[method.name] = f"a finite loss (row {row})" if row else f"all rows at once, at most {AT_ONCE:,}"


def _methods(name: str) -> Iterable[Method]:
    return METHODS.values() if name == "all" else (settled(get_method(name), np.asarray),)


def _check_known(given: Mapping[str, Any]) -> None:
    known = {name.rstrip("_") for method in METHODS.values() for name in method.constants}
    for name in given:
        if name.rstrip("_") not in known:
            raise InputError(f"no method has a constant {name!r}", fix=suggest(name, known))


def _constants(method: Method, given: Mapping[str, Any], every: bool) -> dict[str, Any]:
    """The method's constants; when all methods are computed, those given that it has."""
    if every:
        own = {name.rstrip("_") for name in method.constants}
        given = {name: value for name, value in given.items() if name.rstrip("_") in own}
    return method.with_constants(given)


def _terms(columns: Mapping[str, Array], paired: bool) -> tuple[dict[str, Array], dict[str, Array]]:
    """Everything a loss on pairs, and one on single answers, may ask for."""
    if not paired:
        return {}, _derive(dict(columns), _ANSWER)
    pairs = _derive(dict(columns), _PAIR)
    answers = {name: np.concatenate([pairs[a], pairs[b]]) for name, (a, b) in _SIDES.items() if {a, b} <= set(pairs)}
    count = len(next(iter(columns.values())))
    answers["is_desirable"] = np.repeat([1.0, 0.0], count)
    if "z_ref" in columns:
        answers["z_ref"] = np.tile(columns["z_ref"], 2)
    return pairs, _derive(answers, _ANSWER)


def _derive(columns: dict[str, Array], rules: Mapping[str, tuple[str, ...]]) -> dict[str, Array]:
    for name, parts in rules.items():
        if name not in columns and all(part in columns for part in parts):
            first, *rest = (columns[part] for part in parts)
            columns[name] = first - rest[0] if rest else first
    return columns


def _lacks(method: Method, table: LogpTable) -> str:
    """The columns that the method's loss needs and the table does not give, as words; empty if there are none."""
    one = {name: np.zeros(1) for name in table.columns}
    pairs, answers = _terms(one, table.paired)
    known = pairs if method.needs_pairs else answers
    if method.needs_pairs and not table.paired:
        return "pairs (chosen and rejected columns)"
    missing = [name for name in _required(method) if name not in known]
    told = dict.fromkeys(word for name in missing for word in _columns_for(name, table))
    return ", ".join(told)


def _lacks_lengths(method: Method, table: LogpTable) -> str:
    """What stands against log-probs per token, in words."""
    if method.uses_lengths:
        return "log-probs as sums, which it divides by their lengths itself"
    wanted = ("chosen_lengths", "rejected_lengths") if table.paired else ("lengths",)
    return ", ".join(name for name in wanted if name not in table.columns)


def _per_token(columns: Mapping[str, Array]) -> dict[str, Array]:
    """The columns with each sum of log-probs divided by its answer's length."""
    sums = [name for name in columns if name.endswith("logps") or name.startswith("log_ratio")]
    return {**columns, **{name: columns[name] / columns[lengths_of(name)] for name in sums}}


def _columns_for(name: str, table: LogpTable) -> tuple[str, ...]:
    """The columns to add for a term that is missing."""
    if table.paired and name in _SIDES | _ANSWER:
        sources = _ANSWER.get(name, (name,))
        names = [side for source in sources for side in _SIDES[source]]
    else:
        names = list((_PAIR if table.paired else _ANSWER).get(name, (name,)))
    return tuple(one for one in names if one not in table.columns)


def _required(method: Method) -> list[str]:
    parameters = inspect.signature(method.loss).parameters
    return [name for name in method.inputs if parameters[name].default is inspect.Parameter.empty]


@dataclass(slots=True)
class _Scorer:
    """Adds one method's numbers up over the batches.

    ``in_pairs`` says that single answers are the chosen and then the rejected ones of pairs: the two of a pair are not
    independent, so the interval of the loss is that of the pairs' means.
    """

    method: Method
    constants: dict[str, Any]
    in_pairs: bool = False
    loss: RunningMean = field(default_factory=RunningMean)
    chosen: RunningMean = field(default_factory=RunningMean)
    rejected: RunningMean = field(default_factory=RunningMean)
    margins: RunningMean = field(default_factory=RunningMean)
    kept: list[dict[str, Array]] = field(default_factory=list)
    right: float = 0.0
    ties: int = 0
    notes: set[str] = field(default_factory=set)

    def add(self, terms: Mapping[str, Array]) -> int | None:
        """Add a batch; the index of the first row whose loss is not finite, if there is one."""
        inputs = {name: terms[name] for name in self.method.inputs if name in terms}
        for name in set(self.method.inputs) - set(inputs):
            default = inspect.signature(self.method.loss).parameters[name].default
            self.notes.add(f"{name} = {default} (no such column)")
        if self.method.couples_rows:
            self.kept.append(inputs)
        else:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # not finite: reported below
                losses = np.atleast_1d(self.method.loss(**inputs, **self.constants, reduction="none"))
            if not np.isfinite(losses).all():
                return int(np.argmin(np.isfinite(losses)))
            self.loss.add(losses.reshape(2, -1).mean(axis=0) if self.in_pairs else losses)
        if self.method.needs_pairs:
            self._add_pairs(terms)
        elif self.method.data == "answers":
            self._add_answers(terms)
        return None

    def settle(self) -> bool:
        """Compute the one loss of all rows that were kept; whether it is finite."""
        inputs = {name: np.concatenate([rows[name] for rows in self.kept]) for name in self.kept[0]}
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            loss = float(np.mean(self.method.loss(**inputs, **self.constants)))
        self.loss.add(np.array([loss]))
        self.notes.add("one loss for all rows: no interval")
        return bool(np.isfinite(loss))

    def _reward(self, terms: Mapping[str, Array], ratio: str, logps: str, lengths: str) -> Array | None:
        """The implicit reward, or nothing where the table lacks something that it is made of."""
        asks = {ratio: self.method.needs_reference, logps: reward_needs_logps(self.method)}
        asks[lengths] = reward_needs_lengths(self.method)
        needed = [name for name, asked in asks.items() if asked]
        if any(name not in terms for name in needed):
            self.notes.add(f"no rewards: they need {' and '.join(needed)}")
            return None
        first = terms[needed[0]]
        units = terms[lengths] if asks[lengths] else np.ones_like(first)
        if not asks[ratio]:
            return implicit_rewards(self.method, self.constants, first, None, units)
        own = terms[logps] if asks[logps] else first  # where only the ratio counts, the reference may be at 0
        return implicit_rewards(self.method, self.constants, own, own - first, units)

    def _add_pairs(self, terms: Mapping[str, Array]) -> None:
        chosen = self._reward(terms, "log_ratio_w", "chosen_logps", "chosen_lengths")
        rejected = self._reward(terms, "log_ratio_l", "rejected_logps", "rejected_lengths")
        if chosen is None or rejected is None:
            return
        margins = chosen - rejected
        self.chosen.add(chosen)
        self.rejected.add(rejected)
        self.margins.add(margins)
        tied = int(np.count_nonzero(margins == 0))
        self.ties += tied
        self.right += float(np.count_nonzero(margins > 0)) + tied / 2

    def _add_answers(self, terms: Mapping[str, Array]) -> None:
        rewards = self._reward(terms, "log_ratio", "logps", "lengths")
        if "is_desirable" not in terms:
            self.notes.add("no rewards: they are told by is_desirable")
        elif rewards is not None:
            desirable = terms["is_desirable"] == 1
            self.chosen.add(rewards[desirable])
            self.rejected.add(rewards[~desirable])

    def result(self) -> MethodScore:
        loss = self.loss.estimate()
        if self.in_pairs:
            self.notes.add("each pair taken as two labelled answers, and as one in the interval of the loss")
            loss = replace(loss, n=2 * loss.n)
        if self.kept:
            loss = replace(loss, n=sum(len(next(iter(rows.values()))) for rows in self.kept))
        return MethodScore(
            method=self.method.name,
            constants=self.constants,
            unit=self.method.data,
            rows=loss.n,
            loss=loss,
            rewards_chosen=_estimate(self.chosen),
            rewards_rejected=_estimate(self.rejected),
            margins=_estimate(self.margins),
            accuracy=wilson_of_sum(self.right, self.margins.n, self.ties) if self.margins.n else None,
            ties=self.ties,
            notes=tuple(sorted(self.notes)),
        )


def _estimate(mean: RunningMean) -> Estimate | None:
    return mean.estimate() if mean.n else None
