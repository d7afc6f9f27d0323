"""Tables of log-probs that any tool logged: CSV, JSON Lines or Parquet, streamed under the vocabulary's names.

A column is found by its name in the vocabulary or by one of the names that training libraries log it under. No torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from penchant.data.files import path_text
from penchant.errors import InputError, shorten
from penchant.records import Array
from penchant.vocabulary import LIST_TERMS, TERMS

BLOCK_BYTES = 8 << 20
BATCH_ROWS = 65536
_REASON = 160
_SIDE_FORMS = {
    "policy_{}_logps": "{}_logps logps_{} policy_{}_logp {}_logp logp_{} policy_logps_{} {}_logprobs {}_logprob "
    "policy_{}_logprobs policy_{}_logprob logprobs_{} logprob_{} {}_log_probs",
    "ref_{}_logps": "reference_{}_logps ref_logps_{} reference_logps_{} ref_{}_logp reference_{}_logp ref_logp_{} "
    "{}_ref_logps ref_{}_logprobs ref_{}_logprob reference_{}_logprobs reference_{}_log_probs",
    "{}_lengths": "{}_length {}_len {}_tokens {}_num_tokens num_tokens_{} length_{} lengths_{} {}_token_count",
}
_ANSWER_FORMS = {
    "policy_logps": "logps logp policy_logp completion_logps logprobs logprob policy_logprobs",
    "ref_logps": "reference_logps ref_logp reference_logp ref_completion_logps ref_logprobs",
    "lengths": "length completion_length completion_tokens num_tokens tokens",
    "is_desirable": "label desirable",
    "log_ratio_w": "chosen_log_ratio chosen_logratios log_ratio_chosen",
    "log_ratio_l": "rejected_log_ratio rejected_logratios log_ratio_rejected",
}


def _aliases() -> dict[str, str]:
    """Every spelling, as :func:`_plain` leaves it, and the name it stands for."""
    forms = {name: words.split() for name, words in _ANSWER_FORMS.items()}
    for pattern, words in _SIDE_FORMS.items():
        forms |= {pattern.format(s): words.replace("{}", s).split() for s in ("chosen", "rejected")}
    names = {name: name for name in TERMS} | {name.removesuffix("s"): name for name in TERMS}
    return names | {alias: name for name, aliases in forms.items() for alias in (name, *aliases)}


ALIASES = _aliases()


@dataclass(frozen=True, slots=True)
class LogpTable:
    """A table whose columns are known; nothing but its beginning has been read.

    Attributes:
        path: The file.
        columns: Name in the vocabulary -> column in the file.
        others: The columns that are not log-prob terms.
        extras: Further columns to read as they are: name -> column in the file.
    """

    path: Path
    columns: Mapping[str, str]
    others: tuple[str, ...]
    extras: Mapping[str, str] = field(default_factory=dict)

    @property
    def paired(self) -> bool:
        """Whether its rows are pairs: some column belongs to the chosen or rejected answer."""
        return any("chosen" in name or "rejected" in name or name.endswith(("_w", "_l")) for name in self.columns)

    def batches(self, *, skip_missing: bool = False) -> Iterator[Batch]:
        """The rows in order, as float64 arrays of shape ``(rows,)`` under the vocabulary's names.

        Args:
            skip_missing: Leave rows out in which a column is empty or not finite; they are counted in the batch.

        Raises:
            InputError: at the first value that is empty, not finite or out of its domain, with its row.
        """
        seen = 0
        for record in _records(self.path, self.columns, self.extras):
            arrays = {name: _numbers(record.column(column), name, column) for name, column in self.columns.items()}
            extras = {name: record.column(column).to_pylist() for name, column in self.extras.items()}
            bad = np.zeros(record.num_rows, dtype=bool)
            for values in arrays.values():
                bad |= ~_whole(values)
            if bad.any() and not skip_missing:
                raise self._missing(arrays, int(np.argmax(bad)), seen)
            keep = ~bad
            if bad.any():
                arrays = {name: values[keep] for name, values in arrays.items()}
                extras = {n: [v for v, kept in zip(values, keep, strict=True) if kept] for n, values in extras.items()}
            rows = np.flatnonzero(keep) + seen + 1
            for name, values in arrays.items():
                self._check(name, values, rows)
            yield Batch(arrays, extras, rows, int(bad.sum()))
            seen += record.num_rows
        if not seen:
            raise InputError("the table holds no rows", where=path_text(self.path))

    def _missing(self, arrays: Mapping[str, Array], index: int, seen: int) -> InputError:
        name = next(name for name, values in arrays.items() if not _whole(values)[index])
        found = np.sum(arrays[name][index])  # of a list: not finite if one of it is not
        got = "an empty field or NaN" if np.isnan(found) else str(found)
        where = f"{path_text(self.path)}:row {seen + index + 1}"
        what = f"column {self.columns[name]!r} holds no finite number"
        return InputError(what, where=where, got=got, fix="Mend the row, or leave such rows out with --skip-missing")

    def _check(self, name: str, values: Array, rows: Array) -> None:
        """Sums of log-probs are at most 0 (rounding apart), lengths at least 1, labels 0 or 1."""
        if name.endswith("logps"):
            wrong, rule, fix = values > 1e-2, "a log-prob above 0", "Give log-probs, not negative log-likelihoods"
        elif name.endswith("lengths"):
            wrong, rule, fix = values < 1, "a length below 1", "Count the tokens that were summed"
        elif _binary(name):
            wrong, rule, fix = (values != 0) & (values != 1), "a label other than true or false", ""
        else:
            return
        if wrong.any():
            at, *_ = np.argwhere(wrong)[0]
            where = f"{path_text(self.path)}:row {rows[at]}"
            what = f"column {self.columns[name]!r} holds {rule}"
            raise InputError(what, where=where, got=f"{values[wrong][0]:g}", fix=fix or None)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a table: arrays by name (of lists, shape ``(rows, answers)``), further columns as lists, row numbers
    from 1, and how many were skipped.
    """

    arrays: dict[str, Array]
    extras: dict[str, list[Any]]
    rows: Array
    skipped: int


def open_table(path: str | Path, extras: Mapping[str, Sequence[str]] | None = None) -> LogpTable:
    """Find the log-prob columns of a table.

    Args:
        path: A ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` or ``.parquet`` file.
        extras: Further columns to read if they are there: name -> spellings.

    Raises:
        InputError: if the file cannot be read, or no column is a log-prob term, or two stand for the same.
    """
    path = Path(path)
    names = _column_names(path)
    found: dict[str, list[str]] = {}
    for column in names:
        term = ALIASES.get(_plain(column))
        if term is not None:
            found.setdefault(_canonical(term), []).append(column)
    columns = {name: _settle(path, name, candidates) for name, candidates in found.items()}
    if not columns:
        fix = "Name the columns policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ... (docs/score.md)"
        got = shorten(", ".join(names), 120)
        raise InputError("no column is a log-prob that is known", where=path_text(path), got=got, fix=fix)
    used = set(columns.values())
    spelled = {_plain(column): column for column in names if column not in used}
    wanted = {
        name: next(spelled[word] for word in words if word in spelled)
        for name, words in (extras or {}).items()
        if any(word in spelled for word in words)
    }
    others = tuple(column for column in names if column not in used and column not in wanted.values())
    return LogpTable(path, columns, others, wanted)


def _plain(column: str) -> str:
    """``logps/chosen`` and ``Logps-Chosen`` are ``logps_chosen``."""
    return column.strip().lower().translate(str.maketrans("/-. ", "____"))


def _canonical(term: str) -> str:
    """The vocabulary's ``chosen_logps`` (the policy's, of a method without reference) is ``policy_chosen_logps``."""
    return f"policy_{term}" if term in ("chosen_logps", "rejected_logps", "logps") else term


def _settle(path: Path, name: str, candidates: list[str]) -> str:
    exact = [column for column in candidates if column == name]
    if len(candidates) > 1 and not exact:
        what = f"two columns stand for {name!r}"
        fix = f"Name the right one {name} and it is taken"
        raise InputError(what, where=path_text(path), got=", ".join(candidates[:3]), fix=fix)
    return exact[0] if exact else candidates[0]


def _numbers(column: Any, name: str, spelled: str) -> Array:
    """An Arrow column as float64, nulls as NaN; words for labels are read as such."""
    arrow = importlib.import_module("pyarrow")
    if arrow.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if name in LIST_TERMS:
        return _lists(column, spelled)
    if arrow.types.is_boolean(column.type):
        column = column.cast("int8")
    if not (arrow.types.is_integer(column.type) or arrow.types.is_floating(column.type)):
        kind = "true or false" if _binary(name) else "a number"
        raise InputError(f"column {spelled!r} must hold {kind}", got=f"Arrow type {column.type}")
    return np.asarray(column.cast("float64").to_numpy(zero_copy_only=False), dtype=np.float64)


def _lists(column: Any, spelled: str) -> Array:
    """A column of lists as shape ``(rows, answers)``."""
    rows = column.to_pylist()
    lengths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if len(lengths) != 1 or lengths == {0}:
        got = "no lists" if 0 in lengths else f"lists of {min(lengths)} and of {max(lengths)} answers"
        raise InputError(f"column {spelled!r} must hold lists of one length", got=got)
    try:
        return np.array(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {spelled!r} must hold lists of numbers", got=shorten(rows[0])) from error


def _whole(values: Array) -> Array:
    """Which rows hold finite numbers only."""
    finite = np.isfinite(values)
    return finite if finite.ndim == 1 else finite.all(axis=1)


def _binary(name: str) -> bool:
    return name in TERMS and TERMS[name].binary


def _arrow(path: Path, module: str) -> Any:
    try:
        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError as error:
        fix = 'Run pip install "penchant[tables]"'
        raise InputError("reading a table needs pyarrow", where=path_text(path), fix=fix) from error


def _kind(path: Path) -> str:
    kinds = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet"}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        fix = f"Known endings: {', '.join(kinds)}"
        raise InputError("not a known kind of table", where=path_text(path), got=repr(path.suffix), fix=fix)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise InputError(what, where=path_text(path), fix="Check the path")
    if path.stat().st_size == 0:
        raise InputError("the table is empty", where=path_text(path))
    if kind == "json":
        with path.open("rb") as file:
            if file.read(64).lstrip().startswith(b"["):
                raise InputError("the table is one JSON array", where=path_text(path), fix="Write one object on a line")
    return kind


def _fault(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:_REASON].rstrip(".")
    return InputError(f"cannot be read: {reason}", where=path_text(path))


def _open(path: Path, wanted: Mapping[str, Any] | None) -> Any:
    """A reader of record batches: all columns (to see what there is), or the wanted ones with their Arrow types."""
    kind, arrow, module = _kind(path), _arrow(path, ""), _arrow(path, _kind(path))
    if kind == "parquet":
        return module.ParquetFile(path)
    read = module.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
    if kind == "csv":
        parse = module.ParseOptions(delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True)
        types = {name: kind for name, kind in (wanted or {}).items() if kind is not None}
        options = {"column_types": types, "include_columns": list(wanted)} if wanted else {}
        convert = module.ConvertOptions(strings_can_be_null=True, **options)
        return module.open_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    if wanted is None:
        return module.open_json(path, read_options=read)
    schema = arrow.schema(list(wanted.items()))
    parse = module.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    return module.open_json(path, read_options=read, parse_options=parse)


def _column_names(path: Path) -> list[str]:
    return [str(name) for name in _schema(path).names]


def _schema(path: Path) -> Any:
    arrow = _arrow(path, "")
    try:
        reader = _open(path, None)
        return reader.schema_arrow if hasattr(reader, "schema_arrow") else reader.schema
    except InputError:
        raise
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise _fault(path, error) from error


def _records(path: Path, columns: Mapping[str, str], extras: Mapping[str, str]) -> Iterator[Any]:
    """Arrow record batches of the wanted columns; log-probs as float64 from the start, the rest as Arrow finds it."""
    arrow, schema = _arrow(path, ""), _schema(path)
    wanted = {
        column: schema.field(column).type if _binary(name) or name in LIST_TERMS else arrow.float64()
        for name, column in columns.items()
    } | {column: schema.field(column).type for column in extras.values()}
    try:
        reader = _open(path, wanted)
        if hasattr(reader, "iter_batches"):
            yield from reader.iter_batches(batch_size=BATCH_ROWS, columns=list(wanted))
        else:
            for record in reader:
                yield from (record.slice(start, BATCH_ROWS) for start in range(0, record.num_rows, BATCH_ROWS))
    except InputError:
        raise
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise _fault(path, error) from error
