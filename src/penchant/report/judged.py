"""What ``penchant compare`` found, as a part of the report: who is preferred, how sure that is, and examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from penchant.errors import InputError
from penchant.evaluation.comparison import MATCHES, NUMBERS, VERSION, Comparison, Match, examples
from penchant.evaluation.statistics import Share
from penchant.report.charts import Chart
from penchant.report.text import counted, number, percent, with_interval
from penchant.report.words import Card

_BESIDE = "compare"
"""Where in a run folder a comparison is looked for, besides the folder itself."""
_DAMAGED = "Run penchant compare again: what its judge has answered is kept and not asked for again"


@dataclass(frozen=True, slots=True)
class Example:
    """Two answers to a prompt, and which of them the judge prefers."""

    preferred: str
    prompt: str
    answers: tuple[str, str]
    preference: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A comparison as the template takes it; ``names`` are the two sides."""

    id: str
    names: tuple[str, str]
    judge: str
    verdict: str
    cards: list[Card]
    notes: list[str]
    chart: Chart
    examples: list[Example]


def comparisons_of(runs: Sequence[Path], named: Sequence[Path]) -> list[Judged]:
    """The comparisons in the folders that are named, and in the run folders, where they have one.

    Raises:
        InputError: if a named folder has none, or a file is damaged or newer.
    """
    for folder in named:
        if not (folder / NUMBERS).is_file():
            fix = "Give the --output folder of penchant compare"
            raise InputError(f"there is no {NUMBERS}", where=str(folder), fix=fix)
    places = [place for run in runs for place in (run, run / _BESIDE) if (place / NUMBERS).is_file()]
    distinct = {folder.resolve(): folder for folder in (*named, *places)}
    return [_judged(f"c{index}", folder) for index, folder in enumerate(distinct.values(), 1)]


def _judged(id: str, folder: Path) -> Judged:
    found = _numbers(folder / NUMBERS)
    names = _short(found.first), _short(found.second)
    if names[0] == names[1]:
        names = found.first, found.second
    return Judged(
        id=id,
        names=names,
        judge=found.judge,
        verdict=_verdict(found, names),
        cards=_cards(found, names),
        notes=_notes(found, names),
        chart=_chart(id, found, names),
        examples=_examples(folder / MATCHES, names),
    )


def _numbers(path: Path) -> Comparison:
    """The numbers; what is no number (an interval of too few prompts) stands as null in the file."""
    try:
        raw = json.loads(path.read_bytes())
        version = raw.get("version") if isinstance(raw, dict) else None
        if isinstance(version, int) and version > VERSION:
            got = f"version {version}, this one reads {VERSION}"
            fix = "Upgrade it: pip install --upgrade penchant"
            raise InputError("a newer penchant wrote this comparison", where=str(path), got=got, fix=fix)
        return msgspec.convert(_with_nan(raw), Comparison)
    except (ValueError, msgspec.MsgspecError) as error:
        raise InputError("the comparison is damaged", where=str(path), got=str(error), fix=_DAMAGED) from error


def _with_nan(value: Any) -> Any:
    """The value with the bounds of unknown intervals as numbers that are none."""
    if isinstance(value, dict):
        known = {name: _with_nan(one) for name, one in value.items()}
        return {n: float("nan") if one is None and n in ("low", "high") else one for n, one in known.items()}
    return [_with_nan(one) for one in value] if isinstance(value, list) else value


def _examples(path: Path, names: tuple[str, str]) -> list[Example]:
    """The clearest wins of either side; none where the matches are not beside the numbers."""
    if not path.is_file():
        return []
    matches = []
    for index, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            matches.append(_match(json.loads(line)))
        except (ValueError, LookupError, TypeError) as error:
            got = f"{type(error).__name__}: {error}"
            where = f"{path}:{index}"
            raise InputError("a match of the comparison is damaged", where=where, got=got, fix=_DAMAGED) from error
    return [
        Example(name, _last_turn(match.prompt), (match.first, match.second), match.preference or 0.0)
        for name, some in zip(names, examples(matches), strict=True)
        for match in some
    ]


def _match(row: Any) -> Match:
    first, second, preference = row["first"], row["second"], row["preference"]
    if not (isinstance(first, str) and isinstance(second, str) and isinstance(_last_turn(row["prompt"]), str)):
        raise TypeError("a prompt or an answer is no text")
    return Match(row["prompt"], first, second, None if preference is None else float(preference))


def _last_turn(prompt: Any) -> str:
    text: str = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return text


def _short(name: str) -> str:
    """A model or file by the end of its path."""
    return name.rstrip("/").rpartition("/")[2] or name


def _verdict(found: Comparison, names: tuple[str, str]) -> str:
    value, interval = with_interval(found.win_rate)
    rate = f"{names[0]} wins {value} of {counted(found.win_rate.n, 'comparison')}, a tie being half ({interval})"
    if found.verdict == f"{found.first} is preferred":
        return f"{rate}: {names[0]} is preferred."
    if found.verdict == f"{found.second} is preferred":
        return f"{rate}: {names[1]} is preferred."
    return f"{rate}: {found.verdict}."


def _cards(found: Comparison, names: tuple[str, str]) -> list[Card]:
    share, controlled = found.win_rate, found.length_controlled
    cards = [Card("Win rate", *with_interval(share), _tone(share))]
    if isinstance(controlled, str):
        cards.append(Card("At equal lengths", "–", f"no number: {controlled}"))
    else:
        rate = controlled.win_rate
        cards.append(Card("At equal lengths", *with_interval(rate), _tone(rate)))
    counts = f"{found.wins:,} · {found.ties:,} · {found.losses:,}"
    cards.append(Card("Wins · ties · losses", counts, f"of {names[0]}"))
    words = [number(one.words.value) for one in found.lengths]
    cards.append(Card("Words per answer", " · ".join(words), f"{names[0]} · {names[1]}"))
    return cards


def _tone(share: Share) -> str:
    return "good" if share.low > 0.5 else "bad" if share.high < 0.5 else ""


def _notes(found: Comparison, names: tuple[str, str]) -> list[str]:
    """What was compared, what was left out, and what order and length did to the verdicts."""
    coverage = found.coverage
    pairs, prompts = counted(coverage.pairs, "pair"), counted(coverage.prompts, "prompt")
    notes = [f"{pairs} of answers to {prompts}; the judge is {found.judge}."]
    counts = {
        f"prompts that only {names[0]} answers": coverage.only_first,
        f"prompts that only {names[1]} answers": coverage.only_second,
        "answers without a counterpart": coverage.uneven,
        "pairs without a verdict": coverage.faults,
    }
    left = [f"{count:,} {what}" for what, count in counts.items() if count]
    notes += [f"Left out: {', '.join(left)}."] if left else []
    if coverage.identical:
        are = "pair of equal answers is a tie" if coverage.identical == 1 else "pairs of equal answers are ties"
        notes.append(f"{coverage.identical:,} {are} that the judge did not see.")
    if found.longer_wins is not None:
        value, interval = with_interval(found.longer_wins)
        notes.append(f"{value} of verdicts go to the longer answer ({interval}).")
    if found.bias is not None:
        value, interval = with_interval(found.bias.first_wins)
        notes.append(
            f"{value} of verdicts go to the answer shown first ({interval}; no bias: 50 %), and "
            f"{percent(found.bias.agree.value)} of pairs get the same verdict in both orders."
        )
    return notes


def _chart(id: str, found: Comparison, names: tuple[str, str]) -> Chart:
    rates = {"win rate": found.win_rate}
    if not isinstance(found.length_controlled, str):
        rates["at equal lengths"] = found.length_controlled.win_rate
    shown = {name: with_interval(share) for name, share in rates.items()}
    words = "; ".join(f"{name} {value} ({interval})" for name, (value, interval) in shown.items())
    one = {"label": f"{names[0]} wins", "tone": "good", "y": [share.value for share in rates.values()]}
    one |= {side: [getattr(share, side) for share in rates.values()] for side in ("low", "high")}
    return {
        "id": f"{id}-win-rate", "title": "Win rate", "kind": "whiskers", "share": True, "x_label": "",
        "x": list(range(len(rates))), "names": list(rates), "levels": [[0.5, "coin"]], "series": [one],
        "alt": f"{words[:1].upper()}{words[1:]}.",
    }  # fmt: skip
