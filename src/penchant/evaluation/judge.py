"""``penchant judge``: answers rated or compared, written as preference data."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penchant.errors import InputError
from penchant.evaluation.answers import Answered, read_answers
from penchant.evaluation.asking import Progress, Verdicts, ask, matches, position_bias
from penchant.evaluation.comparison import Match, PositionBias, clusters
from penchant.evaluation.judges import Judge, Question, Reply
from penchant.evaluation.judges.cache import VerdictCache
from penchant.evaluation.prompts import plain
from penchant.evaluation.statistics import ByPrompt, Share
from penchant.whole import write_whole


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge made of some answers.

    Attributes:
        judge: Its name.
        prompts: Prompts with answers.
        answers: Distinct answers.
        repeats: Answers that stood twice under a prompt.
        rows: Rows written.
        asked: Questions put to the judge now; the rest was known.
        faults: Questions without a verdict; they are kept in ``faults_file``.
        ties: Pairs without a preference, or prompts whose answers all have one rating.
        bias: Of a judge that compares.
        longer_wins: How often the longer of two answers is preferred, a tie is half.
    """

    judge: str
    prompts: int
    answers: int
    repeats: int
    rows: int
    asked: int
    faults: int
    ties: int
    bias: PositionBias | None
    longer_wins: Share | None
    faults_file: Path | None


def judge_files(
    judge: Judge,
    paths: Sequence[str | Path],
    output: Path,
    cache: VerdictCache,
    *,
    keep_ties: bool = False,
    again: bool = False,
    on_reply: Progress = lambda done, total: None,
) -> Judged:
    """Rate or compare the answers in some files.

    A judge that rates gives one row per prompt: ``prompt``, ``completions``, ``scores``. One that compares gives one
    row for each two answers of a prompt: ``prompt``, ``chosen``, ``rejected``, ``preference_prob``. Questions without
    a verdict go to a second file with what the judge wrote.

    Args:
        judge: Who judges.
        paths: See :func:`penchant.evaluation.answers.read_answers`.
        output: JSON Lines; it appears whole, or not at all.
        cache: Where verdicts are kept.
        keep_ties: Write pairs without a preference too, with ``is_tie``.
        again: Ask for malformed verdicts once more.
        on_reply: Told of the progress.

    Raises:
        InputError: if a file is wrong, there is nothing to compare, the judge is beyond hope, or the output is a file
            that this judge did not write.
    """
    _check_output(output, paths, judge)
    answered = list(read_answers(paths).values())
    distinct = [(one, list(dict.fromkeys(one.answers))) for one in answered]
    count = sum(len(answers) for _, answers in distinct)
    repeats = sum(len(one.answers) for one in answered) - count
    if judge.compares:
        pairs = [(one.prompt, *two) for one, answers in distinct for two in itertools.combinations(answers, 2)]
        if not pairs:
            fix = "Draw several with penchant sample --samples 4, or give several files"
            raise InputError("no prompt has two different answers to compare", where=str(paths[0]), fix=fix)
        found, verdicts = matches(judge, pairs, cache, again=again, on_reply=on_reply)
        rows = [_pair_row(match, judge) for match in found if match.preference is not None]
        ties = sum(row["preference_prob"] == 0.5 for row in rows)
        rows = rows if keep_ties else [row for row in rows if row["preference_prob"] != 0.5]
        bias, longer = position_bias(found), longer_wins(found)
    else:
        questions = [Question(one.prompt, (answer,)) for one, answers in distinct for answer in answers]
        verdicts = ask(judge, questions, cache, again=again, on_reply=on_reply)
        rows = _rating_rows(distinct, verdicts, judge)
        ties = sum(len(row["scores"]) > 1 and len(set(row["scores"])) == 1 for row in rows)
        bias = longer = None
    faults = _write_faults(output, verdicts)
    write_rows(output, rows)
    numbers = (len(answered), count, repeats, len(rows), verdicts.asked, len(verdicts.faults), ties)
    return Judged(judge.name, *numbers, bias, longer, faults)


def _pair_row(match: Match, judge: Judge) -> dict[str, Any]:
    assert match.preference is not None
    texts, probability = (match.first, match.second), match.preference
    if probability < 0.5:
        texts, probability = texts[::-1], 1 - probability
    row = {"prompt": plain(match.prompt), "chosen": texts[0], "rejected": texts[1], "preference_prob": probability}
    return row | ({"is_tie": True} if probability == 0.5 else {}) | {"judge": judge.name}


def _rating_rows(
    distinct: Sequence[tuple[Answered, list[str]]], verdicts: Verdicts, judge: Judge
) -> list[dict[str, Any]]:
    """Answers without a rating are left out, and so are prompts that have none left."""
    rows, replies = [], iter(verdicts.replies)
    for one, answers in distinct:
        rated = [(answer, reply.value) for answer, reply in zip(answers, replies, strict=False)]
        kept = [(answer, score) for answer, score in rated if score is not None]
        if kept:
            completions, scores = zip(*kept, strict=True)
            row = {"prompt": plain(one.prompt), "completions": list(completions), "scores": list(scores)}
            rows.append(row | {"judge": judge.name})
    return rows


def longer_wins(found: Sequence[Match]) -> Share | None:
    """How often the longer answer (in characters) is preferred; nothing if no two lengths differ."""
    known = [match for match in found if match.preference is not None and len(match.first) != len(match.second)]
    if not known:
        return None
    longer = [
        match.preference if len(match.first) > len(match.second) else 1 - (match.preference or 0.0) for match in known
    ]
    return ByPrompt(clusters(known)).share(np.array(longer, dtype=float))


def _check_output(output: Path, paths: Sequence[str | Path], judge: Judge) -> None:
    """See before a question is asked that the output can be written, and takes nothing away but this judge's own."""
    if output.suffix != ".jsonl":
        raise InputError("the output is JSON Lines", where=str(output), fix="Give --output a name that ends in .jsonl")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be used as output: {error.strerror}", where=str(output)) from error
    if any(output.resolve() == Path(path).resolve() for path in paths):
        raise InputError("the output is one of the files of answers", where=str(output), fix="Give another --output")
    if output.exists() and _judge_of(output) not in (judge.name, ""):
        raise InputError("the file is there, and not by this judge", where=str(output), fix="Give another --output")


def _judge_of(path: Path) -> str | None:
    """Who judged a file's first row; empty for an empty file, nothing where no judge wrote it."""
    with path.open("rb") as file:
        first = file.readline()
    try:
        row = json.loads(first) if first.strip() else {"judge": ""}
    except ValueError:
        return None
    return row.get("judge") if isinstance(row, dict) else None


def _write_faults(output: Path, verdicts: Verdicts) -> Path | None:
    """What the judge wrote instead of a verdict; a file of an earlier call without such is removed."""
    path = output.with_suffix(".faults.jsonl")
    rows = [_fault_row(question, reply) for question, reply in verdicts.faults]
    if not rows:
        path.unlink(missing_ok=True)
        return None
    write_rows(path, rows)
    return path


def _fault_row(question: Question, reply: Reply) -> dict[str, Any]:
    return question.shown() | {"fault": reply.fault, "reply": reply.raw}


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """JSON Lines that appear whole, or not at all.

    Raises:
        InputError: if the file cannot be written.
    """
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        write_whole(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
