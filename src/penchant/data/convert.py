"""Rows of any layout written in another, each with the place that it came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from penchant.data.formats.layout import Layout
from penchant.data.parts import in_parts
from penchant.data.read import counted
from penchant.data.rows import STOPPED, ReadRow, with_all_numbers
from penchant.data.shaping import Pairing, answers_of, as_list, each_turn, grouped, is_tie
from penchant.data.sources import Paths
from penchant.data.write import line, refusal, refused_path, two_files
from penchant.errors import InputError
from penchant.records import LabelledAnswer, Message, Numbers, PreferencePair, Prompt, RankedAnswers

Target = Literal["pairs", "unpaired", "ratings", "ranking", "chatml", "trl"]
Ties = Literal["drop", "keep", "both"]
Strength = Literal["stated", "weight", "margin"]
Turns = Literal["last", "all"]

TARGETS: tuple[Target, ...] = ("pairs", "unpaired", "ratings", "ranking", "chatml", "trl")
ORIGIN = "origin"
"""The column with a row's place, ``file:line``; a row that has one already keeps it."""

_SHOWN = 4
_PIECE_BYTES = 1 << 16

_COLUMNS = {
    "chosen_scores": "chosen_score",
    "rejected_scores": "rejected_score",
    "preference_probs": "preference_prob",
    "is_tie": "is_tie",
    "margin": "margin",
    "weight": "weight",
    "score": "score",
}

Shape = PreferencePair | LabelledAnswer | RankedAnswers


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is written, and how.

    Attributes:
        to: ``pairs``, ``unpaired`` answers with labels, ``ratings`` (an answer and its score in each row),
            ``ranking`` (all answers to a prompt in each row); pairs or labelled answers as conversations, ``chatml``,
            or as TRL takes them, ``trl``.
        pairing: Which pairs a list becomes.
        ties: Leave them out, keep them marked, or write both orders, each with half the weight.
        strength: Keep what is stated of a preference's strength, or turn a probability p into 2p - 1 as the row's
            ``weight`` or ``margin``.
        threshold: The least score of a good answer, for labels; without one, a list's best is good and its worst bad.
        turns: Of a labelled conversation the last assistant's turn, or all of them, each a row of its own with the
            turns before it as the prompt and the conversation's label.
    """

    to: Target
    pairing: Pairing = field(default_factory=Pairing)
    ties: Ties = "drop"
    strength: Strength = "stated"
    threshold: float | None = None
    turns: Turns = "last"

    def __post_init__(self) -> None:
        if self.turns == "all" and self.to not in ("unpaired", "chatml", "trl"):
            raise InputError("all turns are for labelled answers", got=f"--to {self.to}", fix="Choose --to unpaired")

    def rows(self, record: Shape) -> list[dict[str, Any]]:
        """The rows that one record becomes.

        Raises:
            InputError: if it becomes none, with the reason.
        """
        made = [self._written(one) for one in self._shapes(record)]
        if not made:
            raise InputError("nothing is left of the row", where=record.source)
        return made

    def joins(self, row: ReadRow) -> bool:
        """Whether the row is one answer, to be taken together with its neighbours that have the same prompt."""
        if isinstance(row.record, LabelledAnswer):
            return self.to in ("pairs", "ranking")
        return isinstance(row.record, RankedAnswers) and len(row.record.answers) == 1 and self.to != "ratings"

    def apart(self, layout: Layout) -> bool:
        """Whether no two rows of a layout are ever taken together."""
        if layout.gives == "answers":
            return self.to not in ("pairs", "ranking")
        return layout.gives == "pairs" or self.to == "ratings"

    def _shapes(self, record: Shape) -> Iterator[Shape]:
        if self.to in ("ratings", "ranking"):
            whole = record if isinstance(record, RankedAnswers) else as_list(_consistent(record))
            if self.to == "ranking":
                yield whole
                return
            for answer, score in zip(whole.answers, whole.scores, strict=True):
                yield replace(whole, answers=(answer,), scores=(score,))
        elif isinstance(record, LabelledAnswer) and self.to != "pairs":
            yield from each_turn(record) if self.turns == "all" else (record,)
        elif self.turns == "all":
            what = "the earlier turns stand on both sides, so that nothing prefers one to another"
            raise InputError(what, where=record.source, fix="Take the last turn, or labelled conversations")
        elif self.to == "unpaired" and self.threshold is not None and isinstance(record, RankedAnswers):
            for answer, score in zip(record.answers, record.scores, strict=True):
                numbers = {**record.numbers, "score": score}
                args = record.template_args
                yield LabelledAnswer(record.prompt, answer, score >= self.threshold, record.source, numbers, args)
        else:
            for pair in self._pairs(record):
                yield from answers_of(pair) if self.to == "unpaired" else (pair,)

    def _pairs(self, record: Shape) -> Iterator[PreferencePair]:
        record = as_list(record) if isinstance(record, LabelledAnswer) else record
        pairs = [record] if isinstance(record, PreferencePair) else self.pairing.pairs(record)
        if not pairs:
            alone = isinstance(record, RankedAnswers) and len(record.answers) == 1
            what = "an answer alone under its prompt" if alone else "no two answers that far apart"
            raise InputError(what, where=record.source)
        kept = [pair for pair in pairs if not is_tie(pair) or self.ties != "drop"]
        if not kept:
            raise InputError("a tie", where=record.source, fix="Keep ties with --ties keep or both")
        for pair in kept:
            gap = pair.numbers.get("margin")
            if not is_tie(pair) and gap is not None and gap < self.pairing.margin:
                raise InputError(f"a margin of {gap:g}, under {self.pairing.margin:g}", where=record.source)
            yield from self._both(pair) if is_tie(pair) and self.ties == "both" else (self._strong(pair),)

    def _both(self, pair: PreferencePair) -> Iterator[PreferencePair]:
        """A tie in both orders."""
        numbers = {"weight": 0.5 * pair.numbers.get("weight", 1.0)}
        yield replace(pair, numbers=numbers)
        yield replace(pair, chosen=pair.rejected, rejected=pair.chosen, numbers=numbers)

    def _strong(self, pair: PreferencePair) -> PreferencePair:
        probability = pair.numbers.get("preference_probs")
        if self.strength == "stated" or probability is None:
            return pair
        rest = {name: value for name, value in pair.numbers.items() if name != "preference_probs"}
        factor = rest.get("weight", 1.0) if self.strength == "weight" else 1.0
        return replace(pair, numbers=rest | {self.strength: factor * abs(2 * probability - 1)})

    def _written(self, one: Shape) -> dict[str, Any]:
        row: dict[str, Any]
        turns = self.to in ("chatml", "trl")
        prompt = _turns(one.prompt) if turns else _plain(one.prompt)
        if isinstance(one, RankedAnswers):
            row = {"prompt": prompt}
            row |= (
                {"answers": list(one.answers), "scores": list(one.scores)}
                if self.to == "ranking"
                else {"completion": one.answers[0], "score": one.scores[0]}
            )
        elif isinstance(one, PreferencePair):
            row = self._sides(prompt, {"chosen": one.chosen, "rejected": one.rejected})
        elif self.to == "chatml":
            row = {"messages": [*prompt, _said(one.completion)], "label": one.label}
        else:
            row = {"prompt": prompt, "completion": [_said(one.completion)] if turns else one.completion}
            row["label"] = one.label
        return row | _columns(one.numbers) | _template_columns(one.template_args)

    def _sides(self, prompt: Any, sides: dict[str, str]) -> dict[str, Any]:
        if self.to == "chatml":
            return {name: [*prompt, _said(answer)] for name, answer in sides.items()}
        return {"prompt": prompt} | {
            name: [_said(answer)] if self.to == "trl" else answer for name, answer in sides.items()
        }


def _consistent(record: PreferencePair | LabelledAnswer) -> PreferencePair | LabelledAnswer:
    """A pair whose ratings, if it states both, agree with its preference: else a list of them would turn it round."""
    chosen, rejected = record.numbers.get("chosen_scores"), record.numbers.get("rejected_scores")
    if chosen is not None and rejected is not None and chosen <= rejected and not record.numbers.get("is_tie"):
        what = f"the chosen answer is rated {chosen:g} and the rejected one {rejected:g}"
        raise InputError(what, where=record.source, fix="Drop the ratings or the row")
    return record


def _said(answer: str) -> dict[str, str]:
    return {"role": "assistant", "content": answer}


def _plain(prompt: Prompt) -> str | list[Message]:
    """A prompt as it is; one that is a single user's turn is the string, which says the same."""
    if isinstance(prompt, str):
        return prompt
    return prompt[0]["content"] if len(prompt) == 1 and prompt[0]["role"] == "user" else list(prompt)


def _turns(prompt: Prompt) -> list[Message]:
    return [Message(role="user", content=prompt)] if isinstance(prompt, str) else list(prompt)


def _columns(numbers: Numbers) -> dict[str, Any]:
    """Numbers under the columns that the reader knows; that a row is no tie goes without saying."""
    written: dict[str, Any] = {_COLUMNS[name]: value for name, value in numbers.items() if name in _COLUMNS}
    if "is_tie" in written:
        written["is_tie"] = bool(written["is_tie"])
    return {name: value for name, value in written.items() if value is not False}


def _template_columns(args: Mapping[str, Any]) -> dict[str, Any]:
    switches = {name: value for name, value in args.items() if name != "tools"}
    tools = {"tools": args["tools"]} if "tools" in args else {}
    return tools | ({"chat_template_kwargs": switches} if switches else {})


@dataclass(slots=True)
class Converted:
    """What became of the rows: the layouts read, rows read, rows written, and rows refused by reason."""

    out: Path
    layouts: dict[str, None] = field(default_factory=dict)
    read: int = 0
    written: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, piece: _Piece) -> None:
        """Count some more rows."""
        self.layouts |= piece.layouts
        self.read += piece.read
        self.written += piece.written
        self.refused += piece.refused

    def summary(self) -> str:
        """``read as A/B annotations, 1302 rows; 774 rows in pairs.jsonl; 528 refused ...``."""
        layouts = ", ".join(self.layouts)
        told = f"read as {layouts}, {counted(self.read, 'row')}; {counted(self.written, 'row')} in {self.out}"
        if not self.refused:
            return told
        return f"{told}; {sum(self.refused.values())} refused, in {refused_path(self.out)}: {self.reasons()}"

    def reasons(self) -> str:
        """Why rows were refused, the most frequent reasons first."""
        most = sorted(self.refused.items(), key=lambda item: -item[1])
        more = f" and {len(most) - _SHOWN} other reasons" if len(most) > _SHOWN else ""
        return ", ".join(f"{words}: {number:,}" for words, number in most[:_SHOWN]) + more


def convert(paths: Paths, out: Path, how: Conversion, format: str | None = None) -> Converted:
    """Write every row in another layout, and beside it the rows that cannot be, with the reason.

    Args:
        paths: What :func:`read_preferences` takes; memory holds a few rows at a time.
        out: A ``.jsonl`` file that is not there yet.
        how: What to write.
        format: The layout's name; by default each file's first row tells.

    Raises:
        InputError: if the data cannot be read at all, or no row can be written. Nothing is left then.
    """
    result = Converted(out)
    with two_files(out) as (good, bad):
        for piece in in_parts(paths, format, partial(_pieces, how=how), how.apart):
            good.write(piece.good)
            bad.write(piece.bad)
            result.add(piece)
        if not result.written:
            raise InputError(f"of {counted(result.read, 'row')} none can be written", got=result.reasons())
    return result


@dataclass(slots=True)
class _Piece:
    """Some rows converted: the lines of both files, and the counts."""

    good: bytearray = field(default_factory=bytearray)
    bad: bytearray = field(default_factory=bytearray)
    layouts: dict[str, None] = field(default_factory=dict)
    read: int = 0
    written: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def take(self, group: list[ReadRow], how: Conversion) -> None:
        """Convert rows that belong together."""
        self.read += len(group)
        self.layouts |= {row.layout.title: None for row in group if row.layout is not None}
        try:
            rows = how.rows(_record(group))
        except InputError as fault:
            words = fault.what if len(fault.what) < 60 else f"{fault.what[:59]}…"
            self.refused[words] += len(group)
            reasons = [{"detail": fault.what if fault.got is None else f"{fault.what} (got {fault.got})"}]
            for one in group:
                self.bad += line(refusal(one.source, one.raw, reasons))
            return
        origin = _origin(group)
        for row in rows:
            row[ORIGIN] = origin
            self.good += line(row)
        self.written += len(rows)


def _pieces(rows: Iterable[ReadRow], how: Conversion) -> Iterator[_Piece]:
    piece = _Piece()
    for group in _groups(rows, how.joins):
        piece.take(group, how)
        if len(piece.good) + len(piece.bad) > _PIECE_BYTES:
            yield piece
            piece = _Piece()
    yield piece


def _groups(rows: Iterable[ReadRow], joins: Callable[[ReadRow], bool]) -> Iterator[list[ReadRow]]:
    """Rows one by one, or those of one answer that follow one another with the same prompt together."""
    waiting: list[ReadRow] = []
    for row in rows:
        if row.raw is STOPPED:
            assert row.fault is not None, "what stopped the reading is said"
            raise InputError(row.fault.what, where=row.source, got=row.fault.got, fix="Repair the file first")
        single = joins(row)
        if waiting and not (single and _same_prompt(waiting[0], row)):
            yield waiting
            waiting = []
        if single:
            waiting.append(row)
        else:
            yield [row]
    if waiting:
        yield waiting


def _same_prompt(one: ReadRow, other: ReadRow) -> bool:
    first, second = one.record, other.record
    kinds = RankedAnswers | LabelledAnswer
    return (
        isinstance(first, kinds)
        and isinstance(second, kinds)
        and first.prompt == second.prompt
        and first.template_args == second.template_args
    )


def _record(group: list[ReadRow]) -> Shape:
    records = []
    for row in group:
        if row.fault is not None:
            raise row.fault
        record = with_all_numbers(row)
        if not isinstance(record, Shape):
            raise InputError("the row is tokens already; only text can be converted", where=row.source)
        records.append(record)
    if len(records) == 1:
        return records[0]
    lists = [record if isinstance(record, RankedAnswers) else as_list(record) for record in records]
    (whole,) = grouped(lists)
    return whole


def _origin(group: list[ReadRow]) -> str:
    """Where the group stands, or where its rows once stood if they say so."""
    told = [row.raw.get(ORIGIN) if isinstance(row.raw, Mapping) else None for row in group]
    if told and all(isinstance(one, str) and one for one in told):
        return str(told[0])
    first, last = group[0].source, group[-1].source
    return first if len(group) == 1 else f"{first}-{last[len(last.rstrip('0123456789')) :]}"
